"""The version stands in one place."""

from __future__ import annotations

import importlib
import re
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from twisted.trial.unittest import SynchronousTestCase

import quickpulse
from quickpulse import version

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


class VersionTests(SynchronousTestCase):
    """quickpulse.__version__."""

    def test_is_the_packages(self) -> None:
        """What pyproject.toml says, by the installed package's metadata."""
        written = re.search(r'^version = "(.+)"$', PYPROJECT.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(quickpulse.__version__, written[1])
        self.assertEqual(quickpulse.__version__, metadata.version("quickpulse"))

    def test_not_installed(self) -> None:
        """A source tree on the path works, and says that it does not know."""

        def missing(name: str) -> NoReturn:
            raise metadata.PackageNotFoundError(name)

        self.addCleanup(importlib.reload, version)
        self.patch(metadata, "version", missing)
        self.assertEqual(importlib.reload(version).__version__, "0+unknown")
