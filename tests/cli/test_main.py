"""The entry point, with and without the extra."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli.app import commands
from quickpulse.cli.main import main
from quickpulse.version import __version__
from tests.cli.commands import COMMAND, PROCESS_SECONDS
from tests.interop.server import ROOT

WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from quickpulse.cli.main import main
raise SystemExit(main())
"""


class MainTests(SynchronousTestCase):
    """What the script calls."""

    def test_without_the_extra(self) -> None:
        """One line says how to get it."""
        for missing in ("click", "rich"):
            done = subprocess.run(
                [sys.executable, "-c", WITHOUT, missing],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=PROCESS_SECONDS,
                check=False,
            )
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertEqual(
                done.stderr,
                "quickpulse: the command needs the extra cli (click and rich), in a clone: pip install '.[cli]'\n",
            )

    def test_the_script(self) -> None:
        """pyproject.toml names it."""
        self.assertIn('\nquickpulse = "quickpulse.cli.main:main"\n', (ROOT / "pyproject.toml").read_text())
        self.assertTrue(callable(main))
        self.assertIsNotNone(importlib.metadata.distribution("quickpulse"))

    def test_version(self) -> None:
        """On stdout, by each name that the module has."""
        for command in (COMMAND, (sys.executable, "-m", "quickpulse")):
            done = subprocess.run(
                [*command, "--version"], cwd=ROOT, capture_output=True, timeout=PROCESS_SECONDS, check=True
            )
            self.assertEqual(done.stdout.decode(), f"quickpulse {__version__}\n")


class HelpTests(SynchronousTestCase):
    """What one sees who asks."""

    def test_every_command(self) -> None:
        """It fits into 80 columns, and says what it is about."""
        for name in ("", *commands.commands):
            words = [name, "--help"] if name else ["--help"]
            result = CliRunner(env={"COLUMNS": "80"}).invoke(commands, words, prog_name="quickpulse")
            self.assertEqual(result.exit_code, 0, result.output)
            self.assertLessEqual(max(map(len, result.stdout.splitlines())), 80, name)

    def test_an_option_before_the_command(self) -> None:
        """Wrong usage, with the place where it stands."""
        result = CliRunner().invoke(commands, ["--url", "x", "queues"], prog_name="quickpulse")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--url stands behind the command: quickpulse COMMAND --url ...", result.stderr)
        result = CliRunner().invoke(commands, ["--nonsense"], prog_name="quickpulse")
        self.assertEqual((result.exit_code, "behind" in result.stderr), (2, False))

    def test_an_unknown_command(self) -> None:
        """Wrong usage, with the nearest."""
        result = CliRunner().invoke(commands, ["pbu"], prog_name="quickpulse")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("no such command: pbu; did you mean pub?", result.stderr)
