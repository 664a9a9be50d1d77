"""The tests, run by `trial tests`. Importing them installs the reactor that the server runs on."""

import signal

from quickpulse.tap import install_reactor

install_reactor()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever runs the tests in the background may have it ignored, and so would every process that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
