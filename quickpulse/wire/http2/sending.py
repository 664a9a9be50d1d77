"""What goes out on the streams of a connection: answers, blocks of fields, bodies, and their ends.

Everything gathers in one list until it is written. Bodies go as the windows that the peer gives allow; what does not go
waits with its stream, and the streams that wait have their turns. Nothing here reads.

Order of the file: whole answers; a stream's parts; what waits; frames.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault
from quickpulse.wire.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEADERS,
    MAX_WINDOW,
    frame,
    rst_stream_frame,
)
from quickpulse.wire.http2.settings import PeerSettings
from quickpulse.wire.http2.stream_table import StreamTable
from quickpulse.wire.http2.streams import State, Stream
from quickpulse.wire.http2.windows import DEFAULT_WINDOW

EARLY_UPDATES = 256
"""Requests without a stream of which a wider window is remembered, until they are answered."""

_EMPTY_TABLE = b"\x20"
"""A change of HPACK's dynamic table to no bytes (RFC 7541, section 6.3). Our blocks do not use it."""


class Sending:
    """The half of a connection that sends.

    :param is_client: whether we are the client.
    """

    def __init__(self, is_client: bool) -> None:
        self._table = StreamTable(is_client)
        self.streams = self._table.streams
        """All that are open or half closed."""
        self.send_window = DEFAULT_WINDOW
        """Bytes that the peer takes now on all streams together."""
        self._peer = PeerSettings(is_client)
        self._events: list[ev.Event] = []  # what is to be told of this read
        self._out: list[bytes] = []
        self._blocked: OrderedDict[int, Stream] = OrderedDict()  # streams with pending bytes, the longest waiting first
        self._early_updates: OrderedDict[int, int] = OrderedDict()  # room for answers to requests without a stream
        self._has_widened = False

    def data_to_send(self) -> bytes:
        """What is to be written now; it is handed out once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait for the peer's windows."""
        return sum(len(stream.pending) for stream in self.streams.values() if stream.pending)

    @property
    def is_blocked(self) -> bool:
        """Whether any stream waits for a window."""
        return bool(self._blocked)

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was asked has its whole answer."""
        return all(stream.is_local_closed for stream in self.streams.values())

    # ---- whole answers ----

    def answer_all(self, stream_ids: Sequence[int], answer: Answer) -> None:
        """Answer requests that lay complete in one read, all alike and in full."""
        size = len(answer.body)
        if self._fits(size, size * len(stream_ids)):
            self.send_window -= size * len(stream_ids)
            parts = answer.parts
            self._out.extend([stream_id.to_bytes(4, "big").join(parts) for stream_id in stream_ids])
            return
        for stream_id in stream_ids:
            self.answer(stream_id, answer)

    def answer(self, stream_id: int, answer: Answer) -> None:
        """Answer one such request, or one that has a stream, in full."""
        stream = self.streams.get(stream_id)
        size = len(answer.body)
        if stream is None and self._fits(size, size):
            self.send_window -= size
            self._out.append(stream_id.to_bytes(4, "big").join(answer.parts))
        else:
            self.respond(stream or self.adopt(stream_id), answer.head, answer.body, answer.tail)

    def answer_each(self, stream_ids: Sequence[int], envelope: Envelope, bodies: Sequence[bytes]) -> int:
        """Answer requests that lay complete in one read, each with its own body, none empty.

        :returns: the bytes of all bodies.
        """
        sizes = set(map(len, bodies))
        longest = max(sizes)
        total = longest * len(bodies) if len(sizes) == 1 else sum(map(len, bodies))
        if self._fits(longest, total):
            self.send_window -= total
            self._out += envelope.around(stream_ids, bodies, sizes)
        else:
            for stream_id, body in zip(stream_ids, bodies, strict=True):
                self.respond(self.adopt(stream_id), envelope.head, body, envelope.tail)
        return total

    def respond(self, stream: Stream, head: bytes, body: bytes, tail: bytes) -> None:
        """Send a whole response as the windows allow."""
        if not body and not tail:
            self._send_block(stream.id, head, END_STREAM)
            self._table.local_ended(stream)
            return
        self.send_headers(stream, head)
        self.send_data(stream, body)
        self.end(stream, tail)

    def adopt(self, stream_id: int) -> Stream:
        """Give a request that lay complete in one read a stream, because it is answered later."""
        room = self._peer.window + self._early_updates.pop(stream_id, 0)
        stream = self.streams[stream_id] = Stream(stream_id, min(room, MAX_WINDOW), 0)
        stream.state = State.HALF_CLOSED_REMOTE
        return stream

    def _fits(self, size: int, total: int) -> bool:
        """Whether bodies of `size`, together `total`, go out at once, each on a stream that has sent nothing."""
        peer = self._peer
        return (
            total <= self.send_window
            and size <= peer.window
            and size <= peer.frame_size
            and not self._blocked
            and not peer.must_empty_table
        )

    # ---- a stream's parts ----

    def send_headers(self, stream: Stream, block: bytes) -> None:
        """Send a block of fields."""
        self._send_block(stream.id, block, 0)

    def send_data(self, stream: Stream, data: bytes) -> None:
        """Send bytes of the body as the windows allow; what does not go waits, and `Drained` tells when it has gone."""
        size = len(data)
        if not size:
            return
        if not stream.pending and size <= stream.send_window and size <= self.send_window:
            stream.send_window -= size
            self.send_window -= size
            self._frame_data(stream.id, data)
        else:
            stream.pending += data
            self._blocked[stream.id] = stream
            self._send_pending(stream)

    def end(self, stream: Stream, trailers: bytes = b"") -> None:
        """End our half, with a block of trailers or, if it is empty, without; pending bytes go first."""
        stream.trailers = trailers
        if not stream.pending:
            self._send_end(stream)

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """End a stream at once; what waits for a window is forgotten."""
        self._send_reset(stream.id, code)
        self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        """It was reset, by whichever side."""
        stream.pending.clear()
        self._blocked.pop(stream.id, None)
        self._table.reset(stream)

    # ---- what waits ----

    def _widen(self, increment: int) -> None:
        """The peer gives room for all streams together."""
        if not increment:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
        self._has_widened = True  # all that wait are looked at once a read, not once for each of its frames

    def _widen_stream(self, stream: Stream, increment: int) -> None:
        """The peer gives a stream room."""
        if not increment:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        stream.send_window += increment
        if stream.send_window > MAX_WINDOW:
            raise StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        if stream.pending:
            self._send_pending(stream)

    def _widen_early(self, stream_id: int, increment: int) -> None:
        """Remember room on what has no stream: a request that lay complete in a read, and is answered later."""
        room = self._early_updates.pop(stream_id, 0) + increment
        self._early_updates[stream_id] = min(room, MAX_WINDOW)
        if len(self._early_updates) > EARLY_UPDATES:
            self._early_updates.popitem(last=False)

    def _widen_streams(self, change: int) -> None:
        """The peer changes the windows of all streams, by less than nothing it may be."""
        for stream in self.streams.values():
            stream.send_window += change
            if stream.send_window > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window overflows")
        self._send_blocked()

    def _send_widened(self) -> None:
        """Send what waited: this read has widened the connection's window."""
        self._has_widened = False
        self._send_blocked()

    def _send_blocked(self) -> None:
        """Windows have opened: each stream in its turn, from the one that has waited longest."""
        for stream in list(self._blocked.values()):
            if self.send_window <= 0:
                return
            self._blocked.move_to_end(stream.id)
            self._send_pending(stream)

    def _send_pending(self, stream: Stream) -> None:
        """Send of a stream's pending bytes what the windows allow."""
        pending = stream.pending
        size = min(len(pending), stream.send_window, self.send_window)
        if size > 0:
            stream.send_window -= size
            self.send_window -= size
            self._frame_data(stream.id, bytes(pending[:size]))
            del pending[:size]
        if not pending:
            self._blocked.pop(stream.id, None)
            self._events.append(ev.Drained(stream))
            if stream.trailers is not None:
                self._send_end(stream)

    # ---- frames ----

    def _send_block(self, stream_id: int, block: bytes, flags: int) -> None:
        most = self._peer.frame_size
        if self._peer.must_empty_table:
            block, self._peer.must_empty_table = _EMPTY_TABLE + block, False
        if len(block) <= most:
            self._out.append(frame(HEADERS, flags | END_HEADERS, stream_id, block))
            return
        self._out.append(frame(HEADERS, flags, stream_id, block[:most]))
        for at in range(most, len(block), most):
            last = END_HEADERS if at + most >= len(block) else 0
            self._out.append(frame(CONTINUATION, last, stream_id, block[at : at + most]))

    def _frame_data(self, stream_id: int, data: bytes) -> None:
        most, size = self._peer.frame_size, len(data)
        if size <= most:
            self._out.append(HEAD.pack(size << 8, 0, stream_id))
            self._out.append(data)
            return
        for at in range(0, size, most):
            part = data[at : at + most]
            self._out.append(HEAD.pack(len(part) << 8, 0, stream_id))
            self._out.append(part)

    def _send_end(self, stream: Stream) -> None:
        """Say that our half is over."""
        if stream.trailers:
            self._send_block(stream.id, stream.trailers, END_STREAM)
        else:
            self._out.append(frame(DATA, END_STREAM, stream.id))
        self._table.local_ended(stream)

    def _send_reset(self, stream_id: int, code: ErrorCode) -> None:
        self._out.append(rst_stream_frame(stream_id, code))
        self._table.remember_reset(stream_id)
