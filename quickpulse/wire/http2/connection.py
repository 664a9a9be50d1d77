"""One HTTP/2 connection, in either role: bytes in, events out, and the bytes to send.

`receive` takes what was read, whole frames or not, and returns events in their order. Everything that answers (and the
protocol's own acknowledgements) gathers until `data_to_send`, so that one read is answered by one write. The peer's
faults end in RST_STREAM or GOAWAY and an event; our own mistakes raise.

Order of the file: what the layer above calls; the loop over frames; one method for each type of frame; sending.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer as Answer
from quickpulse.wire.http2.answers import Envelope as Envelope
from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault
from quickpulse.wire.http2.fields import (
    Field,
    MalformedFields,
    check_request,
    check_response,
    check_trailers,
)
from quickpulse.wire.http2.floods import FloodGate
from quickpulse.wire.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD,
    HEAD_SIZE,
    HEADERS,
    LEAST_MAX_FRAME_SIZE,
    MAX_STREAM_ID,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    goaway_frame,
    read_goaway,
    read_number,
    read_settings,
    rst_stream_frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.hpacking import TABLE_BYTES, BlockReader, Known
from quickpulse.wire.http2.streams import Input, State, Stream

DEFAULT_WINDOW = 65_535
"""Of the connection and of each stream, until somebody says otherwise."""

STREAM_WINDOW = 1024 * 1024
"""The most that a stream that sends gets, while all together get no more than half of the connection's: so many streams
that are not read stay within it."""

RECENT_RESETS = 1024
"""Streams whose end by us is remembered: what the peer had sent by then is no fault of its. As many as a client may
have open by default, so that all of them can be reset at once."""

EARLY_UPDATES = 256
"""Requests without a stream of which a wider window is remembered, until they are answered."""

MAX_SETTINGS = 64
"""Values of one SETTINGS frame; there are six of meaning."""

_EMPTY_TABLE = b"\x20"
"""A change of HPACK's dynamic table to no bytes (RFC 7541, section 6.3). Our blocks do not use it."""


