"""One connection in memory, the frames of its peer, made by hand, and what must come of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpack import Encoder
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEAD_SIZE,
    HEADERS,
    PREFACE,
    WINDOW_UPDATE,
    frame,
    goaway_frame,
    rst_stream_frame,
    settings_frame,
)
from quickpulse.wire.http2.frames import HEAD as FRAME_HEAD
from quickpulse.wire.http2.hpacking import literal

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), ("te", "trailers")]
RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]

Frame = tuple[int, int, int, bytes]


def block(fields: Iterable[tuple[str, str]] = REQUEST) -> bytes:
    """A header block that touches no table."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode([(name, value, True) for name, value in fields]).lstrip(b"\x20")


def frames_of(data: bytes) -> list[Frame]:
    """Kind, flags, stream and payload of each frame; all are whole."""
    frames, at = [], 0
    while at < len(data):
        word, flags, stream_id = FRAME_HEAD.unpack_from(data, at)
        payload = data[at + HEAD_SIZE : at + HEAD_SIZE + (word >> 8)]
        assert len(payload) == word >> 8, "a frame is cut off"
        frames.append((word & 0xFF, flags, stream_id, payload))
        at += HEAD_SIZE + len(payload)
    return frames


class Told:
    """What events said, however the bytes were cut.

    :ivar bodies: stream to the body so far.
    :ivar ended: streams that ended in order.
    :ivar resets: stream to the code.
    :ivar failure: the code of Failed, or None.
    :ivar others: events of the connection, in their order.
    """

    def __init__(self) -> None:
        self.meanings: dict[int, Any] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.resets: dict[int, int] = {}
        self.fields: list[tuple[int, list[tuple[bytes, bytes]], bool]] = []
        self.failure: int | None = None
        self.reason = ""
        self.others: list[Any] = []

    def add(self, events: list[ev.Event]) -> None:
        """Take in what one read said."""
        for event in events:
            assert self.failure is None, "an event after Failed"
            if isinstance(event, ev.Requests):
                volatiles = event.volatiles or [None] * len(event.stream_ids)
                for stream_id, body, volatile in zip(event.stream_ids, event.bodies, volatiles, strict=True):
                    self._open(stream_id, event.meaning, volatile)
                    self.bodies[stream_id] = body
                    self.ended.append(stream_id)
            elif isinstance(event, ev.Opened):
                self._open(event.stream.id, event.meaning, event.volatile)
            elif isinstance(event, ev.Data):
                self.bodies[event.stream.id] = self.bodies.get(event.stream.id, b"") + b"".join(event.chunks)
            elif isinstance(event, ev.Ended):
                self.ended.append(event.stream.id)
            elif isinstance(event, ev.Reset):
                self.resets[event.stream.id] = event.code
            elif isinstance(event, ev.Fields):
                self.fields.append((event.stream.id, event.fields, event.is_trailers))
            elif isinstance(event, ev.Failed):
                self.failure, self.reason = event.code, event.reason
            else:
                self.others.append(event)

    def _open(self, stream_id: int, meaning: Any, volatile: bytes | None) -> None:
        assert stream_id not in self.meanings, "opened twice"
        self.meanings[stream_id] = meaning, volatile
        self.bodies[stream_id] = b""

    @property
    def account(self) -> tuple[Any, ...]:
        """All of it, to be compared."""
        others = [(type(event).__name__, *(getattr(event, slot) for slot in event.__slots__)) for event in self.others]
        others = [tuple(getattr(x, "id", x) for x in other) for other in others]
        return self.meanings, self.bodies, sorted(self.ended), self.resets, self.fields, self.failure, others


class Talk:
    """A connection that has had its peer's preface.

    :param role: of the connection.
    :param settings: of the peer.
    :param options: of the Connection.
    """

    def __init__(
        self, role: Role = Role.SERVER, settings: Iterable[tuple[int, int]] = (), begin: bool = True, **options: Any
    ) -> None:
        self.connection = Connection(role, **options)
        self.introduction = self.connection.data_to_send()
        self.told = Told()
        self.events: list[ev.Event] = []
        self.now = 0.0
        if begin:
            self.feed((PREFACE if role is Role.SERVER else b"") + settings_frame(settings))
            self.connection.data_to_send()

    def feed(self, *frames: bytes) -> list[ev.Event]:
        """One read."""
        self.events = self.connection.receive(b"".join(frames), self.now)
        self.told.add(self.events)
        return self.events

    def sent(self) -> list[Frame]:
        """The frames that the connection says now."""
        return frames_of(self.connection.data_to_send())


