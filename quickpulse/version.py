"""The version, from the installed package's own metadata, so that it stands in one place: pyproject.toml."""

from importlib import metadata

try:
    __version__ = metadata.version("quickpulse")
except metadata.PackageNotFoundError:  # a source tree that is on the path without being installed
    __version__ = "0+unknown"
