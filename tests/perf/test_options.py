"""The command line: what is wrong with it is said, with status 2, before anything is done."""

from __future__ import annotations

import contextlib
import io

from twisted.trial import unittest

from perf.options import DEFAULT_IN_FLIGHT, DEFAULT_MESSAGES, MODES, Options, parse
from tests.perf.running import run_perf

WRONG = (
    [],
    ["--mode", "smoke_signals"],
    ["--mode", "ws", "--nonsense"],
    ["--mode", "ws", "--producers", "0"],
    ["--mode", "ws", "--producers", "1001"],
    ["--mode", "ws", "--consumers", "-1"],
    ["--mode", "ws", "--messages", "many"],
    ["--mode", "ws", "--messages", "0"],
    ["--mode", "ws", "--seconds", "0"],
    ["--mode", "ws", "--seconds", "nan"],
    ["--mode", "ws", "--seconds", "soon"],
    ["--mode", "ws", "--seconds", "1", "--messages", "1"],
    ["--mode", "ws", "--payload-bytes", "15"],
    ["--mode", "ws", "--payload-bytes", "16777217"],
    ["--mode", "ws", "--in-flight", "0"],
    ["--mode", "ws", "--in-flight", "1000", "--payload-bytes", "1048576"],
    ["--mode", "ws", "--target", "localhost"],
    ["--mode", "ws", "--target", ":80"],
    ["--mode", "ws", "--target", "localhost:0"],
    ["--mode", "ws", "--target", "localhost:65536"],
    ["--mode", "ws", "--target", "localhost:80", "--spawn"],
    ["--mode", "ws", "--target", "localhost:80", "--server-argument=--capacity=1"],
    ["--mode", "ws", "--timeout", "-1"],
)


class OptionsTests(unittest.TestCase):
    """Arguments in, one frozen object out."""

    def test_defaults(self) -> None:
        """A mode is enough."""
        for mode in MODES:
            options = parse(["--mode", mode])
            defaults = Options(mode=mode, messages=DEFAULT_MESSAGES, in_flight=DEFAULT_IN_FLIGHT)
            self.assertEqual(options, defaults)

    def test_mode_of_a_tool(self) -> None:
        """The three tools know theirs."""
        self.assertEqual(parse([], "grpc").mode, "grpc")

    def test_everything(self) -> None:
        """Each option has its field."""
        line = "--producers 2 --consumers 0 --seconds 1.5 --payload-bytes 16 --in-flight 7 --in-turn"
        line += " --target [::1]:99 --timeout 3 --idle 0.5 --drain 9 --json --plot x.png --no-progress"
        self.assertEqual(
            parse(line.split(), "ws"),
            Options(
                mode="ws",
                producers=2,
                consumers=0,
                messages=None,
                seconds=1.5,
                payload_bytes=16,
                in_flight=7,
                target=("::1", 99),
                in_turn=True,
                timeout_seconds=3.0,
                idle_seconds=0.5,
                drain_seconds=9.0,
                json=True,
                plot="x.png",
                progress=False,
            ),
        )

    def test_server_arguments(self) -> None:
        """As many as wanted, in order."""
        options = parse(["--server-argument=--capacity=10", "--server-argument", "x"], "ws")
        self.assertEqual(options.server_arguments, ("--capacity=10", "x"))

    def test_wrong(self) -> None:
        """Status 2, and a word about it on standard error."""
        for arguments in WRONG:
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                exit_error = self.assertRaises(SystemExit, parse, arguments)
            self.assertEqual(exit_error.code, 2, arguments)
            self.assertIn("error:", said.getvalue())

    def test_wrong_as_a_process(self) -> None:
        """The same from outside, by each tool."""
        self.assertEqual(run_perf("--mode", "ws", "--producers", "0").status, 2)
        for mode in MODES:
            run = run_perf("--messages", "none", module=f"perf.perf_{mode}_throughput")
            self.assertEqual((run.status, run.output), (2, ""))

    def test_help_tells_the_statuses(self) -> None:
        """And ends well."""
        run = run_perf("--help")
        self.assertEqual(run.status, 0)
        self.assertIn("5 the server is unavailable", " ".join(run.output.split()))
