"""Completion: the scripts, and what is offered while one types."""

from __future__ import annotations

import subprocess

from quickpulse.cli.completing import SHELLS
from tests.cli.commands import COMMAND, PROCESS_SECONDS, CommandTestCase, environment
from tests.client.proxy import free_port
from tests.interop.server import ROOT


class CompletionTests(CommandTestCase):
    """As a shell asks."""

    def offered(self, words: str, url: str) -> list[str]:
        """What there is for the last of these words."""
        settings = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1), "QUICKPULSE_URL": url}
        done = subprocess.run(
            COMMAND,
            cwd=ROOT,
            env=environment(_QUICKPULSE_COMPLETE="bash_complete", **settings),
            capture_output=True,
            text=True,
            timeout=PROCESS_SECONDS,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        return [line.partition(",")[2] for line in done.stdout.split()]

    def test_commands_and_options(self) -> None:
        """What begins so."""
        self.assertEqual(self.offered("quickpulse re", self.url), ["resume", "redrive"])
        self.assertEqual(self.offered("quickpulse sub q --no", self.url), ["--no-ack"])

    def test_names_of_queues(self) -> None:
        """The server knows them."""
        self.queue.publish(b"x")
        for _ in range(5):  # on a busy machine the server may not answer in time
            names = self.offered(f"quickpulse peek {self.name[:-3]}", self.url)
            if names:
                break
        self.assertEqual(names, [self.name])

    def test_no_server(self) -> None:
        """Then nothing is offered, and nothing is said."""
        self.assertEqual(self.offered("quickpulse sub ", f"quickpulse://127.0.0.1:{free_port()}"), [])

    def test_scripts(self) -> None:
        """For each shell; another one is wrong usage."""
        for shell in SHELLS:
            self.assertIn("_QUICKPULSE_COMPLETE", self.command("completion", shell).stdout)
        self.command("completion", "csh", status=2)
