"""The client's half of an HTTP/2 connection (RFC 9113): its opening, the frames of the server, and its flow control.

Prebuilt frames are sent as they are where they fit the server's windows, else one by one as these open. `Http2Client`
knows no socket; `Http2Link` is one of the load's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from struct import Struct

from perf.load.faults import LoadFaultError
from perf.load.headers import AnswerBlocks, readable
from perf.load.link import Link
from quickpulse.wire.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    read_goaway,
    read_number,
    read_settings,
    settings_frame,
    window_update_frame,
)

MOST_DATA_BYTES = 16_384
"""Of one frame: what every server takes."""

_HUGE_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_HEADER_TABLE_SIZE, _MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE = 1, 3, 4
_LEAST_TABLE_BYTES = 4096
_HEAD = Struct(">LBL")
_HEAD_SIZE = 9
_LINE_END = b"\r\n"
_ODD_BLOCK = "a header block in several frames, or padded: not supported here"


class Http2Client:
    """Bytes in, calls of `on_...` out, and bytes for `send`.

    It is lean and takes what gRPC servers send, and not all that the standard allows: the rest is a LoadFaultError.
    """

    lasting_streams: tuple[int, ...] = ()
    """Streams that stay open, whose windows are used up by all messages together."""

    def open_http2(self, is_grpc: bool = True) -> None:
        """Begins: preface, SETTINGS, and the connection's window."""
        self.blocks = AnswerBlocks(is_grpc)
        self.has_settings = False
        """Whether the server's are known."""
        self._credit = _DEFAULT_WINDOW
        self._initial_credit = _DEFAULT_WINDOW
        self._stream_credit: dict[int, int] = {}  # of streams that wait, and of those that stay open
        self._waiting: deque[tuple[bytes, int, int]] = deque()  # frames: bytes, DATA bytes, stream
        self._rest = b""
        self._unreturned = 0
        settings = settings_frame([(_INITIAL_WINDOW_SIZE, _HUGE_WINDOW)])
        self.send(PREFACE + settings + window_update_frame(0, _HUGE_WINDOW - _DEFAULT_WINDOW))

    def send(self, data: bytes) -> None:
        """Towards the server."""
        raise NotImplementedError

    def on_data(self, stream: int, body: bytes) -> None:
        """DATA came."""
        raise NotImplementedError

    def on_end(self, stream: int) -> None:
        """The server ended the stream, with good trailers."""
        raise NotImplementedError

    def on_bad_fields(self, stream: int, fields: dict[bytes, bytes], is_end: bool) -> None:
        """Fields came that are no good answer's, at its beginning or as the end."""
        raise LoadFaultError(f"a call ended with {readable(fields)}")

    def on_reset(self, stream: int, code: int) -> None:
        """The server ended the stream before its end."""
        raise LoadFaultError(f"the server reset stream {stream} with code {code}")

    def on_max_streams(self, streams: int) -> None:
        """The server says how many streams it takes at once."""

    def send_frames(self, frames: bytes, data_bytes: int, stream_data_bytes: int) -> None:
        """Sends as the flow control allows.

        data_bytes: of DATA in them
        stream_data_bytes: of DATA on one stream of them
        """
        if not self._waiting and self._fits(data_bytes, stream_data_bytes):
            self._credit -= data_bytes
            self.send(frames)
        else:
            self._waiting.extend(_cut(frames))
            self._send_waiting()

    def forget_waiting(self, stream: int) -> bool:
        """Drops what waits to be sent on the stream; whether there was anything."""
        kept = [each for each in self._waiting if each[2] != stream]
        if len(kept) == len(self._waiting):
            return False
        self._waiting = deque(kept)
        self._stream_credit.pop(stream, None)
        self._send_waiting()
        return True

    def receive(self, data: bytes) -> None:
        """Reads all frames that are whole. Raises LoadFaultError."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        unpack, heads, trailers = _HEAD.unpack_from, self.blocks.known_heads, self.blocks.known_trailers
        while end - at >= _HEAD_SIZE:
            length, flags, stream = unpack(data, at)
            start = at + _HEAD_SIZE
            stop = start + (length >> 8)
            if stop > end:
                self._check_long(data, length >> 8)
                break
            kind = length & 0xFF
            at = stop
            if kind == DATA:
                self._unreturned += stop - start
                if flags:
                    self._odd_data(stream, flags)
                self.on_data(stream, data[start:stop])
                if flags & END_STREAM:
                    self.on_end(stream)
            elif kind == HEADERS:
                block = data[start:stop]
                if block not in (trailers if flags & END_STREAM else heads) and not self._is_good(stream, block, flags):
                    continue
                if flags & END_STREAM:
                    self.on_end(stream)
            else:
                self._control(kind, flags, stream, data[start:stop])
        self._rest = data[at:]
        if self._unreturned > _HUGE_WINDOW // 4:
            self._return_room()

    def _return_room(self) -> None:
        """Before the huge windows are used up."""
        updates = [window_update_frame(stream, self._unreturned) for stream in (0, *self.lasting_streams)]
        self.send(b"".join(updates))
        self._unreturned = 0

    def _odd_data(self, stream: int, flags: int) -> None:
        if flags & PADDED or self.blocks.is_grpc:
            raise LoadFaultError(f"DATA with flags {flags} on stream {stream}: no gRPC server's")

    def _is_good(self, stream: int, block: bytes, flags: int) -> bool:
        """Whether a block that is not known is a good answer's."""
        if not flags & END_HEADERS or flags & PADDED:
            raise LoadFaultError(_ODD_BLOCK)
        is_end = bool(flags & END_STREAM)
        bad = self.blocks.read(block, is_end)
        if bad is None:
            return True
        self.on_bad_fields(stream, bad, is_end)
        return False

    def _check_long(self, data: bytes, length: int) -> None:
        """Looks at a frame that is not whole: nothing that is longer than we take will ever be."""
        if data.startswith(b"HTTP/1"):
            raise LoadFaultError(f"no HTTP/2 here: {data.partition(_LINE_END)[0].decode('latin-1')}")
        if length > MOST_DATA_BYTES:
            raise LoadFaultError(f"no HTTP/2 here, or a frame of {length} bytes")

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            self._more_credit(stream, read_number(payload))
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            last, code, debug = read_goaway(payload)
            raise LoadFaultError(f"the server says GOAWAY, last stream {last}, code {code} {debug!r}")
        elif kind == CONTINUATION:
            raise LoadFaultError(_ODD_BLOCK)
        elif kind == RST_STREAM:
            self.on_reset(stream, read_number(payload))

    def _settings(self, payload: bytes) -> None:
        for name, value in read_settings(payload):
            if name == _INITIAL_WINDOW_SIZE:
                change, self._initial_credit = value - self._initial_credit, value
                self._stream_credit = {stream: had + change for stream, had in self._stream_credit.items()}
            elif name == _MAX_CONCURRENT_STREAMS:
                self.on_max_streams(value)
            elif name == _HEADER_TABLE_SIZE and value < _LEAST_TABLE_BYTES:
                raise LoadFaultError("the server's header table is smaller than usual: not supported here")
        self.has_settings = True
        self.send(frame(SETTINGS, ACK, 0))
        self._send_waiting()

    def _more_credit(self, stream: int, more: int) -> None:
        if not stream:
            self._credit += more
        elif stream in self._stream_credit:
            self._stream_credit[stream] += more
        if self._waiting:
            self._send_waiting()

    def _fits(self, data_bytes: int, stream_data_bytes: int) -> bool:
        """Whether frames with so much DATA may be sent now."""
        if data_bytes > self._credit:
            return False
        for stream in self.lasting_streams:
            room = self._stream_credit.setdefault(stream, self._initial_credit)
            if room < stream_data_bytes:
                return False
            self._stream_credit[stream] = room - stream_data_bytes
        return bool(self.lasting_streams) or stream_data_bytes <= self._initial_credit

    def _send_waiting(self) -> None:
        """What the windows allow of what waits, in its order."""
        ready, waiting, rooms = [], self._waiting, self._stream_credit
        while waiting:
            data, size, stream = waiting[0]
            room = rooms.setdefault(stream, self._initial_credit)
            if size > room or size > self._credit:
                break
            waiting.popleft()
            ready.append(data)
            self._credit -= size
            rooms[stream] = room - size
            if data[4] & END_STREAM and data[3] == DATA:
                del rooms[stream]
        if ready:
            self.send(b"".join(ready))


