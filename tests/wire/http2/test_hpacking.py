"""Header blocks: what the cheap paths say is what the hpack library says, whatever came before."""

from __future__ import annotations

from typing import Any

from hpack import Decoder, Encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.fields import Field, MalformedFields, check_request
from quickpulse.wire.http2.hpacking import (
    MAX_REMEMBERED,
    MAX_REMEMBERED_BYTES,
    BlockReader,
    Known,
    literal,
)

VOLATILE = b"grpc-timeout"

PSEUDO = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), (b":authority", b"here")]


def interpret(fields: list[Field]) -> Known:
    """The fields themselves, without the volatile one."""
    length = check_request(fields)
    volatile = next((value for name, value in fields if name == VOLATILE), None)
    return Known([field for field in fields if field[0] != VOLATILE], length, volatile)


class Twin:
    """The plain way: the library, and the interpreter each time."""

    def __init__(self, max_list_bytes: int) -> None:
        self.decoder = Decoder(max_header_list_size=4 * max_list_bytes)

    def read(self, block: bytes) -> Any:
        """As BlockReader's, or what kind of fault."""
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(block, raw=True)]
        except Exception:
            return "compression"
        try:
            known = interpret(fields)
        except MalformedFields:
            return "malformed"
        return known.meaning, known.content_length, known.volatile


def read(reader: BlockReader, block: bytes) -> Any:
    """What the reader says, in the same words."""
    try:
        known, volatile = reader.read(block)
    except ConnectionFault as fault:
        return "compression" if fault.code is ErrorCode.COMPRESSION_ERROR else fault.code.name
    except MalformedFields:
        return "malformed"
    return known.meaning, known.content_length, volatile


names = st.sampled_from([b"x-a", b"x-b", b"content-type", b"content-length", VOLATILE, b"x-long", b"Bad", b":extra"])
values = st.one_of(
    st.sampled_from([b"", b"1", b"12", b"1S", b"100m", b"a b", b" a", b"a\n", b"x" * 100, b"y" * 1000, b"\xff"]),
    st.integers(0, 10**8).map(lambda n: b"%du" % n),
)
timeouts = st.integers(0, 10**8).map(lambda n: (VOLATILE, b"%du" % n, False))
ordinary = st.lists(st.tuples(names, values, st.booleans()), max_size=4)
grpc_like = st.lists(timeouts, max_size=1)

