"""`quickpulse serve`: twistd's options, told by the same table, and a server that really runs."""

from __future__ import annotations

import re
import signal
import subprocess

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli import serving
from quickpulse.cli.app import commands
from quickpulse.client import connect
from quickpulse.settings import OPTIONS
from tests.cli.commands import COMMAND, PROCESS_SECONDS, environment
from tests.interop.server import ROOT

QUIET = dict.fromkeys(("QUICKPULSE_MODE", *serving.MODE_VARIABLES), "")


class ServeTests(SynchronousTestCase):
    """What twistd is told."""

    def setUp(self) -> None:
        """Nothing is started."""
        self.told: list[list[str]] = []
        self.patch(serving, "run", self.told.append)

    def serve(self, *arguments: str, status: int = 0, **variables: str) -> str:
        """Run it, and see how it ends; what it says on stderr."""
        env: dict[str, str | None] = {**dict.fromkeys(QUIET), **variables}
        result = CliRunner(env=env).invoke(commands, ["serve", *arguments], prog_name="quickpulse")
        self.assertEqual(result.exit_code, status, result.output)
        return result.stderr

    def test_everything_by_default(self) -> None:
        """Without a mode, all transports; unless the environment says one."""
        self.serve()
        self.serve(RPC_MODE="1")
        self.serve(QUICKPULSE_MODE="ws")
        self.serve(RPC_MODE="0")
        self.assertEqual(self.told, [["--mode=all"], [], [], ["--mode=all"]])

    def test_options(self) -> None:
        """As they were given, switches without a value."""
        self.serve("--mode", "ws", "--ws-port", "0", "--legacy-metric-names")
        self.assertEqual(self.told, [["--mode=ws", "--ws-port=0", "--legacy-metric-names"]])

    def test_wrong_values(self) -> None:
        """One line, with the nearest; nothing is started."""
        self.assertIn("did you mean grpc?", self.serve("--mode", "grpcs", status=2))
        self.assertIn("--capacity 'x': expected a whole number", self.serve("--capacity", "x", status=2))
        self.assertIn("--capacity", self.serve("--capcity", "5", status=2))
        self.assertEqual(self.told, [])

    def test_help_has_every_setting(self) -> None:
        """With its variable and its default."""
        text = CliRunner().invoke(commands, ["serve", "--help"]).stdout
        for option in OPTIONS:
            self.assertIn(f"--{option.name} ", text)


class ProcessTests(SynchronousTestCase):
    """A server that was started so."""

    def test_it_serves_and_ends(self) -> None:
        """Every transport is there; SIGINT is its orderly end, with status 0."""
        process = subprocess.Popen(
            [*COMMAND, "serve", "--ws-port", "0", "--grpc-port", "0", "--http-port", "0"],
            cwd=ROOT,
            env={name: value for name, value in environment().items() if name not in QUIET},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        line = next(line for line in process.stdout if re.search(r"QuickPulse \S+, mode all: ", line))
        ports = dict(re.findall(r"(\w+) on 127\.0\.0\.1:(\d+)", line))
        self.assertEqual(set(ports), {"WebSocket", "gRPC", "HTTP"})
        with connect(f"quickpulse://127.0.0.1:{ports['gRPC']}", wait_seconds=30) as client:
            client.queue("q").publish(b"x")
        process.send_signal(signal.SIGINT)
        self.assertIn("1 messages were still queued", process.stdout.read())
        self.assertEqual(process.wait(PROCESS_SECONDS), 0)
