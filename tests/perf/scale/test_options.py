"""The command line of `perf scale`."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from perf.scale.curves import DEFAULT_POINTS, Curve
from perf.scale.options import parse

WRONG = (
    ["ws"],
    ["--connections", "0"],
    ["--connections", "1,many"],
    ["--payload", ""],
    ["--payload", "16777217"],
    ["--messages", "0"],
    ["--rounds", "-1"],
)


class OptionsTests(SynchronousTestCase):
    """What is given, and what is wrong."""

    def test_defaults(self) -> None:
        """Every axis with its usual points, for WebSocket."""
        curves = parse([]).curves
        self.assertEqual(curves, tuple(Curve("ws-publish", axis, points) for axis, points in DEFAULT_POINTS.items()))

    def test_chosen(self) -> None:
        """Only the axes that were named, for each kind; points in order."""
        options = parse(["stream", "unary-produce", "--depth", "100,0,100", "--messages", "7", "--rounds", "2"])
        self.assertEqual(
            options.curves, (Curve("stream", "depth", (0, 100)), Curve("unary-produce", "depth", (0, 100)))
        )
        self.assertEqual((options.messages, options.rounds), (7, 2))

    def test_wrong(self) -> None:
        """Status 2, before anything is done."""
        for arguments in WRONG:
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(self.assertRaises(SystemExit, parse, arguments).code, 2, arguments)
