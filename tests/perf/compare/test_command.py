"""Whole runs of `perf compare`, short ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from perf.load.rows import MODES
from tests.perf.running import run_perf


class CommandTests(SynchronousTestCase):
    """As a user runs it."""

    def test_every_kind(self) -> None:
        """A few hundred messages of each kind against our server; every answer and counter is right."""
        rows = [f"{kind}:3x10:300" for kind in MODES]
        path = self.mktemp()
        done = run_perf("compare", *rows, "--servers", "ours", "--rounds", "1", "--json", str(Path(path).resolve()))
        self.assertEqual(done.status, 0, done.errors)
        measured = json.loads(Path(path).read_text())["rows"]
        self.assertEqual([row["row"] for row in measured], rows)
        for row in measured:
            self.assertGreater(row["servers"]["ours"]["rate"], 0)
            self.assertIn(f"| {row['row']} | ours |", done.output)

    def test_everything_at_once(self) -> None:
        """Stock servers and the echo, prefilled and deep queues, large payloads, idle connections, pinned, a PNG."""
        png = Path(self.mktemp()).resolve()
        rows = ("ws-consume:2x5:100:depth=500:idle=4", "unary-consume:1x1:50:payload=5000", "stream:2x5:100:depth=300")
        done = run_perf("compare", *rows, "--rounds", "1", "--pin", "--png", str(png))
        self.assertEqual(done.status, 0, done.errors)
        self.assertEqual([done.output.count(f"| {name} |") for name in ("ours", "stock", "echo")], [3, 3, 1])
        self.assertTrue(png.read_bytes().startswith(b"\x89PNG"))

    def test_wrong_server(self) -> None:
        """One that answers wrongly fails the run; no figures are shown."""
        wrong = f"wrong={sys.executable} -m perf.servers.echo {{port}}"
        done = run_perf("compare", "ws-publish:1x1:50", "--servers", "echo", "--rounds", "1", "--other", wrong)
        self.assertEqual((done.status, done.output), (1, ""))
        self.assertIn("FAULT: ws-publish:1x1:50 on wrong: load: no WebSocket here", done.errors)

    def test_full_queue(self) -> None:
        """Our own refusals are wrong answers too."""
        done = run_perf(
            "compare", "ws-publish:2x5:100", "--servers", "ours", "--ours", "--capacity 50", "--rounds", "1"
        )
        self.assertEqual((done.status, done.output), (1, ""))
        self.assertIn("wrong answer: b'\\x81\\x14error: queue is full'", done.errors)

    def test_server_that_does_not_start(self) -> None:
        """Unavailable, with its last words."""
        done = run_perf("compare", "ws-publish:1x1:50", "--servers", "ours", "--ours=--nonsense", "--rounds", "1")
        self.assertEqual((done.status, done.output), (5, ""))
        self.assertIn("nonsense", done.errors)

    def test_wrong_usage(self) -> None:
        """Status 2."""
        self.assertEqual(run_perf("compare", "ws:1x1").status, 2)
