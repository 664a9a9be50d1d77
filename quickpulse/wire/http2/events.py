"""What a connection reports of the bytes it was given. Plain objects: one for a run of frames, not for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quickpulse.wire.http2.streams import Stream


class Requests:
    """Requests that lay complete in one read, each HEADERS and one DATA with END_STREAM, all with the same meaning.

    They have no `Stream`: whoever answers later than at once calls `Connection.adopt`.

    :ivar meaning: what the interpreter made of their fields.
    :ivar stream_ids: of each.
    :ivar bodies: of each, the DATA frame's bytes.
    :ivar volatiles: of each, the value of the volatile field; None where no request has it.
    """

    __slots__ = ("bodies", "meaning", "stream_ids", "volatiles")

    def __init__(self, meaning: Any, volatiles: list[bytes] | None) -> None:
        self.meaning = meaning
        self.stream_ids: list[int] = []
        self.bodies: list[bytes] = []
        self.volatiles = volatiles

    def keep(self, places: Sequence[int]) -> None:
        """Leave those at these places."""
        self.stream_ids = [self.stream_ids[at] for at in places]
        self.bodies = [self.bodies[at] for at in places]
        if self.volatiles is not None:
            self.volatiles = [self.volatiles[at] for at in places]


class Opened:
    """A request's fields came; its body may follow.

    :ivar stream: new; `stream.is_remote_closed` where no body comes.
    :ivar meaning: what the interpreter made of the fields.
    :ivar volatile: the value of the volatile field, or None.
    """

    __slots__ = ("meaning", "stream", "volatile")

    def __init__(self, stream: Stream, meaning: Any, volatile: bytes | None) -> None:
        self.stream = stream
        self.meaning = meaning
        self.volatile = volatile


class Fields:
    """A client's answer: fields of a response, informational ones included, or trailers.

    :ivar stream: whose.
    :ivar fields: names and values.
    :ivar is_trailers: whether they follow the body, or are all there is.
    """

    __slots__ = ("fields", "is_trailers", "stream")

    def __init__(self, stream: Stream, fields: list[tuple[bytes, bytes]], is_trailers: bool) -> None:
        self.stream = stream
        self.fields = fields
        self.is_trailers = is_trailers


class Data:
    """A run of DATA frames of one stream.

    :ivar stream: whose.
    :ivar chunks: their bytes, without padding.
    """

    __slots__ = ("chunks", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.chunks: list[bytes] = []


class Ended:
    """The peer's half of a stream ended in order; a server's request has all its body."""

    __slots__ = ("stream",)

    def __init__(self, stream: Stream) -> None:
        self.stream = stream


class Reset:
    """A stream is over before its end: the peer reset it, or broke a rule of it.

    :ivar stream: whose; in no table any more.
    :ivar code: of the RST_STREAM.
    :ivar is_ours: whether we sent it, because of the peer's fault.
    :ivar reason: of ours.
    """

    __slots__ = ("code", "is_ours", "reason", "stream")

    def __init__(self, stream: Stream, code: int, is_ours: bool = False, reason: str = "") -> None:
        self.stream = stream
        self.code = code
        self.is_ours = is_ours
        self.reason = reason


class ResetAfterEnd:
    """RST_STREAM for a stream that was over for us: its answer may not have been read. Comes at the end of a read.

    :ivar stream_id: whose.
    """

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


class Refused:
    """A request was not taken: too many streams, too large or malformed fields. The peer was told.

    :ivar reason: a word of the closed set that metrics know.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Drained:
    """Everything that a stream had waiting went out.

    :ivar stream: whose.
    """

    __slots__ = ("stream",)

    def __init__(self, stream: Stream) -> None:
        self.stream = stream


class Pong:
    """The answer to a PING of ours.

    :ivar data: its eight bytes.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class GoneAway:
    """The peer's GOAWAY.

    :ivar last_stream_id: the last stream of ours that it serves.
    :ivar code: why.
    :ivar debug: its own words.
    """

    __slots__ = ("code", "debug", "last_stream_id")

    def __init__(self, last_stream_id: int, code: int, debug: bytes) -> None:
        self.last_stream_id = last_stream_id
        self.code = code
        self.debug = debug


class Failed:
    """The peer broke a rule of the connection: GOAWAY is in the output, and nothing more is read.

    :ivar code: of the GOAWAY.
    :ivar reason: likewise.
    """

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


Event = Requests | Opened | Fields | Data | Ended | Reset | ResetAfterEnd | Refused | Drained | Pong | GoneAway | Failed