steps = st.one_of(
    st.tuples(st.just("block"), st.one_of(grpc_like, ordinary), st.booleans()),
    st.tuples(st.just("size"), st.sampled_from([0, 40, 100, 200, 500, 4096]), st.booleans()),
    st.tuples(st.just("raw"), st.binary(max_size=30), st.booleans()),
    st.tuples(st.just("again"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("form"), st.sampled_from([0x00, 0x10, 0x40]), st.binary(min_size=0, max_size=9)),
)


class DifferentialTests(SynchronousTestCase):
    """BlockReader beside the library."""

    @settings(max_examples=300, deadline=None)
    @given(st.lists(steps, max_size=40), st.sampled_from([600, 2000, 16_384]))
    def test_the_same_as_the_library(self, story: list[tuple[str, Any, Any]], max_list_bytes: int) -> None:
        """For random blocks, table sizes, evictions, forms, repetitions and broken bytes."""
        encoder, twin, reader = Encoder(), Twin(max_list_bytes), BlockReader(max_list_bytes, interpret, VOLATILE)
        past: list[bytes] = []
        for what, which, flag in story:
            if what == "size":
                encoder.header_table_size = which
                continue
            if what == "block":
                block = encoder.encode([*PSEUDO, *which], huffman=flag)
            elif what == "again" and past:
                block = past[-1 - which % len(past)]
            elif what == "form":
                block = past[-1][:5] + self.volatile_field(reader, which, flag) if past else b""
            else:
                block = which if isinstance(which, bytes) else b""
            past.append(block)
            expected, got = twin.read(block), read(reader, block)
            self.assertEqual(got, expected)
            table, theirs = reader._table, twin.decoder.header_table
            self.assertEqual((table.dynamic_entries, table.maxsize), (theirs.dynamic_entries, theirs.maxsize))
            if expected == "compression":
                break

    @staticmethod
    def volatile_field(reader: BlockReader, form: int, value: bytes) -> bytes:
        """The volatile field by an index of its name if the table has one, else by a literal name."""
        name = bytes((form,)) + bytes((len(VOLATILE),)) + VOLATILE
        for at, entry in enumerate(reader._table.dynamic_entries):
            if entry[0] == VOLATILE:
                index, most = 62 + at, 0x3F if form == 0x40 else 0x0F
                name = bytes((form | index,)) if index < most else bytes((form | most, index - most))
        return name + bytes((len(value),)) + value


class CheapPathTests(SynchronousTestCase):
    """What is remembered, and what is left to the library."""

    def setUp(self) -> None:
        """A reader that has seen a request, so that its entries are in the table."""
        self.asked = 0
        self.encoder = Encoder()
        self.reader = BlockReader(16_384, self.interpret, VOLATILE)
        self.reader.read(self.encoder.encode(PSEUDO))

    def interpret(self, fields: list[Field]) -> Known:
        """Count."""
        self.asked += 1
        return interpret(fields)

    def test_a_block_of_indexes_is_interpreted_once(self) -> None:
        """And the meaning is one object, also after the table has changed."""
        block = self.encoder.encode(PSEUDO)
        first, _ = self.reader.read(block)
        self.assertIs(self.reader.known[block], first)
        self.assertIs(self.reader.read(block)[0], first)
        self.reader.decode(self.encoder.encode([(b"x-other", b"1")]))
        self.assertEqual(self.reader.known, {})
        again = self.encoder.encode(PSEUDO)
        self.assertNotEqual(again, block)
        self.assertIs(self.reader.read(again)[0], first)
        self.assertEqual(self.asked, 2)

    def test_a_timeout_that_differs(self) -> None:
        """In each form, plain and coded, its value is told and the rest is one meaning."""
        meanings = set()
        for at in range(200):
            fields = [*PSEUDO, (VOLATILE, b"%dm" % at, at % 7 == 0)]
            known, volatile = self.reader.read(self.encoder.encode(fields, huffman=bool(at % 2)))
            self.assertEqual(volatile, b"%dm" % at)
            meanings.add(id(known.meaning))
        self.assertLess(self.asked, 10)

    def test_a_malformed_block_still_fills_the_table(self) -> None:
        """A timeout that enters behind fields that are no request's: the table is the encoder's."""
        encoder = Encoder()
        reader = BlockReader(16_384, interpret, VOLATILE)
        reader.decode(encoder.encode([*PSEUDO, (b":path", b"/twice")]))
        broken = encoder.encode([*PSEUDO, (b":path", b"/twice"), (VOLATILE, b"5S")])
        self.assertRaises(MalformedFields, reader.read, broken)
        self.assertEqual(reader._table.dynamic_entries, encoder.header_table.dynamic_entries)
        self.assertEqual(reader.read(encoder.encode([*PSEUDO, (VOLATILE, b"5S")]))[1], b"5S")

    def test_the_first_of_two_timeouts(self) -> None:
        """One in the table and one behind it: the one before counts, as by the library."""
        reader, encoder = BlockReader(16_384, interpret, VOLATILE), Encoder()
        reader.read(encoder.encode([*PSEUDO, (VOLATILE, b"1S")]))
        block = encoder.encode([*PSEUDO, (VOLATILE, b"1S")]) + b"\x00" + b"\x0cgrpc-timeout" + b"\x022S"
        self.assertEqual(reader.read(block)[1], b"1S")

    def test_a_value_that_is_not_allowed(self) -> None:
        """A line feed in the timeout is malformed on every path."""
        block = self.encoder.encode(PSEUDO)
        field = b"\x40\x0cgrpc-timeout\x031S\n"
        self.assertRaises(MalformedFields, self.reader.read, block + field)
        self.assertEqual(self.reader._table.dynamic_entries[0], (VOLATILE, b"1S\n"))

    def test_a_timeout_that_is_no_huffman_string(self) -> None:
        """The connection's fault, as any such string."""
        block = self.encoder.encode(PSEUDO) + b"\x40\x0cgrpc-timeout\x82\x1f\xff"
        fault = self.assertRaises(ConnectionFault, self.reader.read, block)
        self.assertEqual(fault.code, ErrorCode.COMPRESSION_ERROR)

    def test_what_is_remembered_is_bounded(self) -> None:
        """In number and in length, by block and by entries."""
        for at in range(3 * MAX_REMEMBERED):
            path = b"/%d" % at
            block = b"".join(literal(name, path if name == b":path" else value) for name, value in PSEUDO)
            self.reader.read(block)
            self.assertLessEqual(len(self.reader.known), MAX_REMEMBERED)
        kept = len(self.reader.known)
        fields = [*PSEUDO, (b"x-long", b"x" * MAX_REMEMBERED_BYTES)]
        self.reader.read(b"".join(literal(*field) for field in fields))
        self.assertEqual(len(self.reader.known), kept)
        base = self.encoder.encode(PSEUDO)
        for at in range(2 * MAX_REMEMBERED):
            self.reader.read(base + b"\x90" * (at + 1))  # accept-encoding, many times
            self.assertLessEqual(len(self.reader._by_entries), MAX_REMEMBERED)

    def test_a_bomb_of_indexes(self) -> None:
        """A list far over the limit from a short block ends the connection, and nothing of it stays."""
        self.reader.decode(self.encoder.encode([(b"x-big", b"x" * 3000)]))
        bomb = b"\xbe" * 400
        fault = self.assertRaises(ConnectionFault, self.reader.read, self.encoder.encode(PSEUDO) + bomb)
        self.assertEqual(fault.code, ErrorCode.COMPRESSION_ERROR)
        self.assertEqual(self.reader._by_entries, {})

    def test_an_index_past_the_end(self) -> None:
        """Cut off within a number, or within a string: the connection's fault."""
        for block in (b"\xff", b"\xff\x80", b"\x40", b"\x80", b"\xc8", b"\x0f", b"\x00\x0cgrpc-timeout", b"\x7f"):
            reader = BlockReader(16_384, interpret, VOLATILE)
            self.assertRaises(ConnectionFault, reader.read, block)

    def test_without_a_volatile_field(self) -> None:
        """Everything is a meaning of its own."""
        encoder, reader = Encoder(), BlockReader(16_384, interpret)
        fields = [*PSEUDO, (b"x-a", b"1")]
        for _ in range(3):
            self.assertEqual(reader.read(encoder.encode(fields))[0].meaning, fields)


class LiteralTests(SynchronousTestCase):
    """literal."""

    def test_any_length(self) -> None:
        """The library reads what we write, on both sides of each length of a length."""
        for size in (0, 1, 126, 127, 128, 254, 255, 16_000, 70_000):
            decoder = Decoder(max_header_list_size=100_000)
            self.assertEqual(decoder.decode(literal(b"x-a", b"v" * size), raw=True), [(b"x-a", b"v" * size)])
            self.assertEqual(len(decoder.header_table.dynamic_entries), 0)
