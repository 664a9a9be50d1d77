"""The gRPC connections of the load: unary calls, and one streaming call a connection."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, repeat

from perf.load.faults import LoadFaultError, wrong_answer
from perf.load.headers import call_blocks, timeout_blocks
from perf.load.http2 import MOST_DATA_BYTES, Http2Link
from perf.load.link import HOST, Link
from perf.load.numbered import alike, numbered
from perf.load.rows import Row
from quickpulse.wire.http2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, frame

PRODUCED = b"\0\0\0\0\x02\x08\x01"
"""ProduceResponse{success: true}, framed for gRPC."""

TIMEOUTS_APART = 7_919
"""From one connection's timeouts to the next one's, so that the server meets each of them once."""

_METHODS = {
    "unary-produce": "Produce",
    "timeouts": "Produce",
    "unary-consume": "Consume",
    "stream": "StreamMessages",
}


class UnaryLink(Http2Link):
    """A connection with a window of calls.

    answer: the message that each must bring, or None where they are kept in `taken` and compared after the clock
    answer_bytes: its size
    """

    def __init__(
        self,
        port: int,
        row: Row,
        windows: Windows,
        answer: bytes | None,
        answer_bytes: int,
        is_grpc: bool = True,
    ) -> None:
        self.taken: list[bytes] = []
        self._answer, self._answer_bytes = answer, answer_bytes
        self._open_streams: set[int] = set()
        self._answered: set[int] = set()
        self._parts: dict[int, list[bytes]] = {}
        each = windows.data_bytes // row.in_flight
        super().__init__(port, windows.bytes_of, row.in_flight, windows.data_bytes, each, is_grpc)
        self.expect_answers_of(row.in_flight * (answer_bytes + 200))

    def start_window(self) -> None:
        """The next calls; their streams are open from here."""
        first = 2 * self.in_flight * self._windows + 1
        self._open_streams.update(range(first, first + 2 * self.in_flight, 2))
        super().start_window()

    def on_data(self, stream: int, body: bytes) -> None:
        """An answer, or a part of a large one."""
        if len(body) != self._answer_bytes or stream in self._parts:
            parts = self._parts.setdefault(stream, [])
            parts.append(body)
            if sum(map(len, parts)) < self._answer_bytes:
                return
            body = b"".join(self._parts.pop(stream))
        if self._answer is None:
            if len(body) != self._answer_bytes:
                raise wrong_answer(body)
            self.taken.append(body)
        elif body != self._answer:
            raise wrong_answer(body, self._answer)
        if stream in self._answered:
            raise LoadFaultError(f"stream {stream} was answered twice")
        self._answered.add(stream)

    def on_end(self, stream: int) -> None:
        """The call is over; it must have been open, and answered."""
        try:
            self._open_streams.remove(stream)
            self._answered.remove(stream)
        except KeyError:
            cut = b"".join(self._parts.get(stream, []))
            raise LoadFaultError(f"stream {stream} ended without its answer, or was not open: {cut!r}") from None
        self.done += 1


class PlainLink(UnaryLink):
    """The same requests to a server without gRPC: any answer with status 200 will do, if all are alike."""

    def __init__(self, port: int, row: Row, windows: Windows) -> None:
        self._bodies: dict[int, bytes] = {}
        super().__init__(port, row, windows, None, 0, is_grpc=False)

    def on_data(self, stream: int, body: bytes) -> None:
        """A part of an answer."""
        self._bodies[stream] = self._bodies.get(stream, b"") + body

    def on_end(self, stream: int) -> None:
        """The answer is whole; the first one says what the others are."""
        body = self._bodies.pop(stream, b"")
        if self._answer is None:
            self._answer = body
        if body != self._answer or stream not in self._open_streams:
            raise wrong_answer(body, self._answer)
        self._open_streams.remove(stream)
        self.done += 1


class StreamLink(Http2Link):
    """A connection with one StreamMessages call; answers come in the order of the messages."""

    lasting_streams = (1,)

    def __init__(self, port: int, row: Row, answer: bytes | None, answer_bytes: int) -> None:
        self.taken: list[bytes] = []
        self._answer_bytes = answer_bytes
        self._due = None if answer is None else answer * row.in_flight
        self._at = 0  # bytes of the window that have come
        self._begun = 0  # bytes of an answer that is not whole
        message = data_frames(1, framed(alike(row.payload)), ends=False)
        self._window = message * row.in_flight
        data_bytes = len(framed(alike(row.payload))) * row.in_flight
        super().__init__(port, self._window_at, row.in_flight, data_bytes, data_bytes)
        self.expect_answers_of(row.in_flight * (answer_bytes + 20))
        authority = f"{HOST}:{port}"
        self.send(frame(HEADERS, END_HEADERS, 1, next(call_blocks(_path(row), authority))))

    def on_data(self, stream: int, body: bytes) -> None:
        """Any number of answers, and parts of them."""
        due, at = self._due, self._at
        self._at = at + len(body)
        if due is None:
            self.taken.append(body)
        elif body != due[at : self._at]:
            raise wrong_answer(body, due[at:])
        self.done = self._at // self._answer_bytes
        if self.done >= self.in_flight:
            self._at -= self.in_flight * self._answer_bytes

    def on_end(self, stream: int) -> None:
        """Never by the server first."""
        raise LoadFaultError("the server ended the stream")

    def _window_at(self, _: int) -> bytes:
        return self._window


class Windows:
    """Prebuilt requests: window number to bytes. Connections whose requests are alike share one.

    data_bytes: of DATA in each
    """

    def __init__(self, row: Row, blocks: Iterator[bytes], payloads: Iterator[bytes] | None) -> None:
        """payloads: of the requests in turn; None for requests that have none."""
        self._row, self._blocks, self._payloads = row, blocks, payloads
        body = framed(alike(row.payload)) if payloads is not None else framed(b"")
        self.data_bytes = row.in_flight * len(body)
        self._built: list[bytes] = []

    def build(self, windows: int) -> None:
        """The first ones, before the clock starts."""
        while len(self._built) < windows:
            self._built.append(self._next())

    def bytes_of(self, number: int) -> bytes:
        """Built now if it was not yet: a connection may run ahead of the others."""
        self.build(number + 1)
        return self._built[number]

    def _next(self) -> bytes:
        calls = self._row.in_flight
        first = 2 * calls * len(self._built) + 1
        parts = []
        for stream in range(first, first + 2 * calls, 2):
            body = framed(b"" if self._payloads is None else next(self._payloads))
            parts.append(frame(HEADERS, END_HEADERS, stream, next(self._blocks)))
            parts.append(data_frames(stream, body, ends=True))
        return b"".join(parts)


def windows_of(row: Row, port: int, connection: int) -> Windows:
    """The requests of one connection; every one may use the first one's, but for timeouts."""
    payload = alike(row.payload)
    payloads = None if row.kind == "unary-consume" else repeat(payload)
    return Windows(row, _blocks(row, f"{HOST}:{port}", connection), payloads)