class Http2Link(Http2Client, Link):
    """A connection of the load; what it asks and what DATA must be is its subclass's.

    window_data_bytes: of DATA in one window of requests, for the flow control
    stream_data_bytes: of DATA on one stream in a window
    """

    def __init__(
        self,
        port: int,
        window_of: Callable[[int], bytes],
        in_flight: int,
        window_data_bytes: int,
        stream_data_bytes: int,
        is_grpc: bool = True,
    ) -> None:
        Link.__init__(self, port, window_of, in_flight)
        self.done = 0
        """Answers of the window that have come."""
        self._window_data_bytes = window_data_bytes
        self._stream_data_bytes = stream_data_bytes
        self.open_http2(is_grpc)
        while not self.has_settings:
            self.take()

    def send(self, data: bytes) -> None:
        """By the socket."""
        Link.send(self, data)

    def start_window(self) -> None:
        """Sends the next window as the flow control allows."""
        window = self._window_of(self._windows)
        self._windows += 1
        self.send_frames(window, self._window_data_bytes, self._stream_data_bytes)

    def take(self) -> bool:
        """Reads once; whether the window is answered now."""
        self.receive(self.read())
        if self.done < self.in_flight:
            return False
        self.done -= self.in_flight
        return True

    def on_max_streams(self, streams: int) -> None:
        """They must be enough."""
        wanted = len(self.lasting_streams) or self.in_flight
        if streams < wanted:
            raise LoadFaultError(f"{wanted} in flight, but the server takes {streams} streams at once")


def _cut(window: bytes) -> list[tuple[bytes, int, int]]:
    """Prebuilt frames, one by one: (bytes, DATA bytes, stream)."""
    frames, at = [], 0
    while at < len(window):
        length, _, stream = _HEAD.unpack_from(window, at)
        stop = at + _HEAD_SIZE + (length >> 8)
        frames.append((window[at:stop], length >> 8 if length & 0xFF == DATA else 0, stream))
        at = stop
    return frames
