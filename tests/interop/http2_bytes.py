"""HTTP/2 by hand for tests: frames built from any bytes, and the server's read back. Nothing checks what is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from hpack import Decoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)

Field = tuple[bytes, bytes]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", *, says: int | None = None) -> bytes:
    """One frame (RFC 9113, section 4.1); `says` is a length that need not be true."""
    size = len(payload) if says is None else says
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs))


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream: int, code: int = CANCEL) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """An integer with a prefix of `bits` bits (RFC 7541, section 5.1); `first` holds the bits before it."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    coded, value = bytearray((first | most,)), value - most
    while value >= 0x80:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def string(text: bytes) -> bytes:
    """A string that is not Huffman-coded (section 5.2)."""
    return integer(len(text), 7) + text


def literal(name: bytes, value: bytes) -> bytes:
    """A field that touches no table (section 6.2.2)."""
    return b"\x00" + string(name) + string(value)


def entering(name: bytes, value: bytes) -> bytes:
    """A field that enters the table (section 6.2.1)."""
    return b"\x40" + string(name) + string(value)


def block(fields: Iterable[Field]) -> bytes:
    """A header block of such fields."""
    return b"".join(literal(name, value) for name, value in fields)


def fields_of(path: str, *more: Field, **instead: str | None) -> list[Field]:
    """The fields of a gRPC request.

    :param more: fields after them.
    :param instead: other values, by name with underscores for hyphens; None leaves the field out.
    """
    usual: dict[str, str | None] = {
        "method": "POST",
        "scheme": "http",
        "path": path,
        "authority": "127.0.0.1",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    usual.update({name.replace("_", "-"): value for name, value in instead.items()})
    pseudo = ("method", "scheme", "path", "authority")
    named = [((":" if name in pseudo else "") + name, value) for name, value in usual.items() if value is not None]
    return [*((name.encode(), value.encode()) for name, value in named), *more]


def headers(stream: int, fields: Iterable[Field], flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame of literals."""
    return frame(HEADERS, flags, stream, block(fields))


def data(stream: int, payload: bytes, flags: int = END_STREAM) -> bytes:
    """A DATA frame."""
    return frame(DATA, flags, stream, payload)


def message(body: bytes, flag: int = 0, *, says: int | None = None) -> bytes:
    """A gRPC message with its prefix."""
    return bytes((flag,)) + (len(body) if says is None else says).to_bytes(4, "big") + body


def payload_message(payload: bytes) -> bytes:
    """A ProduceRequest or StreamMessage of one payload."""
    size, coded = len(payload), bytearray(b"\x0a")
    while size >= 0x80:
        coded.append(size & 0x7F | 0x80)
        size >>= 7
    coded.append(size)
    return message(bytes(coded) + payload)


def payload_in(framed: bytes) -> bytes:
    """The payload of a ConsumeResponse or StreamMessage that has one."""
    at, size, shift = 6, 0, 0
    while True:
        byte = framed[at]
        size |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return framed[at : at + size]


class Frame(NamedTuple):
    """One frame that came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def read_frames(received: bytes) -> Iterator[Frame]:
    """The complete frames; what is cut off at the end is left out."""
    at = 0
    while len(received) - at >= 9:
        end = at + 9 + int.from_bytes(received[at : at + 3], "big")
        if end > len(received):
            return
        stream = int.from_bytes(received[at + 5 : at + 9], "big")
        yield Frame(received[at + 3], received[at + 4], stream, received[at + 9 : end])
        at = end


class Answers:
    """What a server's frames say.

    :ivar goaway: the code of the last GOAWAY; None without.
    :ivar resets: stream to code of RST_STREAM.
    :ivar bodies: stream to its DATA.
    :ivar pongs: what PING acknowledgements carried.
    """

    def __init__(self, received: bytes) -> None:
        self.received = received
        self.goaway: int | None = None
        self.resets: dict[int, int] = {}
        parts: dict[int, list[bytes]] = {}
        self.pongs: list[bytes] = []
        self._blocks: list[tuple[int, bytes]] = []
        for kind, flags, stream, payload in read_frames(received):
            if kind == DATA:
                parts.setdefault(stream, []).append(payload)
            elif kind == HEADERS:
                self._blocks.append((stream, payload))
            elif kind == GOAWAY:
                self.goaway = int.from_bytes(payload[4:8], "big")
            elif kind == RST_STREAM:
                self.resets[stream] = int.from_bytes(payload, "big")
            elif kind == PING and flags & ACK:
                self.pongs.append(payload)
        self.bodies = {stream: b"".join(chunks) for stream, chunks in parts.items()}

    @cached_property
    def fields(self) -> dict[int, dict[bytes, bytes]]:
        """Stream to all fields of its HEADERS."""
        decoder, found = Decoder(), dict[int, dict[bytes, bytes]]()
        for stream, coded in self._blocks:
            pairs = decoder.decode(coded, raw=True)
            found.setdefault(stream, {}).update((bytes(name), bytes(value)) for name, value in pairs)
        return found

    def status(self, stream: int) -> int | None:
        """The HTTP status of a stream's answer."""
        status = self.fields.get(stream, {}).get(b":status")
        return None if status is None else int(status)

    def grpc_status(self, stream: int) -> int | None:
        """The gRPC status of a stream's answer."""
        status = self.fields.get(stream, {}).get(b"grpc-status")
        return None if status is None else int(status)


def entered(fields: Iterable[Field]) -> bytes:
    """A block whose fields enter the table."""
    return b"".join(entering(name, value) for name, value in fields)


def indexes(count: int) -> bytes:
    """A block of the `count` fields that entered the table last, in their order (section 6.1)."""
    return b"".join(integer(61 + at, 7, 0x80) for at in range(count, 0, -1))


def pipelined(path: str, body: bytes, count: int, first: int = 1) -> bytes:
    """Many calls with the same body, as short as a client can make them; they must be the first of a connection."""
    fields = fields_of(path)
    begin = frame(HEADERS, END_HEADERS, first, entered(fields)) + data(first, body)
    parts = frame(HEADERS, END_HEADERS, 0, indexes(len(fields))).split(bytes(4), 1)
    parts = [parts[0], parts[1] + data(0, body)[:5], body]
    return begin + b"".join([at.to_bytes(4, "big").join(parts) for at in range(first + 2, first + 2 * count, 2)])
