"""Cores, and our counters against what was sent."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from perf.compare import measure
from perf.http_pages import ServerCounters
from perf.load.rows import parse_row


class CoresTests(SynchronousTestCase):
    """Who runs where."""

    def test_pinned(self) -> None:
        """Single messages share a core; others have one each, where there are two; threads are not bound."""
        usable = sorted(os.sched_getaffinity(0))
        self.assertEqual(measure.cores_for(parse_row("stream:50x1"), True, True), (usable[0], usable[0]))
        self.assertEqual(measure.cores_for(parse_row("stream:50x2"), True, False), (usable[0], usable[-1]))
        self.assertEqual(measure.cores_for(parse_row("stream:50x2"), True, True), (None, usable[-1]))
        self.assertEqual(measure.cores_for(parse_row("stream:50x1"), False, False), (None, None))


class CountersTests(SynchronousTestCase):
    """What /metrics must say."""

    def check(self, kind: str, counters: ServerCounters | None) -> None:
        """With 100 messages sent."""

        async def read(host: str, port: int) -> ServerCounters | None:
            return counters

        self.patch(measure.http_pages, "read_counters", read)
        measure._check_counters(parse_row(f"{kind}:1x1"), 1, 100)

    def test_right(self) -> None:
        """In for those that put in, out for those that take out, both for a stream."""
        for kind in ("ws-publish", "unary-produce", "timeouts"):
            self.check(kind, ServerCounters(100, 0))
        for kind in ("ws-consume", "unary-consume"):
            self.check(kind, ServerCounters(0, 100))
        self.check("stream", ServerCounters(100, 100))

    def test_wrong(self) -> None:
        """One too few, one too many, or no page at all."""
        for counters in (ServerCounters(99, 0), ServerCounters(101, 0), ServerCounters(100, 1), None):
            self.assertRaises(measure.WrongRunError, self.check, "ws-publish", counters)