def told_each_way(data: bytes, **options: Any) -> tuple[Talk, list[Frame]]:
    """Feed bytes whole, byte by byte, and with the beginning of another frame behind; all must say the same.

    :returns: the first conversation, and what the connection sent, but for the room that it gave: how much a read
        brings decides of that.
    """
    whole, single, tailed = (Talk(**options) for _ in range(3))
    whole.feed(data)
    for at in range(len(data)):
        single.feed(data[at : at + 1])
    tailed.feed(data + b"\0\0")
    tailed.feed(b"\x08\x06\0\0\0\0\0" + b"12345678")  # the rest of a PING
    frames, singly, with_tail = ([f for f in talk.sent() if f[0] != WINDOW_UPDATE] for talk in (whole, single, tailed))
    assert whole.told.account == single.told.account == tailed.told.account, (
        whole.told.account,
        single.told.account,
        tailed.told.account,
    )
    assert frames == singly, (frames, singly)
    if whole.told.failure is None:
        frames_and_pong = [*frames, (6, 1, 0, b"12345678")]
        assert with_tail == frames_and_pong, (with_tail, frames_and_pong)
    else:
        assert with_tail == frames
    return whole, frames


BLOCK = block()
HEAD, TAIL = literal(b":status", b"200"), literal(b"grpc-status", b"0")
WHOLE = Answer(HEAD, b"body", TAIL)
LAST = END_HEADERS | END_STREAM


def request(stream_id: int, body: bytes = b"", fields: bytes = BLOCK) -> bytes:
    """HEADERS and one DATA."""
    return headers(stream_id, fields) + frame(DATA, END_STREAM, stream_id, body)


def headers(stream_id: int, fields: bytes = BLOCK, flags: int = END_HEADERS) -> bytes:
    """HEADERS of a request."""
    return frame(HEADERS, flags, stream_id, fields)


def whole_answer(stream_id: int, body: bytes = b"body") -> list[Frame]:
    """The frames of WHOLE."""
    return [
        (HEADERS, END_HEADERS, stream_id, HEAD),
        (DATA, 0, stream_id, body),
        (HEADERS, LAST, stream_id, TAIL),
    ]


def goaway(code: ErrorCode, last: int, reason: str) -> Frame:
    """A GOAWAY frame."""
    return frames_of(goaway_frame(last, code, reason.encode()))[0]


def reset(stream_id: int, code: ErrorCode) -> Frame:
    """A RST_STREAM frame."""
    return frames_of(rst_stream_frame(stream_id, code))[0]


class RuleTestCase(SynchronousTestCase):
    """Asserts about the peer's faults, each fed whole, byte by byte and with a tail."""

    def fails(self, code: ErrorCode, *frames: bytes, last: int = 0, **options: Any) -> None:
        """The connection ends with this code."""
        talk, sent = told_each_way(b"".join(frames), **options)
        self.assertEqual(talk.told.failure, code, talk.told.reason)
        self.assertEqual(sent[-1], goaway(code, last, talk.told.reason))
        self.assertTrue(talk.connection.is_failed)
        self.assertEqual(talk.feed(request(99)), [])

    def resets(self, code: ErrorCode, stream_id: int, *frames: bytes, **options: Any) -> Talk:
        """The stream ends with this code, the connection lives."""
        talk, sent = told_each_way(b"".join(frames), **options)
        self.assertIsNone(talk.told.failure, talk.told.reason)
        self.assertIn(reset(stream_id, code), sent)
        self.assertNotIn(stream_id, talk.connection.streams)
        talk.feed(request(99, b"alive"))
        self.assertEqual(talk.told.bodies[99], b"alive")
        return talk

    def passes(self, *frames: bytes, **options: Any) -> tuple[Talk, list[Frame]]:
        """Nothing is wrong."""
        talk, sent = told_each_way(b"".join(frames), **options)
        self.assertIsNone(talk.told.failure, talk.told.reason)
        self.assertEqual(talk.told.resets, {})
        return talk, sent
