"""Rows as they are written."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.load.rows import MODES, Row, RowError, parse_row

WRONG = (
    "",
    "ws",
    "ws-publish",
    "ws-publish:10",
    "ws-publish:0x20",
    "ws-publish:10x0",
    "ws-publish:-1x20",
    "ws-publish:60001x1",
    "ws-publish:1x1:0",
    "ws-publish:1x1:many",
    "ws-publish:1x1:5:6",
    "ws-publish:1x1:payload",
    "ws-publish:1x1:payload=0",
    "ws-publish:1x1:payload=16777217",
    "ws-publish:1x1:payload=11:payload=12",
    "ws-publish:1x1:depth=-1",
    "ws-publish:1x1:weight=5",
    "ws-publish:1x1:messages=5=6",
    "ws-consume:1x1:100000:payload=1048576",
    "stream:1000x1000:payload=1048576",
)


class RowTests(SynchronousTestCase):
    """Text to rows, and what follows from a row."""

    def test_parts(self) -> None:
        """Everything that a row may say, in any order."""
        row = parse_row("unary-consume:10x20:5000:idle=7:payload=100:depth=300")
        self.assertEqual(row, Row("unary-consume", 10, 20, 5000, payload=100, depth=300, idle=7))
        self.assertEqual(parse_row("ws-publish:1x1"), Row("ws-publish", 1, 1, None, payload=11, depth=0, idle=0))

    def test_text(self) -> None:
        """A row's text is read as the same row."""
        for kind in MODES:
            for tail in ("", ":500", ":payload=5", ":500:payload=5:depth=6:idle=7"):
                row = parse_row(f"{kind}:3x4{tail}")
                self.assertEqual(row.text, f"{kind}:3x4{tail}")
                self.assertEqual(parse_row(row.text), row)

    def test_wrong(self) -> None:
        """What is no row is refused."""
        for text in WRONG:
            self.assertRaises(RowError, parse_row, text)

    def test_messages(self) -> None:
        """A number that was said stays; another is lessened by the payload, to one window at least."""
        self.assertEqual(parse_row("ws-publish:1x1:7").with_messages(100).messages, 7)
        self.assertEqual(parse_row("ws-publish:1x1").with_messages(100).messages, 100)
        self.assertEqual(parse_row("ws-publish:1x1:payload=1048576").with_messages(1000).messages, 128)
        self.assertEqual(parse_row("ws-publish:10x20:payload=1048576").with_messages(1000).messages, 200)

    def test_prefill(self) -> None:
        """A consumer never finds the queue empty, nor less deep than the row says."""
        self.assertEqual(parse_row("ws-publish:10x20:1000").prefill, 0)
        self.assertEqual(parse_row("ws-publish:10x20:1000:depth=50").prefill, 50)
        for kind in ("ws-consume", "unary-consume"):
            self.assertGreaterEqual(parse_row(f"{kind}:10x20:1000:depth=50").prefill, 1000 + 10 * 20 + 50)
        self.assertEqual(parse_row("stream:10x20:1000").prefill, 0)
        self.assertGreaterEqual(parse_row("stream:10x20:1000:depth=5").prefill, 1000 + 10 * 20)
