"""Messages in a body: cut anywhere, compressed or not, too long or broken."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.grpc.framing import (
    MAX_INFLATED,
    OVERHEAD_BYTES,
    PREFIX,
    MessageReader,
    framed,
    read_one,
    whole_messages,
)
from quickpulse.wire.grpc.status import RpcError, Status

LIMIT = 1000


def zipped(message: bytes) -> bytes:
    """Compressed and framed."""
    data = gzip.compress(message)
    return PREFIX.pack(1, len(data)) + data


class FramingTests(SynchronousTestCase):
    """MessageReader and read_one."""

    def reader(self, is_compressed: bool = True) -> MessageReader:
        """For short messages."""
        return MessageReader(LIMIT, is_compressed)

    def refused(self, status: Status, body: bytes, is_compressed: bool = True) -> str:
        """The same whole, byte by byte and as one message; why."""
        whole = self.assertRaises(RpcError, self.reader(is_compressed).feed, [body])
        single = self.reader(is_compressed)

        def feed() -> None:
            for at in range(len(body)):
                single.feed([body[at : at + 1]])

        singly = self.assertRaises(RpcError, feed)
        one = self.assertRaises(RpcError, read_one, body, LIMIT, is_compressed)
        self.assertEqual({error.status for error in (whole, singly, one)}, {status})
        self.assertEqual(len({str(error) for error in (whole, singly, one)}), 1)
        return str(whole)

    def test_whole_messages(self) -> None:
        """The message of a body that is one; None of any other."""
        message = framed(b"message")
        others = [b"", b"\0", message[:4], message[:-1], message + b"\0", message * 2, zipped(b"message"), b"\xff" * 5]
        self.assertEqual(whole_messages([message, *others, framed(b"")]), [b"message", *[None] * len(others), b""])

    def test_each_way(self) -> None:
        """Whole, byte by byte, and with the beginning of another behind."""
        messages = [b"", b"a", b"b" * 255, b"c" * 256, b"", b"d" * LIMIT]
        data = b"".join(map(framed, messages))
        self.assertEqual(self.reader().feed([data]), messages)
        single, got = self.reader(), []
        for at in range(len(data)):
            got += single.feed([data[at : at + 1]])
        self.assertEqual((got, single.buffered_bytes), (messages, 0))
        tailed = self.reader()
        self.assertEqual(tailed.feed([data + framed(b"next")[:6]]), messages)
        self.assertEqual(tailed.buffered_bytes, 6)
        self.assertEqual(tailed.feed([framed(b"next")[6:], framed(b"x")]), [b"next", b"x"])

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.binary(max_size=30), st.booleans())), st.data())
    def test_any_cuts(self, messages: list[tuple[bytes, bool]], data: st.DataObject) -> None:
        """What was framed comes out, in any chunks of any reads."""
        body = b"".join((zipped if is_zipped else framed)(message) for message, is_zipped in messages)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=10)))
        parts = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        reader, got = self.reader(), []
        while parts:
            count = data.draw(st.integers(1, len(parts)))
            got += reader.feed(parts[:count])
            while reader.is_unfinished:
                got += reader.feed([])
            del parts[:count]
        self.assertEqual((got, reader.buffered_bytes), ([message for message, _ in messages], 0))

    def test_read_one(self) -> None:
        """One message and nothing else."""
        for message in (b"", b"a", b"x" * 300):
            self.assertEqual(read_one(framed(message), LIMIT, False), message)
            self.assertEqual(read_one(zipped(message), LIMIT, True), message)
            deflated = zlib.compress(message)
            self.assertEqual(read_one(PREFIX.pack(1, len(deflated)) + deflated, LIMIT, True), message)
        for body in (b"", b"\0\0", framed(b"a")[:-1], framed(b"a") + b"\0", framed(b"a") * 2):
            error = self.assertRaises(RpcError, read_one, body, LIMIT, True)
            self.assertEqual((error.status, str(error)), (Status.INTERNAL, "the request's body is not one message"))

    def test_flags(self) -> None:
        """Only 0, and 1 where there is a compression."""
        self.refused(Status.INTERNAL, b"\x02" + framed(b"abc")[1:])
        self.assertIn("no compression", self.refused(Status.INTERNAL, zipped(b"abc"), is_compressed=False))

    def test_too_long(self) -> None:
        """Told by the prefix, before the message has come."""
        for flag in (0, 1):
            text = self.refused(Status.RESOURCE_EXHAUSTED, PREFIX.pack(flag, LIMIT + OVERHEAD_BYTES + 1))
            self.assertIn(str(LIMIT), text)
        reader = self.reader()
        self.assertEqual(reader.feed([PREFIX.pack(0, LIMIT + OVERHEAD_BYTES)]), [])

    def test_bombs(self) -> None:
        """Never more than the limit is unpacked."""
        bomb = zipped(bytes(LIMIT + OVERHEAD_BYTES + 1))
        self.assertIn("compressed message is over", self.refused(Status.RESOURCE_EXHAUSTED, bomb))
        self.assertEqual(self.reader().feed([zipped(bytes(LIMIT + OVERHEAD_BYTES))]), [bytes(LIMIT + OVERHEAD_BYTES)])

    def test_broken_compression(self) -> None:
        """Neither gzip nor deflate, deflate without its head, cut off, or with something behind."""
        whole = gzip.compress(b"message")
        for data in (b"no gzip", zlib.compress(b"message")[2:-4], whole[:-1], whole + b"x", b""):
            self.refused(Status.INTERNAL, PREFIX.pack(1, len(data)) + data)

    def test_what_came_before_a_fault(self) -> None:
        """Is returned; the next call raises, and so does every other."""
        for wrong, status in (
            (b"\x02\0\0\0\0", Status.INTERNAL),
            (PREFIX.pack(1, 3) + b"bad", Status.INTERNAL),
            (PREFIX.pack(0, 10**6), Status.RESOURCE_EXHAUSTED),
        ):
            reader = self.reader()
            self.assertEqual(reader.feed([framed(b"a") + zipped(b"b") + wrong]), [b"a", b"b"])
            for _ in range(2):
                self.assertEqual(self.assertRaises(RpcError, reader.feed, [b"x"]).status, status)
            error = self.assertRaises(RpcError, read_one, framed(b"a") + wrong, LIMIT, True)
            self.assertEqual(error.status, status)

    def test_compressed_ones_take_turns(self) -> None:
        """A few at once; `is_unfinished` says that there are more."""
        reader = self.reader()
        count = 2 * MAX_INFLATED + 1
        got = [reader.feed([zipped(b"m") * count])]
        while reader.is_unfinished:
            got.append(reader.feed([]))
        self.assertEqual([len(messages) for messages in got], [MAX_INFLATED, MAX_INFLATED, 1])

    def test_clear(self) -> None:
        """What was not complete is forgotten, and the reader is as new."""
        reader = self.reader()
        reader.feed([framed(b"x" * 100)[:50]])
        reader.clear()
        self.assertEqual(reader.buffered_bytes, 0)
        self.assertEqual(reader.feed([framed(b"a")[:3]]), [])
        self.assertEqual(reader.feed([framed(b"a")[3:]]), [b"a"])
