"""Rows of a curve, and its arithmetic."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.compare.figures import Figures, figures
from perf.compare.measure import Measurement
from perf.scale.curves import Curve, points


def cost(microseconds: float | None, held: int | None = None) -> Figures:
    """Figures of a server that took so long for each message, and holds so many bytes."""
    return figures({"ours": [Measurement(1000.0, 0.5, 0.5, microseconds, False, held)]})["ours"]


class CurveTests(SynchronousTestCase):
    """One number changes."""

    def test_rows(self) -> None:
        """All else is the same; ten thousand connections get as many messages as they have in flight."""
        rows = [row.text for row in Curve("stream", "payload", (1, 4096)).rows(1000)]
        self.assertEqual(rows, ["stream:10x20:1000:payload=1", "stream:10x20:1000:payload=4096"])
        rows = [row.text for row in Curve("ws-publish", "connections", (1, 10_000)).rows(1000)]
        self.assertEqual(rows, ["ws-publish:1x20:1000", "ws-publish:10000x20:200000"])

    def test_points(self) -> None:
        """Cost as a multiple of the first, and for each byte more."""
        made = points(Curve("stream", "payload", (1, 101, 201)), [cost(2.0), cost(3.0), cost(3.5)])
        self.assertEqual([point.to_first for point in made], [1.0, 1.5, 1.75])
        self.assertEqual([point.nanoseconds_a_byte for point in made], [None, 10.0, 5.0])
        made = points(Curve("stream", "depth", (0, 1)), [cost(2.0), cost(None)])
        self.assertEqual([point.to_first for point in made], [1.0, None])
        self.assertEqual([point.nanoseconds_a_byte for point in made], [None, None])

    def test_memory(self) -> None:
        """What each connection or queued message takes, above the first point."""
        made = points(Curve("stream", "idle", (10, 20, 110)), [cost(1.0, 5000), cost(1.0, 6000), cost(1.0, 25000)])
        self.assertEqual([point.bytes_each for point in made], [None, 100.0, 200.0])
        made = points(Curve("stream", "idle", (10, 20)), [cost(1.0, 5000), cost(1.0)])
        self.assertEqual([point.bytes_each for point in made], [None, None])
