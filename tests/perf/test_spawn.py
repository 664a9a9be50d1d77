"""The tools against the server itself, started by them: no target is given."""

from __future__ import annotations

from twisted.trial import unittest

from perf.options import MODES
from tests.perf.running import Run, run_perf


def run_spawning(mode: str, *arguments: str) -> Run:
    """A short run with a server of its own."""
    return run_perf(
        "--mode", mode, "--json", "--messages", "2000", "--producers", "2", "--consumers", "2", *arguments
    )


class SpawnTests(unittest.TestCase):
    """Start, readiness, the run, SIGTERM, exit status."""

    def test_every_mode(self) -> None:
        """Everything is well, the end of the server included."""
        for mode in MODES:
            run = run_spawning(mode)
            self.assertEqual(run.status, 0, run.errors)
            result = run.result
            self.assertEqual(
                (result["mode"], result["spawned"], result["server_exit_status"]), (mode, True, 0)
            )
            self.assertEqual((result["counts"]["delivered"], result["counts"]["lost"]), (2000, 0))
            self.assertGreater(result["server_cpu_share"], 0)

    def test_full_queue(self) -> None:
        """A small capacity, given through; what was refused is counted, and is no fault."""
        run = run_spawning("ws", "--server-argument=--capacity=50", "--in-turn")
        self.assertEqual(run.status, 0, run.errors)
        counts = run.result["counts"]
        self.assertEqual((counts["acknowledged"], counts["refused"], counts["received"]), (50, 1950, 50))
        self.assertEqual(run.result["errors"], {"queue is full": 1950})

    def test_server_that_does_not_start(self) -> None:
        """Unavailable, and its last words are told."""
        run = run_spawning("ws", "--server-argument=--nonsense")
        self.assertEqual((run.status, run.output), (5, ""))
        self.assertIn("nonsense", run.errors)
