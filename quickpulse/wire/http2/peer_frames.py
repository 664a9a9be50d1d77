"""What each frame of the peer's means: one method for each type (RFC 9113, section 6), after what holds for all.

Faults are raised: of one stream, or of the whole connection.
"""

from __future__ import annotations

from collections.abc import Callable

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault
from quickpulse.wire.http2.fields import Field, MalformedFields, check_response, check_trailers
from quickpulse.wire.http2.floods import FloodGate
from quickpulse.wire.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FORMS,
    GOAWAY,
    HEADERS,
    MAX_STREAM_ID,
    MAX_WINDOW,
    PING,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    read_goaway,
    read_number,
    unpadded,
    window_update_frame,
)
from quickpulse.wire.http2.hpacking import BlockReader, Known
from quickpulse.wire.http2.sending import Sending
from quickpulse.wire.http2.streams import State, Stream
from quickpulse.wire.http2.windows import DEFAULT_WINDOW, ReceiveWindow

WRONG_LENGTH = "the body is not as long as content-length says"

_OWN_PARENT = "a stream that depends on itself"

_PRIORITY_BYTES = 5

_FINAL_STATUS = 200
"""Statuses below are informational, and the response is still to come."""

_SWITCHING_PROTOCOLS = 101
"""HTTP/2 has no such thing (RFC 9113, section 8.6)."""

_MAX_BLOCK_PARTS = 64
"""Frames of one header block: 64 of the least size that is sensible hold more than the limit of bytes."""


