"""The tools against the server itself, started by them: no target is given."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
from twisted.trial import unittest

from perf.options import MODES
from tests.perf.running import ROOT, RUN_SECONDS, Run, run_perf


def run_spawning(mode: str, *arguments: str) -> Run:
    """A short run with a server of its own."""
    return run_perf("--mode", mode, "--json", "--messages", "2000", "--producers", "2", "--consumers", "2", *arguments)


class SpawnTests(unittest.TestCase):
    """Start, readiness, the run, SIGTERM, exit status."""

    def test_every_mode(self) -> None:
        """Everything is well, the end of the server included."""
        for mode in MODES:
            run = run_spawning(mode)
            self.assertEqual(run.status, 0, run.errors)
            result = run.result
            self.assertEqual((result["mode"], result["spawned"], result["server_exit_status"]), (mode, True, 0))
            self.assertEqual((result["counts"]["delivered"], result["counts"]["lost"]), (2000, 0))
            self.assertEqual(result["server_counters"], {"enqueued": 2000, "dequeued": 2000})
            self.assertGreaterEqual(result["server_cpu_share"], 0)  # a tick may be longer than the run

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

    def test_ended_from_outside(self) -> None:
        """SIGTERM and SIGINT stop the server too, and say so by the status."""
        for ended_by, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            process = subprocess.Popen(
                [sys.executable, "-m", "perf", "--mode", "ws", "--seconds", "60"],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Whoever runs the tests in the background may ignore SIGINT, and its children would, too.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            self.addCleanup(process.kill)
            servers = self.await_children(process.pid)
            process.send_signal(ended_by)
            _, said = process.communicate(timeout=RUN_SECONDS)
            self.assertEqual(process.returncode, status, said)
            gone, alive = psutil.wait_procs(servers, timeout=RUN_SECONDS)
            self.assertEqual((len(gone), alive), (1, []))

    def await_children(self, pid: int) -> list[psutil.Process]:
        """The processes that this one has started, as soon as there are any that have been given work."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            children = psutil.Process(pid).children()
            if children and any(each.status == psutil.CONN_ESTABLISHED for each in children[0].net_connections()):
                return children
            time.sleep(0.05)
        raise AssertionError("no server was started")
