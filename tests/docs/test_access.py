"""docs/access.md against a server: its commands, and its numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from quickpulse.transports.tokens import CHALLENGE, MOST_TOKEN_BYTES, MOST_TOKENS, SUBPROTOCOL_PREFIX
from tests.docs.pages import ROOT, shell_blocks
from tests.docs.running import server_of

PAGE = ROOT / "docs" / "access.md"

SECONDS = 30


class PageTests(TestCase):
    """The page."""

    def test_commands(self) -> None:
        """A file of tokens is made as the page says, for its owner only; curl shows what is in it."""
        if shutil.which("curl") is None or shutil.which("bash") is None or shutil.which("python3") is None:
            raise SkipTest("no curl here")
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        first, show = (block.text for block in shell_blocks(PAGE))
        make, serve = first.splitlines()
        subprocess.run(["bash", "-c", make], cwd=folder, check=True, timeout=SECONDS)
        tokens = folder / "tokens"
        self.assertEqual(tokens.stat().st_mode & 0o777, 0o600)
        with server_of(serve, folder) as ports:
            command = show.replace("127.0.0.1:8080", f"127.0.0.1:{ports['HTTP']}")
            done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=True, timeout=SECONDS)
            self.assertEqual(json.loads(done.stdout)["queues"][0]["name"], "default")

    def test_words(self) -> None:
        """Numbers and names are those of the code."""
        text = PAGE.read_text(encoding="utf-8")
        for word in (f"1 to {MOST_TOKEN_BYTES}", f"{MOST_TOKENS:,}", CHALLENGE, SUBPROTOCOL_PREFIX):
            self.assertIn(word, text)