class PeerFrames(Sending):
    """The half of a connection that takes frames, one at a time.

    :param is_client: whether we are the client.
    :param reader: of header blocks.
    :param max_streams: open streams that the peer may have.
    :param max_header_bytes: of a field list; longer ones are refused.
    :param window: bytes of the whole connection that may be received and not taken.
    """

    def __init__(
        self, is_client: bool, reader: BlockReader, *, max_streams: int, max_header_bytes: int, window: int
    ) -> None:
        super().__init__(is_client)
        self._reader = reader
        self._max_streams = max_streams
        self._max_header_bytes = max_header_bytes
        self._window = ReceiveWindow(window)
        self._floods = FloodGate()
        self._now = 0.0
        self._has_settings = False
        self._block: tuple[int, int, list[bytes]] | None = None  # a header block that goes on: stream, flags, parts
        self._late_resets: dict[int, None] = {}  # RST_STREAM of this read for what has no stream

    def _take_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take one frame of any form."""
        if not self._has_settings and (kind != SETTINGS or flags & ACK):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block[0]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was not finished")
        if kind > CONTINUATION:
            self._floods.passes("unknown frame", self._now)
            return
        least, most, place = FORMS[kind]
        if place is not None and place is not bool(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"frame of type {kind} on stream {stream_id}")
        if not least <= len(payload) <= most:
            reason = f"frame of type {kind} with {len(payload)} bytes"
            if kind == PRIORITY and stream_id in self.streams:
                raise StreamFault(stream_id, ErrorCode.FRAME_SIZE_ERROR, reason)
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, reason)
        _BY_TYPE[kind](self, flags, stream_id, payload)

    # ---- DATA, and the room for it ----

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._window.used += len(payload)
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_remote_closed:
            self._table.require_not_idle(stream_id, "DATA")
            self._table.require_discarded(stream_id, "DATA")
            return
        if self._table.is_client and not stream.has_message:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "DATA before a response's fields")
        stream.receive_window -= len(payload)
        if stream.receive_window < 0:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "more than the stream's window")
        data = unpadded(flags, payload)
        if data:
            if stream.content_left is not None:
                stream.content_left -= len(data)
            event = ev.Data(stream)
            event.chunks.append(data)
            self._events.append(event)
        elif not flags & END_STREAM:
            self._floods.passes("empty frame", self._now)
            self._give_room_to(stream)  # of the padding: no event stands for it
        if flags & END_STREAM:
            self._end_remote(stream)
        elif stream.content_left is not None and stream.content_left < 0:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, WRONG_LENGTH)

    def _end_remote(self, stream: Stream) -> None:
        """The peer has said all of a stream."""
        if stream.content_left:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, WRONG_LENGTH)
        self._table.remote_ended(stream)
        self._events.append(ev.Ended(stream))

    def _give_room(self) -> None:
        """Give the peer room on the connection for what was taken."""
        self._out.append(window_update_frame(0, self._window.give_back()))

    def _give_room_to(self, stream: Stream) -> None:
        """Give a stream's peer room; one that goes on after the whole answer is told to stop, once its window is used.

        Not at once: to some clients a reset right behind the answer looks like its failure.
        """
        if stream.state is State.HALF_CLOSED_LOCAL and not self._table.is_client:
            if stream.receive_window <= DEFAULT_WINDOW // 2:
                self.reset(stream, ErrorCode.NO_ERROR)
            return
        if stream.is_held or stream.is_remote_closed:
            return
        room = self._window.give_back_to(stream, len(self.streams))
        if room:
            self._out.append(window_update_frame(stream.id, room))

    # ---- HEADERS and CONTINUATION ----

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = unpadded(flags, payload)
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
        table = self._table
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._on_fields(stream, self._reader.decode(block), bool(flags & END_STREAM))
        elif table.is_client or not stream_id & 1:
            table.require_not_idle(stream_id, "HEADERS")
            self._reader.decode(block)  # the table must stay in step
        elif stream_id <= table.last_peer_id:
            self._reader.decode(block)
            table.require_discarded(stream_id, "HEADERS")
        else:
            table.last_peer_id = stream_id
            known, volatile = self._read_request(stream_id, block)
            if table.is_unserved(stream_id):
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
            if self._table.is_client and not stream.has_message:
                status, length = check_response(fields)
                if status >= _FINAL_STATUS:
                    stream.has_message = True
                    stream.content_left = length
                    if length is None:
                        self._table.receiving[stream.id] = stream
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

    def _read_request(self, stream_id: int, block: bytes) -> tuple[Known, bytes | None]:
        try:
            return self._reader.read(block)
        except MalformedFields as error:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from None

    def _open_request(self, stream_id: int, known: Known, volatile: bytes | None) -> Stream:
        stream = self.streams[stream_id] = Stream(stream_id, self._peer.window, DEFAULT_WINDOW)
        stream.content_left = known.content_length
        if known.content_length is None:
            self._table.receiving[stream_id] = stream
        self._events.append(ev.Opened(stream, known.meaning, volatile))
        return stream

    def _refuse(self, stream_id: int) -> None:
        """Refuse a request that is over the limit of streams; the client may try it again."""
        self._floods.passes("refused stream", self._now)
        self._send_reset(stream_id, ErrorCode.REFUSED_STREAM)
        self._events.append(ev.Refused("too_many_streams"))

    # ---- the others ----

    def _on_priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._floods.passes("priority", self._now)
        if read_number(payload[:4]) & MAX_STREAM_ID == stream_id:
            if stream_id in self.streams:
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, _OWN_PARENT)
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, _OWN_PARENT)  # RST_STREAM is not for streams that are idle

    def _on_rst_stream(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._table.require_not_idle(stream_id, "RST_STREAM")
        self._floods.passes("reset", self._now)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._drop(stream)
            self._events.append(ev.Reset(stream, read_number(payload)))
        elif not self._table.is_discarded(stream_id):
            self._late_resets[stream_id] = None

    def _on_settings(self, flags: int, _stream_id: int, payload: bytes) -> None:
        if self._has_settings:
            self._floods.passes("settings", self._now)
        if flags & ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings")
            return
        change = self._peer.take(payload)
        self._has_settings = True
        self._out.append(frame(SETTINGS, ACK, 0))  # before any DATA that the new windows allow
        if change:
            self._widen_streams(change)

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
            self._widen(increment)
            return
        self._table.require_not_idle(stream_id, "WINDOW_UPDATE")
        stream = self.streams.get(stream_id)
        if stream is None:
            self._widen_early(stream_id, increment)
        else:
            self._widen_stream(stream, increment)


_BY_TYPE: dict[int, Callable[[PeerFrames, int, int, bytes], None]] = {
    DATA: PeerFrames._on_data,
    HEADERS: PeerFrames._on_headers,
    PRIORITY: PeerFrames._on_priority,
    RST_STREAM: PeerFrames._on_rst_stream,
    SETTINGS: PeerFrames._on_settings,
    PUSH_PROMISE: PeerFrames._on_push_promise,
    PING: PeerFrames._on_ping,
    GOAWAY: PeerFrames._on_goaway,
    WINDOW_UPDATE: PeerFrames._on_window_update,
    CONTINUATION: PeerFrames._on_continuation,
}
