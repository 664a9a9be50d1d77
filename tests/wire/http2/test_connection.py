"""A connection as a whole: what it says first, how it ends, and which side it is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import (
    DATA,
    END_HEADERS,
    HEADERS,
    MAX_STREAM_ID,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    read_settings,
    rst_stream_frame,
    window_update_frame,
)
from quickpulse.wire.http2.settings import Setting
from tests.wire.http2.talk import BLOCK, LAST, RuleTestCase, Talk, frames_of, goaway, headers, request


class BeginningTests(SynchronousTestCase):
    """Section 3.4: our half of the preface."""

    def test_what_we_say_first(self) -> None:
        """SETTINGS with our limits, and the connection's window."""
        frames = frames_of(Talk(max_streams=7, max_header_bytes=1000).introduction)
        self.assertEqual([frame[0] for frame in frames], [SETTINGS, WINDOW_UPDATE])
        values = dict(read_settings(frames[0][3]))
        self.assertEqual(values[Setting.MAX_CONCURRENT_STREAMS], 7)
        self.assertEqual(values[Setting.MAX_HEADER_LIST_SIZE], 1000)
        self.assertEqual(int.from_bytes(frames[1][3], "big"), 8 * 1024 * 1024 - 65_535)

    def test_a_small_window(self) -> None:
        """There is none below the protocol's own."""
        self.assertEqual([frame[0] for frame in frames_of(Talk(window=1).introduction)], [SETTINGS])


class EndTests(RuleTestCase):
    """Section 6.8: GOAWAY by us."""

    def test_in_two_steps(self) -> None:
        """The first takes all that is on its way, the second says where it ended; beyond, all is discarded."""
        talk = Talk()
        talk.feed(request(1), headers(3))
        talk.connection.announce_shutdown()
        talk.feed(request(5))
        talk.connection.shut_down()
        self.assertTrue(talk.connection.is_shut_down)
        away = [goaway(ErrorCode.NO_ERROR, MAX_STREAM_ID, ""), goaway(ErrorCode.NO_ERROR, 5, "")]
        self.assertEqual(talk.sent(), away)
        table = frame(HEADERS, END_HEADERS, 7, BLOCK + b"\x40\x01a\x01b")
        late = frame(DATA, 0, 7, b"x") + window_update_frame(7, 9) + frame(HEADERS, LAST, 7, b"\xbe")
        self.assertEqual(talk.feed(table, late, rst_stream_frame(7, 8), request(9)), [])
        talk.feed(frame(DATA, 1, 3, b"rest"))
        self.assertEqual(talk.told.bodies, {1: b"", 5: b"", 3: b"rest"})
        talk.connection.shut_down()
        talk.connection.announce_shutdown()
        self.assertEqual(talk.sent(), [goaway(ErrorCode.NO_ERROR, 5, "")])
        talk.feed(frame(DATA, 0, 0, b"x"))
        self.assertEqual(talk.sent()[-1], goaway(ErrorCode.PROTOCOL_ERROR, 5, talk.told.reason))

    def test_failing_by_the_layer_above(self) -> None:
        """GOAWAY with its reason; nothing is read any more."""
        talk = Talk()
        talk.feed(headers(1))
        talk.connection.fail(ErrorCode.INTERNAL_ERROR, "ours")
        self.assertEqual(talk.sent(), [goaway(ErrorCode.INTERNAL_ERROR, 1, "ours")])
        self.assertEqual(talk.feed(request(3)), [])

    def test_forgetting(self) -> None:
        """Nothing is held any more, and nothing goes out."""
        talk = Talk()
        talk.feed(headers(1), headers(3), request(5)[:-1])
        stream = talk.connection.streams[1]
        stream.context = "the layer's own"
        talk.connection.send_data(stream, bytes(70_000))
        talk.connection.forget()
        self.assertEqual((talk.connection.streams, talk.connection.unsent_bytes, talk.sent()), ({}, 0, []))
        self.assertEqual((bytes(stream.pending), stream.context, talk.connection.is_blocked), (b"", None, False))

    def test_what_came_before_a_fault(self) -> None:
        """Is told, and Failed is the last."""
        talk = Talk()
        events = talk.feed(request(1, b"a"), headers(3), frame(DATA, 0, 3, b"b"), frame(DATA, 0, 0, b"x"))
        self.assertEqual([type(event) for event in events], [ev.Requests, ev.Opened, ev.Data, ev.Failed])


class RoleTests(SynchronousTestCase):
    """The default."""

    def test_a_server(self) -> None:
        """Unless it is said otherwise."""
        self.assertIs(Connection().role, Role.SERVER)
