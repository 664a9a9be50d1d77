"""A whole run of `perf scale`, a short one."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from perf.scale.curves import AXES
from tests.perf.running import run_perf


class CommandTests(SynchronousTestCase):
    """As a user runs it."""

    def test_curves(self) -> None:
        """Two points on each axis: tables, JSON and a chart each."""
        folder, path = Path(self.mktemp()).resolve(), Path(self.mktemp()).resolve()
        axes = ("--connections", "1,30", "--idle", "0,5", "--depth", "0,500", "--payload", "1,5000")
        done = run_perf("scale", *axes, "--messages", "400", "--png", str(folder), "--json", str(path))
        self.assertEqual(done.status, 0, done.errors)
        curves = json.loads(path.read_text())["curves"]
        self.assertEqual([curve["axis"] for curve in curves], list(AXES))
        for curve in curves:
            self.assertEqual(len(curve["measured"]), 2)
            self.assertIn(f"| {AXES[curve['axis']]} |", done.output)
            self.assertTrue((folder / f"ws-publish-{curve['axis']}.png").read_bytes().startswith(b"\x89PNG"))

    def test_fault(self) -> None:
        """A wrong answer ends it."""
        done = run_perf("scale", "--depth", "0", "--messages", "400", "--ours", "--capacity 50")
        self.assertEqual((done.status, done.output), (1, ""))