class Setting:
    """Identifiers of SETTINGS (RFC 9113, section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Role(Enum):
    """Which side we are."""

    CLIENT = "client"
    SERVER = "server"


class Connection:
    """The state of one connection.

    :param role: which side we are.
    :param interpret: for a server: fields to what they mean, reported with each request. It may raise MalformedFields.
    :param volatile: for a server: the name of the one field that differs in each request.
    :param max_streams: open streams that the peer may have.
    :param max_header_bytes: of a field list; longer ones are refused.
    :param window: bytes of the whole connection that may be received and not taken.
    """

    def __init__(
        self,
        role: Role = Role.SERVER,
        *,
        interpret: Callable[[list[Field]], Any] = list,
        volatile: bytes = b"",
        max_streams: int = 100,
        max_header_bytes: int = 16_384,
        window: int = 8 * 1024 * 1024,
    ) -> None:
        self.role = role
        self.streams: dict[int, Stream] = {}
        """All that are open or half closed."""
        self.send_window = DEFAULT_WINDOW
        self.peer_max_streams: int | None = None
        """For a client: how many streams the server takes; None is not said."""
        self._meaning = interpret
        self._volatile = volatile
        self._max_streams = max_streams
        self._max_header_bytes = max_header_bytes
        self._window = max(window, DEFAULT_WINDOW)
        self._unreturned = 0  # bytes received whose room was not given back
        self._reader = BlockReader(max_header_bytes, self._interpret, volatile)
        self._floods = FloodGate()
        self._now = 0.0
        self._data = self._rest = b""
        self._at = 0
        self._events: list[ev.Event] = []
        self._out: list[bytes] = []
        self._receiving: dict[int, Stream] = {}  # streams on which plain DATA may come
        self._fresh: dict[int, tuple[Known, bytes | None]] = {}  # requests of this read without their body yet
        self._blocked: OrderedDict[int, Stream] = OrderedDict()  # streams with pending bytes and a window of their own
        self._block: tuple[int, int, list[bytes]] | None = None  # a header block that goes on: stream, flags, parts
        self._recent_resets: OrderedDict[int, None] = OrderedDict()
        self._early_updates: OrderedDict[int, int] = OrderedDict()  # room for answers to requests without a stream
        self._late_resets: dict[int, None] = {}  # RST_STREAM of this read for what has no stream
        self._block_prefix = b""  # what the next block of ours begins with
        self._last_peer_id = 0  # the highest that the peer has opened
        self._last_id = 0  # the highest of ours
        self._served_id = MAX_STREAM_ID if role is Role.SERVER else 0  # the highest that we serve, by our GOAWAY
        self._peer_window = DEFAULT_WINDOW
        self._peer_frame_size = LEAST_MAX_FRAME_SIZE
        self._is_prefaced = role is Role.CLIENT
        self._has_settings = self._has_widened = False
        self.is_failed = False
        """Nothing more is read; GOAWAY was said."""
        self.is_shut_down = False
        """The second GOAWAY was said."""
        self._introduce()

    # ---- what the layer above calls ----

    def receive(self, data: bytes, now: float) -> list[ev.Event]:
        """Take in what was read.

        :param data: any number of bytes.
        :param now: seconds on a clock that does not go back, for what is bounded by time.
        :returns: what it meant. A `Failed` is the last of the connection.
        """
        if self.is_failed:
            return []
        self._data, self._at, self._now = (self._rest + data if self._rest else data), 0, now
        events = self._events = []
        try:
            if self._is_prefaced or self._take_preface():
                self._take_all()
                if self._fresh:
                    self._open_fresh()
                if self._has_widened:
                    self._send_widened()
            self._rest = self._data[self._at :]
            requests = self._return_room()
            if self._late_resets:
                self._withdraw()
            if requests + len(self.streams) > self._max_streams:
                self._refuse_excess()
        except ConnectionFault as fault:
            self._withdraw()
            if self._has_widened:
                self._send_widened()
            self.fail(fault.code, fault.reason)
        self._data = b""
        return events

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
    def is_established(self) -> bool:
        """Whether the peer's preface is complete, its first SETTINGS included."""
        return self._has_settings

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was asked has its whole answer."""
        return all(stream.is_local_closed for stream in self.streams.values())

    @property
    def is_blocked(self) -> bool:
        """Whether any stream waits for a window."""
        return bool(self._blocked)

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
        sizes = list(map(len, bodies))
        total = sum(sizes)
        if self._fits(max(sizes), total):
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
            self._sent_end(stream)
            return
        self.send_headers(stream, head)
        self.send_data(stream, body)
        self.end(stream, tail)

    def adopt(self, stream_id: int) -> Stream:
        """Give a request that lay complete in one read a stream, because it is answered later."""
        room = self._peer_window + self._early_updates.pop(stream_id, 0)
        stream = self.streams[stream_id] = Stream(stream_id, min(room, MAX_WINDOW), 0)
        stream.state = State.HALF_CLOSED_REMOTE
        return stream

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
            self._frame_data(stream.id, data, 0)
        else:
            stream.pending += data
            self._blocked[stream.id] = stream
            self._send_pending(stream)

    def end(self, stream: Stream, trailers: bytes = b"") -> None:
        """End our half, with a block of trailers or, if it is empty, without; pending bytes go first."""
        stream.trailers = trailers
        if not stream.pending:
            self._send_end(stream)

    def open(self, block: bytes, *, end: bool = False) -> Stream:
        """For a client: a new stream with this block of request fields.

        :param end: there is no body.
        :raises ValueError: all numbers of streams are used up; another connection has new ones.
        """
        stream_id = self._last_id + 2 if self._last_id else 1
        if stream_id > MAX_STREAM_ID:
            raise ValueError("no stream is left on this connection")
        self._last_id = stream_id
        stream = self.streams[stream_id] = Stream(stream_id, self._peer_window, DEFAULT_WINDOW)
        self._send_block(stream_id, block, END_STREAM if end else 0)
        if end:
            stream.move(Input.SEND_END)
        return stream

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """End a stream at once; what waits for a window is forgotten."""
        self._out.append(rst_stream_frame(stream.id, code))
        self._remember_reset(stream.id)
        self._forget(stream, Input.RESET)

    def hold(self, stream: Stream) -> None:
        """Give the stream's peer no new room, until `release`."""
        stream.is_held = True

    def release(self, stream: Stream) -> None:
        """Give room again."""
        stream.is_held = False
        self._return_stream_room(stream)

    def ping(self, data: bytes) -> None:
        """Ask the peer for a sign of life; `Pong` reports it.

        :param data: eight bytes.
        """
        self._out.append(frame(PING, 0, 0, data))

    def forget(self) -> None:
        """The connection is over: let go of all that it holds, which may be much, and not wait for the collector."""
        for stream in self.streams.values():
            stream.pending.clear()
            stream.context = None
        for held in (self.streams, self._receiving, self._blocked, self._fresh, self._out):
            held.clear()
        self._data = self._rest = b""
        self._block = None
        self._events = []

    def announce_shutdown(self) -> None:
        """The first of two GOAWAYs: say that no new stream should come; those on their way are still served."""
        if not self.is_shut_down:
            self._out.append(goaway_frame(MAX_STREAM_ID, ErrorCode.NO_ERROR))

    def shut_down(self) -> None:
        """The second: what comes from now on is not served, and may be tried elsewhere."""
        self.is_shut_down = True
        self._served_id = min(self._served_id, self._last_peer_id)  # what was said once cannot be taken back
        self._out.append(goaway_frame(self._served_id, ErrorCode.NO_ERROR))

    def fail(self, code: ErrorCode, reason: str) -> None:
        """End the connection with GOAWAY; the last event of it is `Failed`."""
        self.is_failed = True
        self._rest = b""
        last = min(self._last_peer_id, self._served_id)
        self._out.append(goaway_frame(last, code, reason.encode()))
        self._events.append(ev.Failed(code, reason))

    # ---- the loop over frames ----

    def _take_preface(self) -> bool:
        size = min(len(self._data), len(PREFACE))
        if self._data[:size] != PREFACE[:size]:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the connection preface is not HTTP/2's")
        if size < len(PREFACE):
            return False
        self._at, self._is_prefaced = size, True
        return True

    def _take_all(self) -> None:
        while True:
            try:
                return self._take_frames()
            except StreamFault as fault:
                self._fault(fault)

    def _take_frames(self) -> None:
        """Take all whole frames.

        Longer than a function should be: this is the way of every message. Its three branches are the plain forms
        that nearly all frames have: DATA on an open stream, the fields of a request, and one DATA that is its whole
        body. All else goes to `_take_frame`. A request gets a stream only if it is not complete when the read is used
        up: some clients write fields and body of one request after the other, some all fields first. `self._at` is
        behind a frame before anything of it can raise.
        """
        data, at, size, unpack = self._data, self._at, len(self._data), HEAD.unpack_from
        events, receiving, known_blocks, fresh = self._events, self._receiving, self._reader.known, self._fresh
        is_plain = self._block is None and self._has_settings
        run: Any = None
        run_of: Any = None
        while size - at >= HEAD_SIZE:
            word, flags, stream_id = unpack(data, at)
            begin = at + HEAD_SIZE
            end = begin + (word >> 8)
            if word >= _TOO_LONG:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {word >> 8} bytes")
            if end > size:
                break
            self._at, kind = end, word & 0xFF
            if kind == DATA and is_plain:
                if flags == END_STREAM and stream_id in fresh:
                    known, volatile = fresh.pop(stream_id)
                    self._unreturned += end - begin
                    if known.content_length is not None and known.content_length != end - begin:
                        raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, _WRONG_LENGTH)
                    if known.meaning is not run_of or (volatile is None) is not (run.volatiles is None):
                        run = ev.Requests(known.meaning, None if volatile is None else [])
                        run_of = known.meaning
                        events.append(run)
                    run.stream_ids.append(stream_id)
                    run.bodies.append(data[begin:end])
                    if volatile is not None:
                        run.volatiles.append(volatile)
                    at = end
                    continue
                if not flags and stream_id in receiving and end > begin:
                    stream = receiving[stream_id]
                    self._unreturned += end - begin
                    stream.receive_window -= end - begin
                    if stream.receive_window < 0:
                        raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "more than the stream's window")
                    if stream is not run_of:
                        run, run_of = ev.Data(stream), stream
                        events.append(run)
                    run.chunks.append(data[begin:end])
                    at = end
                    continue
            elif (
                kind == HEADERS
                and flags == END_HEADERS
                and is_plain
                and stream_id & 1
                and self._last_peer_id < stream_id <= self._served_id
                and len(self.streams) + len(fresh) < self._max_streams
            ):
                self._last_peer_id = stream_id
                seen = known_blocks.get(data[begin:end])
                if seen is None:
                    fresh[stream_id] = self._read_request(stream_id, data[begin:end])
                else:
                    fresh[stream_id] = seen, seen.volatile
                at = end
                continue
            if fresh:
                self._open_fresh()
            self._take_frame(kind, flags, stream_id & MAX_STREAM_ID, data[begin:end])
            is_plain = self._block is None and self._has_settings
            at, run_of = end, None

    def _take_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take one frame of any form."""
        if not self._has_settings and (kind != SETTINGS or flags & ACK):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block[0]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was not finished")
        if kind > CONTINUATION:
            self._floods.passes("unknown frame", self._now)
            return
        least, most, place = _FORMS[kind]
        if place is not None and place is not bool(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"frame of type {kind} on stream {stream_id}")
        if not least <= len(payload) <= most:
            reason = f"frame of type {kind} with {len(payload)} bytes"
            if kind == PRIORITY and stream_id in self.streams:
                raise StreamFault(stream_id, ErrorCode.FRAME_SIZE_ERROR, reason)
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, reason)
        _HANDLERS[kind](self, flags, stream_id, payload)

    def _fault(self, fault: StreamFault) -> None:
        """End a stream for its peer's fault. That is work for nothing too, and counts as the peer's own resets do."""
        self._floods.passes("reset", self._now)
        self._out.append(rst_stream_frame(fault.stream_id, fault.code))
        self._remember_reset(fault.stream_id)
        stream = self.streams.get(fault.stream_id)
        if stream is None:
            self._events.append(ev.Refused("bad_request"))
        else:
            self._forget(stream, Input.RESET)
            self._events.append(ev.Reset(stream, fault.code, True, fault.reason))

    # ---- one method for each type of frame ----

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._unreturned += len(payload)
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_remote_closed:
            self._require_not_idle(stream_id, "DATA")
            if stream_id not in self._recent_resets and not self._is_unserved(stream_id):
                raise self._closed(stream_id, "DATA")
            return
        if not self._is_receiving(stream):
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "DATA before a response's fields")
        stream.receive_window -= len(payload)
        if stream.receive_window < 0:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "more than the stream's window")
        data = _unpadded(flags, payload)
        if data:
            if stream.content_left is not None:
                stream.content_left -= len(data)
            event = ev.Data(stream)
            event.chunks.append(data)
            self._events.append(event)
        elif not flags & END_STREAM:
            self._floods.passes("empty frame", self._now)
            self._return_stream_room(stream)  # of the padding: no event stands for it
        if flags & END_STREAM:
            self._end_remote(stream)
        elif stream.content_left is not None and stream.content_left < 0:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, _WRONG_LENGTH)

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = _unpadded(flags, payload)
        if flags & PRIORITIZED:
            if len(block) < _PRIORITY_BYTES:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            depends, block = block[:_PRIORITY_BYTES], block[_PRIORITY_BYTES:]
            if read_number(depends[:4]) & MAX_STREAM_ID == stream_id:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, _OWN_PARENT)
        if flags & END_HEADERS:
            self._on_block(flags, stream_id, block)
        else:
            self._block = stream_id, flags, [block]

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        if not payload:
            self._floods.passes("empty frame", self._now)
        _, first_flags, parts = self._block
        parts.append(payload)
        if sum(map(len, parts)) > 4 * self._max_header_bytes or len(parts) > _MAX_BLOCK_PARTS:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block is too large")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(first_flags, stream_id, b"".join(parts))

    def _on_block(self, flags: int, stream_id: int, block: bytes) -> None:
        """A whole header block: of a request, of a response, or trailers."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._on_fields(stream, self._reader.decode(block), bool(flags & END_STREAM))
        elif self.role is Role.CLIENT or not stream_id & 1:
            self._require_not_idle(stream_id, "HEADERS")
            self._reader.decode(block)  # the table must stay in step
        elif stream_id <= self._last_peer_id:
            self._reader.decode(block)
            if stream_id not in self._recent_resets and not self._is_unserved(stream_id):
                raise self._closed(stream_id, "HEADERS")
        else:
            self._last_peer_id = stream_id
            known, volatile = self._read_request(stream_id, block)
            if self._is_unserved(stream_id):
                return
            if len(self.streams) >= self._max_streams:
                self._refuse(stream_id)
                return
            stream = self._open_request(stream_id, known, volatile)
            if flags & END_STREAM:
                self._end_remote(stream)

    def _on_fields(self, stream: Stream, fields: list[Field], ended: bool) -> None:
        """Fields on an open stream: a response's, or trailers."""
        if stream.is_remote_closed:
            raise StreamFault(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS after the end")
        try:
            if self.role is Role.CLIENT and not stream.has_message:
                status, length = check_response(fields)
                if status >= _FINAL_STATUS:
                    stream.has_message = True
                    stream.content_left = length
                    if length is None:
                        self._receiving[stream.id] = stream
                elif ended or status == _SWITCHING_PROTOCOLS:
                    raise MalformedFields("an informational response that ends the stream, or switches protocols")
                self._events.append(ev.Fields(stream, fields, ended))
            else:
                check_trailers(fields)
                if not ended:
                    raise MalformedFields("trailers without the end of the stream")
                self._events.append(ev.Fields(stream, fields, True))
        except MalformedFields as error:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        if ended:
            self._end_remote(stream)

    def _on_priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._floods.passes("priority", self._now)
        if read_number(payload[:4]) & MAX_STREAM_ID == stream_id:
            if stream_id in self.streams:
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, _OWN_PARENT)
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, _OWN_PARENT)  # RST_STREAM is not for streams that are idle

    def _on_rst_stream(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._require_not_idle(stream_id, "RST_STREAM")
        self._floods.passes("reset", self._now)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._forget(stream, Input.RESET)
            self._events.append(ev.Reset(stream, read_number(payload)))
        elif stream_id not in self._recent_resets and not self._is_unserved(stream_id):
            self._late_resets[stream_id] = None

    def _on_settings(self, flags: int, _stream_id: int, payload: bytes) -> None:
        if self._has_settings:
            self._floods.passes("settings", self._now)
        if flags & ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings")
            return
        if len(payload) % 6:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a broken length")
        if len(payload) > 6 * MAX_SETTINGS:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"more than {MAX_SETTINGS} settings at once")
        self._has_settings = True
        before = self._peer_window
        for identifier, value in read_settings(payload):
            self._apply(identifier, value)
        self._out.append(frame(SETTINGS, ACK, 0))  # before any DATA that the new windows allow
        if self._peer_window != before:
            self._widen(self._peer_window - before)

    def _on_push_promise(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "nobody may push here")

    def _on_ping(self, flags: int, _stream_id: int, payload: bytes) -> None:
        self._floods.passes("ping", self._now)
        if flags & ACK:
            self._events.append(ev.Pong(payload))
        else:
            self._out.append(frame(PING, ACK, 0, payload))

    def _on_goaway(self, _flags: int, _stream_id: int, payload: bytes) -> None:
        self._floods.passes("settings", self._now)
        self._events.append(ev.GoneAway(*read_goaway(payload)))

    def _on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._floods.passes("window update", self._now)
        increment = read_number(payload) & MAX_WINDOW
        if not stream_id:
            if not increment:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
            self.send_window += increment
            if self.send_window > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window overflows")
            self._has_widened = True  # all that wait are looked at once a read, not once for each of its frames
            return
        self._require_not_idle(stream_id, "WINDOW_UPDATE")
        stream = self.streams.get(stream_id)
        if stream is None:
            self._update_early(stream_id, increment)
            return
        if not increment:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        stream.send_window += increment
        if stream.send_window > MAX_WINDOW:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        if stream.pending:
            self._send_pending(stream)

    # ---- what they share ----

    def _introduce(self) -> None:
        """Our half of the preface: SETTINGS, and the connection's window."""
        values = [
            (Setting.MAX_HEADER_LIST_SIZE, self._max_header_bytes),
        ]
        if self.role is Role.CLIENT:
            self._out.append(PREFACE)
            values.append((Setting.ENABLE_PUSH, 0))
        else:
            values.append((Setting.MAX_CONCURRENT_STREAMS, self._max_streams))
        self._out.append(settings_frame(values))
        if self._window > DEFAULT_WINDOW:
            self._out.append(window_update_frame(0, self._window - DEFAULT_WINDOW))

    def _interpret(self, fields: list[Field]) -> Known:
        length = check_request(fields)
        volatile = next((value for name, value in fields if name == self._volatile), None)
        return Known(self._meaning(fields), length, volatile)

    def _read_request(self, stream_id: int, block: bytes) -> tuple[Known, bytes | None]:
        try:
            return self._reader.read(block)
        except MalformedFields as error:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from None

    def _open_request(self, stream_id: int, known: Known, volatile: bytes | None) -> Stream:
        stream = self.streams[stream_id] = Stream(stream_id, self._peer_window, DEFAULT_WINDOW)
        stream.content_left = known.content_length
        if known.content_length is None:
            self._receiving[stream_id] = stream
        self._events.append(ev.Opened(stream, known.meaning, volatile))
        return stream

    def _open_fresh(self) -> None:
        """Give the requests of this read that have no body yet their streams."""
        for stream_id, (known, volatile) in self._fresh.items():
            self._open_request(stream_id, known, volatile)
        self._fresh.clear()

    def _is_receiving(self, stream: Stream) -> bool:
        """Whether a body may come: for a server after the request's fields, for a client after the response's."""
        return self.role is Role.SERVER or stream.has_message

    def _end_remote(self, stream: Stream) -> None:
        """The peer has said all of a stream."""
        if stream.content_left:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, _WRONG_LENGTH)
        self._receiving.pop(stream.id, None)
        if stream.move(Input.RECEIVE_END) is State.CLOSED:
            del self.streams[stream.id]
        self._events.append(ev.Ended(stream))

    def _forget(self, stream: Stream, why: Input) -> None:
        stream.move(why)
        stream.pending.clear()
        self.streams.pop(stream.id, None)
        self._receiving.pop(stream.id, None)
        self._blocked.pop(stream.id, None)

    def _withdraw(self) -> None:
        """Take requests that were cancelled in the read that brought them back out of the events."""
        late, self._late_resets = self._late_resets, {}
        for event in self._events:
            if isinstance(event, ev.Requests) and not late.keys().isdisjoint(event.stream_ids):
                kept = [at for at, stream_id in enumerate(event.stream_ids) if stream_id not in late]
                for stream_id in event.stream_ids:
                    late.pop(stream_id, None)
                event.keep(kept)
        self._drop_empty_runs()
        self._events.extend(map(ev.ResetAfterEnd, late))

    def _refuse_excess(self) -> None:
        """Refuse of this read's requests, the last first, what is over the limit of streams.

        They have no stream, but no answer either when the next of them comes: they count as open.
        """
        room = self._max_streams - len(self.streams)
        refused: list[int] = []
        for event in self._events:
            if isinstance(event, ev.Requests):
                count = len(event.stream_ids)
                if count > room:
                    refused += event.stream_ids[max(room, 0) :]
                    event.keep(range(max(room, 0)))
                room -= count
        self._drop_empty_runs()
        for stream_id in refused:
            self._refuse(stream_id)

    def _drop_empty_runs(self) -> None:
        self._events[:] = [event for event in self._events if not isinstance(event, ev.Requests) or event.stream_ids]

    def _refuse(self, stream_id: int) -> None:
        """Refuse a request that is over the limit of streams; the client may try it again."""
        self._floods.passes("refused stream", self._now)
        self._out.append(rst_stream_frame(stream_id, ErrorCode.REFUSED_STREAM))
        self._remember_reset(stream_id)
        self._events.append(ev.Refused("too_many_streams"))

    def _update_early(self, stream_id: int, increment: int) -> None:
        """Remember room on what has no stream: a request that lay complete in a read, and is answered later."""
        room = self._early_updates.pop(stream_id, 0) + increment
        self._early_updates[stream_id] = min(room, MAX_WINDOW)
        if len(self._early_updates) > EARLY_UPDATES:
            self._early_updates.popitem(last=False)

    def _require_not_idle(self, stream_id: int, what: str) -> None:
        ours = (stream_id & 1) == (self.role is Role.CLIENT)
        if stream_id > (self._last_id if ours else self._last_peer_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on a stream that was not opened")

    def _is_unserved(self, stream_id: int) -> bool:
        """Whether our GOAWAY said that it is not served: what comes of it is discarded (RFC 9113, section 6.8)."""
        return self.role is Role.SERVER and stream_id > self._served_id

    def _closed(self, stream_id: int, what: str) -> ConnectionFault:
        return ConnectionFault(ErrorCode.STREAM_CLOSED, f"{what} on stream {stream_id}, which has ended")

    def _remember_reset(self, stream_id: int) -> None:
        self._recent_resets[stream_id] = None
        if len(self._recent_resets) > RECENT_RESETS:
            self._recent_resets.popitem(last=False)

    def _apply(self, identifier: int, value: int) -> None:
        """One setting of the peer's."""
        if identifier == Setting.ENABLE_PUSH and (value > 1 or (value and self.role is Role.CLIENT)):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
        if identifier == Setting.MAX_FRAME_SIZE:
            if not LEAST_MAX_FRAME_SIZE <= value < 2**24:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
            self._peer_frame_size = value
        elif identifier == Setting.MAX_CONCURRENT_STREAMS:
            self.peer_max_streams = value
        elif identifier == Setting.INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE is {value}")
            self._peer_window = value
        elif identifier == Setting.HEADER_TABLE_SIZE and value < TABLE_BYTES:
            self._block_prefix = _EMPTY_TABLE  # the peer must hear that we keep to it (RFC 7541, section 4.2)

    def _widen(self, change: int) -> None:
        """The peer's windows of all streams change, by less than nothing it may be."""
        for stream in self.streams.values():
            stream.send_window += change
            if stream.send_window > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window overflows")
        self._send_blocked()

    # ---- windows and sending ----

    def _return_room(self) -> int:
        """Give the peer room for what was taken; in few frames, each time half of a window is used up.

        :returns: how many requests are in the events, which it goes through anyway.
        """
        if self._unreturned > self._window:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        if self._unreturned >= self._window // 2:
            self._out.append(window_update_frame(0, self._unreturned))
            self._unreturned = 0
        requests = 0
        for event in self._events:
            if type(event) is ev.Requests:
                requests += len(event.stream_ids)
            elif type(event) is ev.Data:
                self._return_stream_room(event.stream)
        return requests

    def _return_stream_room(self, stream: Stream) -> None:
        """Give a stream's peer room; one that goes on after the whole answer is told to stop, once its window is used.

        Not at once: to some clients a reset right behind the answer looks like its failure.
        """
        if self.role is Role.SERVER and stream.state is State.HALF_CLOSED_LOCAL:
            if stream.receive_window <= DEFAULT_WINDOW // 2:
                self.reset(stream, ErrorCode.NO_ERROR)
            return
        if stream.is_held or stream.is_remote_closed:
            return
        if stream.receive_window <= stream.room // 2:
            share = self._window // (2 * len(self.streams)) if self.streams else STREAM_WINDOW
            stream.room = min(max(share, DEFAULT_WINDOW), STREAM_WINDOW)
            if stream.room > stream.receive_window:  # else its share has become less than what it still has
                self._out.append(window_update_frame(stream.id, stream.room - stream.receive_window))
                stream.receive_window = stream.room

    def _fits(self, size: int, total: int) -> bool:
        """Whether bodies of `size`, together `total`, go out at once, each on a stream that has sent nothing."""
        return (
            total <= self.send_window
            and size <= self._peer_window
            and size <= self._peer_frame_size
            and not self._blocked
            and not self._block_prefix
        )

    def _send_block(self, stream_id: int, block: bytes, flags: int) -> None:
        most = self._peer_frame_size
        if self._block_prefix:
            block, self._block_prefix = self._block_prefix + block, b""
        if len(block) <= most:
            self._out.append(frame(HEADERS, flags | END_HEADERS, stream_id, block))
            return
        self._out.append(frame(HEADERS, flags, stream_id, block[:most]))
        for at in range(most, len(block), most):
            last = END_HEADERS if at + most >= len(block) else 0
            self._out.append(frame(CONTINUATION, last, stream_id, block[at : at + most]))

    def _frame_data(self, stream_id: int, data: bytes, flags: int) -> None:
        most, size = self._peer_frame_size, len(data)
        if size <= most:
            self._out.append(HEAD.pack(size << 8, flags, stream_id))
            self._out.append(data)
            return
        for at in range(0, size, most):
            part = data[at : at + most]
            self._out.append(HEAD.pack(len(part) << 8, flags, stream_id))
            self._out.append(part)

    def _send_pending(self, stream: Stream) -> None:
        """Send of a stream's pending bytes what the windows allow."""
        pending = stream.pending
        size = min(len(pending), stream.send_window, self.send_window)
        if size > 0:
            stream.send_window -= size
            self.send_window -= size
            self._frame_data(stream.id, bytes(pending[:size]), 0)
            del pending[:size]
        if not pending:
            self._blocked.pop(stream.id, None)
            self._events.append(ev.Drained(stream))
            if stream.trailers is not None:
                self._send_end(stream)

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

    def _send_end(self, stream: Stream) -> None:
        """Say that our half is over."""
        if stream.trailers:
            self._send_block(stream.id, stream.trailers, END_STREAM)
        else:
            self._out.append(frame(DATA, END_STREAM, stream.id))
        self._sent_end(stream)

    def _sent_end(self, stream: Stream) -> None:
        if stream.move(Input.SEND_END) is State.CLOSED:
            self.streams.pop(stream.id, None)


def _unpadded(flags: int, payload: bytes) -> bytes:
    """What a frame carries."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "no room for the length of the padding")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding is longer than the frame")
    return payload[1 : len(payload) - padding]


_TOO_LONG = (LEAST_MAX_FRAME_SIZE + 1) << 8
"""The first word of a frame's head from which on it is longer than we said that we take."""

_WRONG_LENGTH = "the body is not as long as content-length says"

_OWN_PARENT = "a stream that depends on itself"

_PRIORITY_BYTES = 5

_FINAL_STATUS = 200
"""Statuses below are informational, and the response is still to come."""

_SWITCHING_PROTOCOLS = 101
"""HTTP/2 has no such thing (RFC 9113, section 8.6)."""

_MAX_BLOCK_PARTS = 64
"""Frames of one header block: 64 of the least size that is sensible hold more than the limit of bytes."""

_HANDLERS: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    DATA: Connection._on_data,
    HEADERS: Connection._on_headers,
    PRIORITY: Connection._on_priority,
    RST_STREAM: Connection._on_rst_stream,
    SETTINGS: Connection._on_settings,
    PUSH_PROMISE: Connection._on_push_promise,
    PING: Connection._on_ping,
    GOAWAY: Connection._on_goaway,
    WINDOW_UPDATE: Connection._on_window_update,
    CONTINUATION: Connection._on_continuation,
}

_ANY = LEAST_MAX_FRAME_SIZE
_FORMS: dict[int, tuple[int, int, bool | None]] = {
    DATA: (0, _ANY, True),
    HEADERS: (0, _ANY, True),
    PRIORITY: (5, 5, True),
    RST_STREAM: (4, 4, True),
    SETTINGS: (0, _ANY, False),
    PUSH_PROMISE: (0, _ANY, True),
    PING: (8, 8, False),
    GOAWAY: (8, _ANY, False),
    WINDOW_UPDATE: (4, 4, None),
    CONTINUATION: (0, _ANY, True),
}
"""Least and most length of each type, and whether it belongs to a stream (True), to the connection, or to either."""
