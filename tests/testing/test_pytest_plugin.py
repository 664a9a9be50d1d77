"""pytest finds the fixtures, and pays nothing for them where they are not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

USED = """
def test_messages(quickpulse_server, quickpulse_client):
    quickpulse_client.queue("jobs").publish(b"one")
    assert quickpulse_server.payloads("jobs") == [b"one"]

def test_a_server_of_its_own(quickpulse_server):
    assert quickpulse_server.payloads("jobs") == []
"""

NOT_USED = """
import sys

def test_nothing_is_loaded():
    assert not [name for name in ("twisted", "quickpulse.service", "quickpulse.client") if name in sys.modules]
"""


class PluginTests(TestCase):
    """A run of pytest in a folder of its own."""

    def run_pytest(self, source: str) -> str:
        """What it says at the end."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "test_one.py").write_text(source, encoding="utf-8")
        done = subprocess.run(
            # The plugin is named, as it is found by itself only where the package was installed with it.
            [sys.executable, "-m", "pytest", "-q", "-p", "quickpulse.testing.pytest_plugin", "test_one.py"],
            cwd=folder,
            env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_fixtures(self) -> None:
        """A server for each test, and a client of it."""
        self.assertIn("2 passed", self.run_pytest(USED))

    def test_nothing_is_loaded(self) -> None:
        """The plugin is loaded in every run of pytest."""
        self.assertIn("1 passed", self.run_pytest(NOT_USED))