def open_link(row: Row, port: int, windows: Windows, is_plain: bool = False) -> Link:
    """One busy connection of a row.

    is_plain: the server speaks HTTP/2 without gRPC
    """
    if is_plain:
        return PlainLink(port, row, windows)
    if row.kind == "stream":
        answer = framed(alike(row.payload))
        return StreamLink(port, row, None if row.takes_prefilled else answer, len(answer))
    if row.kind == "unary-consume":
        return UnaryLink(port, row, windows, None, len(framed(alike(row.payload))))
    return UnaryLink(port, row, windows, PRODUCED, len(PRODUCED))


def answer_head(row: Row) -> bytes:
    """What stands before the payload in an answer that brings one."""
    whole = framed(alike(row.payload))
    return whole[: len(whole) - row.payload]


def open_fill_link(row: Row, port: int, least: int) -> tuple[Link, int]:
    """A connection that produces `least` numbered payloads, and how many that is, whole windows."""
    total = -(-least // row.in_flight) * row.in_flight
    windows = Windows(row, _blocks(row, f"{HOST}:{port}", 0), numbered(0, total, row.payload))
    return UnaryLink(port, row, windows, PRODUCED, len(PRODUCED)), total


def framed(payload: bytes) -> bytes:
    """A gRPC message of a protobuf message with `bytes payload = 1`, as protobuf writes it."""
    message = b""
    if payload:
        size, length = len(payload), bytearray()
        while size >= 0x80:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        message = b"\x0a" + bytes((*length, size)) + payload
    return b"\0" + len(message).to_bytes(4, "big") + message


def _blocks(row: Row, authority: str, connection: int) -> Iterator[bytes]:
    if row.kind == "timeouts":
        return timeout_blocks(_path(row), authority, count(connection * TIMEOUTS_APART))
    return call_blocks(_path(row), authority)


def _path(row: Row) -> str:
    return f"/messagequeue.MessageQueue/{_METHODS[row.kind]}"


def data_frames(stream: int, body: bytes, ends: bool) -> bytes:
    """One message as DATA, in frames that every server takes."""
    pieces = [body[at : at + MOST_DATA_BYTES] for at in range(0, len(body), MOST_DATA_BYTES)]
    last = len(pieces) - 1
    return b"".join(
        frame(DATA, END_STREAM if ends and at == last else 0, stream, piece) for at, piece in enumerate(pieces)
    )
