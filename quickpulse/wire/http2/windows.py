"""The room that we give the peer: of the whole connection and of each stream (RFC 9113, section 5.2 and 6.9).

What the peer gives us is in `sending`. Nothing here reads or writes frames.
"""

from __future__ import annotations

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.streams import Stream

DEFAULT_WINDOW = 65_535
"""Of the connection and of each stream, until somebody says otherwise."""

STREAM_WINDOW = 1024 * 1024
"""The most that a stream that sends gets, while all together get no more than half of the connection's: so many streams
that are not read stay within it."""


class ReceiveWindow:
    """The connection's, and how it is shared. Room is given back in few frames, each time half of a window is used.

    :param size: bytes that may be received and not taken; never fewer than the protocol's own.
    :ivar half: of them.
    :ivar used: bytes received whose room was not given back.
    """

    __slots__ = ("half", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = max(size, DEFAULT_WINDOW)
        self.half = self.size // 2
        self.used = 0

    def give_back(self) -> int:
        """The room to give back, all that is used.

        :raises ConnectionFault: more was used than there is.
        """
        if self.used > self.size:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        due, self.used = self.used, 0
        return due

    def give_back_to(self, stream: Stream, streams: int) -> int:
        """The room to give to a stream: none until half of what it last got is used.

        :param streams: how many share the connection's.
        """
        if stream.receive_window > stream.room // 2:
            return 0
        stream.room = min(max(self.half // max(streams, 1), DEFAULT_WINDOW), STREAM_WINDOW)
        due = stream.room - stream.receive_window
        if due <= 0:
            return 0  # its share has become less than what it still has
        stream.receive_window = stream.room
        return due
