"""Header blocks (RFC 7541): ours as bytes that cost the server what an ordinary client's do, the server's decoded.

Plain calls are as nghttp2 (h2load) sends them: the path is a literal each time, the other fields enter the table once
and are indexes afterwards. With timeouts they are as grpc-go sends them: the path is in the table too, and a
grpc-timeout that differs in each call is a Huffman-coded literal that enters it, so that the older fields move on, and
are sent anew when they have fallen out.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpack import Decoder
from hpack.exceptions import HPACKError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from perf.load.faults import LoadFaultError

_METHOD_POST, _SCHEME_HTTP = b"\x83", b"\x86"

_WITH_INDEXING = b"\x40"

_PATH_WITHOUT_INDEXING = b"\x04"
"""The name is an index into the static table."""

_FIRST_DYNAMIC_INDEX = 62

RENEWAL = 70
"""Timeouts in the table after which the fields are sent anew: the table's 4,096 bytes hold about 80 entries."""

MAX_KNOWN = 128
"""Blocks of a connection that are remembered; honest servers have a handful."""


def call_blocks(path: str, authority: str) -> Iterator[bytes]:
    """Blocks of calls without timeouts, one connection's."""
    coded = _huffman(path.encode())
    head = _METHOD_POST + _SCHEME_HTTP + _PATH_WITHOUT_INDEXING + bytes((0x80 | len(coded),)) + coded
    fields = _fields(authority)
    yield head + b"".join(fields)
    later = head + _indexes(len(fields), 0)
    while True:
        yield later


def timeout_blocks(path: str, authority: str, serials: Iterator[int]) -> Iterator[bytes]:
    """Blocks of calls with the timeouts of these numbers, one connection's."""
    start = _METHOD_POST + _SCHEME_HTTP
    fields = (_entering(":path", path), *_fields(authority))
    first = start + b"".join(fields)
    later = [start + _indexes(len(fields), age) for age in range(1, RENEWAL)]
    prefix = _WITH_INDEXING + _string(b"grpc-timeout")
    age = 0
    for serial in serials:
        value = _huffman(b"%du" % (4_000_000 + serial % 1_000_000))
        yield (later[age - 1] if age else first) + prefix + bytes((0x80 | len(value),)) + value
        age = (age + 1) % RENEWAL


class AnswerBlocks:
    """Decodes the server's header blocks; a known one costs a look into a set.

    A block means the same as before only as long as the table is the same.

    is_grpc: whether calls end with a grpc-status
    """

    def __init__(self, is_grpc: bool) -> None:
        self.is_grpc = is_grpc
        self._decoder = Decoder()
        self.known_heads: set[bytes] = set()
        self.known_trailers: set[bytes] = set()

    def read(self, block: bytes, is_end: bool) -> dict[bytes, bytes] | None:
        """A block that is not known: None if it is a good answer's, else its fields. Raises LoadFaultError."""
        table = self._decoder.header_table.dynamic_entries
        before = (len(table), table[0] if table else None)
        try:
            fields = dict(self._decoder.decode(block, raw=True))
        except HPACKError as error:
            raise LoadFaultError(f"a header block cannot be read: {error!r}") from None
        name, due = (b"grpc-status", b"0") if is_end else (b":status", b"200")
        is_bad = fields.get(name) != due and (self.is_grpc or not is_end)
        if (len(table), table[0] if table else None) != before:
            self.known_heads.clear()
            self.known_trailers.clear()
        elif not is_bad:
            known = self.known_trailers if is_end else self.known_heads
            if len(known) >= MAX_KNOWN:
                known.clear()
            known.add(block)
        return fields if is_bad else None


def readable(fields: dict[bytes, bytes]) -> str:
    """Fields for people."""
    return ", ".join(f"{name.decode()}: {value.decode('latin-1')}" for name, value in fields.items())


def _fields(authority: str) -> tuple[bytes, ...]:
    fields = ((":authority", authority), ("content-type", "application/grpc"), ("te", "trailers"))
    return tuple(_entering(name, value) for name, value in fields)


def _entering(name: str, value: str) -> bytes:
    return _WITH_INDEXING + _string(name.encode()) + _string(value.encode())


def _indexes(count: int, age: int) -> bytes:
    """The `count` fields that entered the table before `age` others."""
    return b"".join(_indexed(_FIRST_DYNAMIC_INDEX + age + at) for at in reversed(range(count)))


def _string(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes((len(text),)) + text


def _indexed(index: int) -> bytes:
    return bytes((0x80 | index,)) if index < 127 else bytes((0xFF, index - 127))


def _huffman(text: bytes) -> bytes:
    bits = length = 0
    for byte in text:
        width = REQUEST_CODES_LENGTH[byte]
        bits, length = bits << width | REQUEST_CODES[byte], length + width
    padding = -length % 8
    return (bits << padding | (1 << padding) - 1).to_bytes((length + padding) // 8, "big")
