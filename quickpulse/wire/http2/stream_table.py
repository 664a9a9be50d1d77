"""The streams of a connection by their numbers: which are open, which were, and which may still come.

IDLE and CLOSED have no object: a number above the highest seen is idle, one below that is not open is closed.
"""

from __future__ import annotations

from collections import OrderedDict

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.frames import MAX_STREAM_ID
from quickpulse.wire.http2.streams import Input, State, Stream

RECENT_RESETS = 1024
"""Streams whose end by us is remembered: what the peer had sent by then is no fault of its. As many as a client may
have open by default, so that all of them can be reset at once."""


class StreamTable:
    """The streams of one connection.

    :param is_client: whether we are the client; its streams have odd numbers (RFC 9113, section 5.1.1).
    :ivar streams: all that are open or half closed.
    :ivar receiving: those of them on which plain DATA may come.
    :ivar last_id: the highest number that we have opened.
    :ivar last_peer_id: the highest that the peer has.
    :ivar served_id: the highest of the peer's that is served, by our GOAWAY; a server does not open any for us.
    """

    __slots__ = ("is_client", "last_id", "last_peer_id", "receiving", "recent_resets", "served_id", "streams")

    def __init__(self, is_client: bool) -> None:
        self.is_client = is_client
        self.streams: dict[int, Stream] = {}
        self.receiving: dict[int, Stream] = {}
        self.recent_resets: OrderedDict[int, None] = OrderedDict()
        self.last_id = self.last_peer_id = 0
        self.served_id = 0 if is_client else MAX_STREAM_ID

    def take_next_id(self) -> int:
        """The number of a new stream of ours.

        :raises ValueError: all are used up.
        """
        stream_id = self.last_id + 2 if self.last_id else 1
        if stream_id > MAX_STREAM_ID:
            raise ValueError("no stream is left on this connection")
        self.last_id = stream_id
        return stream_id

    def remote_ended(self, stream: Stream) -> None:
        """The peer has said all of it."""
        self.receiving.pop(stream.id, None)
        if stream.move(Input.RECEIVE_END) is State.CLOSED:
            del self.streams[stream.id]

    def local_ended(self, stream: Stream) -> None:
        """We have said all of it."""
        if stream.move(Input.SEND_END) is State.CLOSED:
            self.streams.pop(stream.id, None)

    def reset(self, stream: Stream) -> None:
        """It is over at once, by whichever side."""
        stream.move(Input.RESET)
        self.streams.pop(stream.id, None)
        self.receiving.pop(stream.id, None)

    def remember_reset(self, stream_id: int) -> None:
        """We have reset it: the peer may not have known when it sent what comes next."""
        self.recent_resets[stream_id] = None
        if len(self.recent_resets) > RECENT_RESETS:
            self.recent_resets.popitem(last=False)

    def require_not_idle(self, stream_id: int, what: str) -> None:
        """:raises ConnectionFault: nobody has opened it."""
        ours = (stream_id & 1) == self.is_client
        if stream_id > (self.last_id if ours else self.last_peer_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on a stream that was not opened")

    def require_discarded(self, stream_id: int, what: str) -> None:
        """:raises ConnectionFault: it ended so that the peer must have known."""
        if not self.is_discarded(stream_id):
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"{what} on stream {stream_id}, which has ended")

    def is_discarded(self, stream_id: int) -> bool:
        """Whether what comes of a stream that is not open is to be expected, and nothing."""
        return stream_id in self.recent_resets or self.is_unserved(stream_id)

    def is_unserved(self, stream_id: int) -> bool:
        """Whether our GOAWAY said that it is not served (RFC 9113, section 6.8)."""
        return not self.is_client and stream_id > self.served_id
