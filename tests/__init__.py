"""The tests, run by `trial tests`. Importing them installs the reactor that the server runs on."""

from quickpulse.tap import install_reactor

install_reactor()
