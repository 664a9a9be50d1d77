"""Header blocks: what the load sends is read by the hpack library, what it gets is judged."""

from __future__ import annotations

from itertools import count, islice

from hpack import Decoder
from twisted.trial.unittest import SynchronousTestCase

from perf.load.faults import LoadFaultError
from perf.load.headers import MAX_KNOWN, RENEWAL, AnswerBlocks, call_blocks, timeout_blocks

PATH, AUTHORITY = "/messagequeue.MessageQueue/Produce", "127.0.0.1:50051"

FIELDS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", PATH),
    (":authority", AUTHORITY),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class RequestTests(SynchronousTestCase):
    """An independent decoder understands each block in turn."""

    def test_calls(self) -> None:
        """The same fields each time; all blocks but the first are the same bytes."""
        decoder, blocks = Decoder(), list(islice(call_blocks(PATH, AUTHORITY), 5))
        self.assertEqual([decoder.decode(block) for block in blocks], [FIELDS] * 5)
        self.assertEqual(len(set(blocks)), 2)

    def test_timeouts(self) -> None:
        """Another timeout each time, entering the table, also when the older fields are sent anew."""
        decoder = Decoder()
        for serial, block in enumerate(islice(timeout_blocks(PATH, AUTHORITY, count(5)), 3 * RENEWAL)):
            self.assertEqual(decoder.decode(block), [*FIELDS, ("grpc-timeout", f"{4_000_005 + serial}u")])
            self.assertEqual(decoder.header_table.dynamic_entries[0][0], b"grpc-timeout")


class AnswerTests(SynchronousTestCase):
    """Good answers are remembered while they mean the same."""

    def test_known(self) -> None:
        """A block that changes no table is known from then on."""
        blocks = AnswerBlocks(is_grpc=True)
        blocks.read(b"\x88", is_end=False)
        blocks.read(b"\x00\x0bgrpc-status\x010", is_end=True)
        self.assertEqual((blocks.known_heads, len(blocks.known_trailers)), ({b"\x88"}, 1))

    def test_table_changes(self) -> None:
        """One that does is not; and what was known is looked at again."""
        blocks = AnswerBlocks(is_grpc=True)
        blocks.read(b"\x88", is_end=False)
        blocks.read(b"\x88\x40\x01a\x01b", is_end=False)
        self.assertEqual(blocks.known_heads, set())
        blocks.read(b"\x88\xbe", is_end=False)
        self.assertEqual(blocks.known_heads, {b"\x88\xbe"})

    def test_bad(self) -> None:
        """Another status, another grpc-status or none: what it says is told, and is not remembered."""
        for block, is_end, fields in (
            (b"\x8d", False, {b":status": b"404"}),
            (b"\x00\x0bgrpc-status\x015", True, {b"grpc-status": b"5"}),
            (b"\x88", True, {b":status": b"200"}),
        ):
            blocks = AnswerBlocks(is_grpc=True)
            self.assertEqual(blocks.read(block, is_end), fields)
            self.assertEqual((blocks.known_heads, blocks.known_trailers), (set(), set()))

    def test_no_block(self) -> None:
        """Bytes that are none."""
        self.assertRaises(LoadFaultError, AnswerBlocks(is_grpc=True).read, b"\xff\xff\xff\xff\x0f", False)

    def test_few_are_remembered(self) -> None:
        """A server whose answers differ each time does not fill the memory."""
        blocks = AnswerBlocks(is_grpc=True)
        for number in range(3 * MAX_KNOWN):
            self.assertIsNone(blocks.read(b"\x88\x00\x01a\x03%03d" % number, is_end=False))
        self.assertLessEqual(len(blocks.known_heads), MAX_KNOWN)

    def test_without_grpc(self) -> None:
        """Plain HTTP/2 ends as it likes."""
        self.assertIsNone(AnswerBlocks(is_grpc=False).read(b"\x00\x01a\x01b", is_end=True))
        self.assertEqual(AnswerBlocks(is_grpc=False).read(b"\x8d", is_end=False), {b":status": b"404"})
