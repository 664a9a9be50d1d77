"""One read: the loop over its frames, with a short way for the forms that nearly all of them have.

Those are DATA on an open stream, the fields of a request, and one DATA that is its whole body; any other frame goes the
long way, which is `peer_frames`. A request gets a stream only if it is not complete when the read is used up: some
clients write fields and body of one request after the other, some all fields first.
"""

from __future__ import annotations

from typing import Any

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault
from quickpulse.wire.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_SIZE,
    HEADERS,
    LEAST_MAX_FRAME_SIZE,
    MAX_STREAM_ID,
    PREFACE,
)
from quickpulse.wire.http2.hpacking import BlockReader, Known
from quickpulse.wire.http2.peer_frames import WRONG_LENGTH, PeerFrames
from quickpulse.wire.http2.runs import cut_off, withdraw

_TOO_LONG = (LEAST_MAX_FRAME_SIZE + 1) << 8
"""The first word of a frame's head from which on it is longer than we said that we take."""

PLAIN_DATA = bytes((DATA, 0))
"""Kind and flags in the head of a frame that may be all of a read."""


class Receiving(PeerFrames):
    """The half of a connection that reads.

    :param is_client: whether we are the client.
    :param reader: of header blocks.
    :param bounds: see `PeerFrames`.
    """

    def __init__(self, is_client: bool, reader: BlockReader, **bounds: int) -> None:
        super().__init__(is_client, reader, **bounds)
        self._data = self._rest = b""
        self._at = 0  # behind the last frame that was taken
        self._is_prefaced = is_client
        self._fresh: dict[int, tuple[Known, bytes | None]] = {}  # requests of this read without their body yet

    def _take_preface(self) -> bool:
        size = min(len(self._data), len(PREFACE))
        if self._data[:size] != PREFACE[:size]:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the connection preface is not HTTP/2's")
        if size < len(PREFACE):
            return False
        self._at, self._is_prefaced = size, True
        return True

    def _take_one(self, data: bytes) -> bool:
        """Take a read that is one DATA on an open stream, with room for more: what one request at a time is made of.

        :param data: begins as `PLAIN_DATA` says.
        """
        size, stream = len(data) - HEAD_SIZE, None
        if 0 < size <= LEAST_MAX_FRAME_SIZE:
            word, _, stream_id = HEAD.unpack_from(data)
            if word >> 8 == size:
                stream = self._table.receiving.get(stream_id)
        if stream is None or self._block is not None or not self._has_settings or self._late_resets:
            return False
        window, left = self._window, stream.receive_window - size
        if left <= stream.room // 2 or window.used + size >= window.half:
            return False  # room is to be given back
        window.used += size
        stream.receive_window = left
        event = ev.Data(stream)
        event.chunks.append(data[HEAD_SIZE:])
        self._events = [event]
        return True

    def _take_all(self) -> None:
        """Take all that came, and send what it made room for."""
        while True:
            try:
                self._take_frames()
                break
            except StreamFault as fault:
                self._fault(fault)
        if self._fresh:
            self._open_fresh()
        if self._has_widened:
            self._send_widened()

    def _take_frames(self) -> None:
        """Take all whole frames. `self._at` is behind a frame before anything of it can raise."""
        data, at, size, unpack = self._data, self._at, len(self._data), HEAD.unpack_from
        events, fresh, table, window = self._events, self._fresh, self._table, self._window
        receiving, served_id, known_blocks = table.receiving, table.served_id, self._reader.known
        run: Any = None
        run_of: Any = None
        is_plain, vacant = self._block is None and self._has_settings, self._max_streams - len(self.streams)
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
                    window.used += end - begin
                    if known.content_length is not None and known.content_length != end - begin:
                        raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, WRONG_LENGTH)
                    if known.meaning is not run_of or (volatile is None) is not (run.volatiles is None):
                        run, run_of = ev.Requests(known.meaning, None if volatile is None else []), known.meaning
                        events.append(run)
                    run.stream_ids.append(stream_id)
                    run.bodies.append(data[begin:end])
                    if volatile is not None:
                        run.volatiles.append(volatile)
                    at = end
                    continue
                if not flags and stream_id in receiving and end > begin:
                    stream = receiving[stream_id]
                    window.used += end - begin
                    stream.receive_window -= end - begin
                    if stream.receive_window < 0:
                        raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "more than the stream's window")
                    if stream is not run_of:
                        run, run_of = ev.Data(stream), stream
                        events.append(run)
                    run.chunks.append(data[begin:end])
                    at = end
                    continue
            elif kind == HEADERS and flags == END_HEADERS and is_plain and stream_id & 1 and len(fresh) < vacant:
                block = data[begin:end]
                if table.last_peer_id < stream_id <= served_id:
                    table.last_peer_id = stream_id
                    seen = known_blocks.get(block)
                    if seen is None:
                        fresh[stream_id] = self._read_request(stream_id, block)
                    else:
                        fresh[stream_id] = seen, seen.volatile
                    at = end
                    continue
            if fresh:
                self._open_fresh()
            self._take_frame(kind, flags, stream_id & MAX_STREAM_ID, data[begin:end])
            is_plain, vacant = self._block is None and self._has_settings, self._max_streams - len(self.streams)
            at, run_of = end, None

    def _open_fresh(self) -> None:
        """Give the requests of this read that have no body yet their streams."""
        for stream_id, (known, volatile) in self._fresh.items():
            self._open_request(stream_id, known, volatile)
        self._fresh.clear()

    def _fault(self, fault: StreamFault) -> None:
        """End a stream for its peer's fault. That is work for nothing too, and counts as the peer's own resets do."""
        self._floods.passes("reset", self._now)
        self._send_reset(fault.stream_id, fault.code)
        stream = self.streams.get(fault.stream_id)
        if stream is None:
            self._events.append(ev.Refused("bad_request"))
        else:
            self._drop(stream)
            self._events.append(ev.Reset(stream, fault.code, True, fault.reason))

    def _finish_read(self) -> None:
        """Give room for what was taken, and look at the read's requests as a whole."""
        if self._window.used >= self._window.half:
            self._give_room()
        requests = 0
        for event in self._events:
            if type(event) is ev.Requests:
                requests += len(event.stream_ids)
            elif type(event) is ev.Data and event.stream.receive_window <= event.stream.room // 2:
                self._give_room_to(event.stream)
        if self._late_resets:
            self._withdraw()
        if requests + len(self.streams) > self._max_streams:
            for stream_id in cut_off(self._events, self._max_streams - len(self.streams)):
                self._refuse(stream_id)

    def _break_off(self) -> None:
        """The read ends in a fault; what came before it stands."""
        self._withdraw()
        if self._has_widened:
            self._send_widened()

    def _withdraw(self) -> None:
        """Requests that were reset in the read that brought them are not told."""
        withdraw(self._events, self._late_resets)
        self._late_resets.clear()
