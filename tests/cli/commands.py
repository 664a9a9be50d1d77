"""Runs the command: within the test's process where that serves, or as a process of its own. No claim is here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli.app import commands
from quickpulse.client import Client, Queue, connect
from tests.client.servers import shared_server
from tests.interop.server import ROOT

PROCESS_SECONDS = 60.0

COMMAND = (sys.executable, "-m", "quickpulse.cli")

PATIENT = {"QUICKPULSE_TIMEOUT": "30"}
"""Where a server is there, however busy the machine is."""


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what would speak to the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUICKPULSE_")}
    return {**kept, **variables}


def start(*arguments: str, url: str, **how: Any) -> subprocess.Popen[bytes]:
    """The command as a process, with pipes where `how` says nothing else."""
    pipes: dict[str, int | IO[Any]] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    pipes["bufsize"] = 0  # so that `communicate` finds all that was not read before
    settings = environment(QUICKPULSE_URL=url, **PATIENT)
    return subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, env=settings, **{**pipes, **how})


class CommandTestCase(SynchronousTestCase):
    """A server, and a queue for each test."""

    def setUp(self) -> None:
        """Connect, to see what the command did."""
        self.url = f"quickpulse://127.0.0.1:{shared_server().port}"
        self.client: Client = connect(self.url, wait_seconds=30)
        self.addCleanup(self.client.close)
        self.name = self.id().rpartition("tests.cli.")[2]
        self.queue: Queue = self.client.queue(self.name)

    def command(self, *arguments: str, stdin: bytes = b"", status: int = 0, **variables: str) -> Result:
        """Run it here, and see that it ends as it should."""
        runner = CliRunner(env={"QUICKPULSE_URL": self.url, **PATIENT, **variables})
        result = runner.invoke(commands, arguments, input=stdin, prog_name="quickpulse")
        self.assertEqual(result.exit_code, status, result.output)
        return result

    def payloads(self) -> list[bytes]:
        """What is in the queue, in order; it is gone then."""
        return self.queue.take_many(1000)

    def start(self, *arguments: str, **how: Any) -> subprocess.Popen[bytes]:
        """A process, which does not outlive the test."""
        process = start(*arguments, url=self.url, **how)

        def end() -> None:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None and not pipe.closed:
                    pipe.close()

        self.addCleanup(end)
        return process

    def read_a_line_and_go(self, process: subprocess.Popen[bytes]) -> bytes:
        """As `head -1` does; the line."""
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        return line

    def ended(self, process: subprocess.Popen[bytes], status: int = 0) -> tuple[bytes, bytes]:
        """What it wrote, when it has ended as it should."""
        out, error = process.communicate(timeout=PROCESS_SECONDS)
        self.assertEqual(process.returncode, status, error)
        return out, error
