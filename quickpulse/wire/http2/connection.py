"""One HTTP/2 connection, in either role: bytes in, events out, and the bytes to send.

`receive` takes what was read, whole frames or not, and returns events in their order. Everything that answers (and the
protocol's own acknowledgements) gathers until `data_to_send`, so that one read is answered by one write. The peer's
faults end in RST_STREAM or GOAWAY and an event; our own mistakes raise.

Here is its beginning, its end, and what the layer above calls; answering is in `sending`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.fields import Field, check_request
from quickpulse.wire.http2.frames import (
    END_STREAM,
    MAX_STREAM_ID,
    PING,
    PREFACE,
    frame,
    goaway_frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.hpacking import BlockReader, Known
from quickpulse.wire.http2.receiving import PLAIN_DATA, Receiving
from quickpulse.wire.http2.settings import Setting
from quickpulse.wire.http2.streams import Stream
from quickpulse.wire.http2.windows import DEFAULT_WINDOW


class Role(Enum):
    """Which side we are."""

    CLIENT = "client"
    SERVER = "server"


class Connection(Receiving):
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
        super().__init__(
            role is Role.CLIENT,
            BlockReader(max_header_bytes, _reading(interpret, volatile), volatile),
            max_streams=max_streams,
            max_header_bytes=max_header_bytes,
            window=window,
        )
        self.role = role
        self.is_failed = False
        """Nothing more is read; GOAWAY was said."""
        self.is_shut_down = False
        """The second GOAWAY was said."""
        self._introduce()

    def _introduce(self) -> None:
        """Our half of the preface: SETTINGS, and the connection's window."""
        values = [(Setting.MAX_HEADER_LIST_SIZE, self._max_header_bytes)]
        if self.role is Role.CLIENT:
            self._out.append(PREFACE)
            values.append((Setting.ENABLE_PUSH, 0))
        else:
            values.append((Setting.MAX_CONCURRENT_STREAMS, self._max_streams))
        self._out.append(settings_frame(values))
        if self._window.size > DEFAULT_WINDOW:
            self._out.append(window_update_frame(0, self._window.size - DEFAULT_WINDOW))

    def receive(self, data: bytes, now: float) -> list[ev.Event]:
        """Take in what was read.

        :param data: any number of bytes.
        :param now: seconds on a clock that does not go back, for what is bounded by time.
        :returns: what it meant. A `Failed` is the last of the connection.
        """
        if self.is_failed:
            return []
        if data[3:5] == PLAIN_DATA and not self._rest and self._take_one(data):
            return self._events
        self._data, self._at, self._now = (self._rest + data if self._rest else data), 0, now
        events = self._events = []
        try:
            if self._is_prefaced or self._take_preface():
                self._take_all()
            self._rest = self._data[self._at :]
            self._finish_read()
        except ConnectionFault as fault:
            self._break_off()
            self.fail(fault.code, fault.reason)
        self._data = b""
        return events

    @property
    def is_established(self) -> bool:
        """Whether the peer's preface is complete, its first SETTINGS included."""
        return self._has_settings

    @property
    def peer_max_streams(self) -> int | None:
        """For a client: how many streams the server takes; None is not said."""
        return self._peer.max_streams

    def open(self, block: bytes, *, end: bool = False) -> Stream:
        """For a client: a new stream with this block of request fields.

        :param end: there is no body.
        :raises ValueError: all numbers of streams are used up; another connection has new ones.
        """
        stream_id = self._table.take_next_id()
        stream = self.streams[stream_id] = Stream(stream_id, self._peer.window, DEFAULT_WINDOW)
        self._send_block(stream_id, block, END_STREAM if end else 0)
        if end:
            self._table.local_ended(stream)
        return stream

    def hold(self, stream: Stream) -> None:
        """Give the stream's peer no new room, until `release`."""
        stream.is_held = True

    def release(self, stream: Stream) -> None:
        """Give room again."""
        stream.is_held = False
        self._give_room_to(stream)

    def ping(self, data: bytes) -> None:
        """Ask the peer for a sign of life; `Pong` reports it.

        :param data: eight bytes.
        """
        self._out.append(frame(PING, 0, 0, data))

    def announce_shutdown(self) -> None:
        """The first of two GOAWAYs: say that no new stream should come; those on their way are still served."""
        if not self.is_shut_down:
            self._out.append(goaway_frame(MAX_STREAM_ID, ErrorCode.NO_ERROR))

    def shut_down(self) -> None:
        """The second: what comes from now on is not served, and may be tried elsewhere."""
        self.is_shut_down = True
        table = self._table
        table.served_id = min(table.served_id, table.last_peer_id)  # what was said once cannot be taken back
        self._out.append(goaway_frame(table.served_id, ErrorCode.NO_ERROR))

    def fail(self, code: ErrorCode, reason: str) -> None:
        """End the connection with GOAWAY; the last event of it is `Failed`."""
        self.is_failed = True
        self._rest = b""
        last = min(self._table.last_peer_id, self._table.served_id)
        self._out.append(goaway_frame(last, code, reason.encode()))
        self._events.append(ev.Failed(code, reason))

    def forget_meanings(self) -> None:
        """Have the interpreter asked anew."""
        self._reader.forget()

    def forget(self) -> None:
        """The connection is over: let go of all that it holds, which may be much, and not wait for the collector."""
        for stream in self.streams.values():
            stream.pending.clear()
            stream.context = None
        for held in (self.streams, self._table.receiving, self._blocked, self._fresh, self._out):
            held.clear()
        self._data = self._rest = b""
        self._block = None
        self._events = []


def _reading(interpret: Callable[[list[Field]], Any], volatile: bytes) -> Callable[[list[Field]], Known]:
    """What is kept of a request's fields."""

    def read(fields: list[Field]) -> Known:
        length = check_request(fields)
        value = next((value for name, value in fields if name == volatile), None)
        return Known(interpret(fields), length, value)

    return read
