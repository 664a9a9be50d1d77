"""What each frame means, fed whole, byte by byte and with a tail: sections 4, 5.1, 6 and 8.1 of RFC 9113."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.floods import A_SECOND
from quickpulse.wire.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_STREAM_ID,
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
    rst_stream_frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.settings import MAX_SETTINGS, Setting
from quickpulse.wire.http2.stream_table import RECENT_RESETS
from tests.wire.http2.talk import BLOCK, HEAD, LAST, REQUEST, TAIL, RuleTestCase, Talk, block, headers, request, reset


class FrameRuleTests(RuleTestCase):
    """Section 4 and 6: lengths, places, padding, order."""

    def test_settings_come_first(self) -> None:
        """Anything else, and an acknowledgement, is PROTOCOL_ERROR."""
        for first in (request(1), frame(PING, 0, 0, bytes(8)), frame(SETTINGS, ACK, 0), frame(0x99, 0, 0)):
            self.fails(ErrorCode.PROTOCOL_ERROR, PREFACE, first, begin=False)

    def test_too_long(self) -> None:
        """Above 16,384 bytes of any type, told before they have come."""
        for kind in (HEADERS, SETTINGS, 0x99):
            self.fails(ErrorCode.FRAME_SIZE_ERROR, frame(kind, 0, 1, bytes(16_385)))
        talk, _ = self.passes(headers(1), frame(DATA, 1, 1, bytes(16_384)))
        self.assertEqual(len(talk.told.bodies[1]), 16_384)

    def test_wrong_lengths(self) -> None:
        """FRAME_SIZE_ERROR of the connection."""
        for wrong in (
            frame(RST_STREAM, 0, 1, bytes(3)),
            frame(RST_STREAM, 0, 1, bytes(5)),
            frame(SETTINGS, 0, 0, bytes(5)),
            frame(SETTINGS, ACK, 0, bytes(6)),
            frame(PING, 0, 0, bytes(7)),
            frame(PING, 0, 0, bytes(9)),
            frame(GOAWAY, 0, 0, bytes(7)),
            frame(WINDOW_UPDATE, 0, 0, bytes(3)),
            frame(WINDOW_UPDATE, 0, 1, bytes(5)),
            frame(PRIORITY, 0, 3, bytes(4)),
            frame(HEADERS, END_HEADERS | PRIORITIZED, 3, bytes(4)),
            frame(HEADERS, END_HEADERS | PADDED, 3),
            frame(DATA, PADDED, 1),
        ):
            self.fails(ErrorCode.FRAME_SIZE_ERROR, headers(1), wrong, last=1)

    def test_wrong_places(self) -> None:
        """On a stream what is the connection's, or the other way: PROTOCOL_ERROR."""
        for wrong in (
            frame(DATA, 0, 0, b"x"),
            frame(HEADERS, END_HEADERS, 0, BLOCK),
            frame(PRIORITY, 0, 0, bytes(5)),
            frame(PRIORITY, 0, 0, bytes(4)),
            frame(RST_STREAM, 0, 0, bytes(4)),
            frame(SETTINGS, 0, 1),
            frame(PUSH_PROMISE, 0, 0, bytes(4)),
            frame(PUSH_PROMISE, 0, 1, bytes(4)),
            frame(PING, 0, 1, bytes(8)),
            frame(GOAWAY, 0, 1, bytes(8)),
            frame(CONTINUATION, 0, 0),
            frame(CONTINUATION, END_HEADERS, 1, BLOCK),
        ):
            self.fails(ErrorCode.PROTOCOL_ERROR, headers(1), wrong, last=1)

    def test_padding(self) -> None:
        """Of DATA and HEADERS it is cut off; as long as the frame is too long."""
        padded = frame(HEADERS, END_HEADERS | PADDED, 1, b"\x03" + BLOCK + bytes(3))
        body = frame(DATA, PADDED | END_STREAM, 1, b"\x05abc" + bytes(5))
        talk, _ = self.passes(padded, body)
        self.assertEqual(talk.told.bodies, {1: b"abc"})
        talk, _ = self.passes(headers(1), frame(DATA, PADDED | END_STREAM, 1, b"\x02\0\0"))
        self.assertEqual(talk.told.bodies, {1: b""})
        for wrong in (frame(DATA, PADDED, 1, b"\x01"), frame(DATA, PADDED, 1, b"\x09" + bytes(8))):
            self.fails(ErrorCode.PROTOCOL_ERROR, headers(1), wrong, last=1)
        self.fails(ErrorCode.PROTOCOL_ERROR, frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + BLOCK))

    def test_priorities(self) -> None:
        """They are read and mean nothing; nothing depends on itself."""
        fields = frame(HEADERS, END_HEADERS | PRIORITIZED, 1, b"\x80\0\0\x03\x10" + BLOCK)
        self.passes(frame(PRIORITY, 0, 7, bytes(5)), fields, frame(PRIORITY, 0, 1, bytes(5)))
        itself = b"\0\0\0\x01\0"
        self.resets(ErrorCode.PROTOCOL_ERROR, 1, headers(1), frame(PRIORITY, 0, 1, itself))
        self.resets(ErrorCode.FRAME_SIZE_ERROR, 1, headers(1), frame(PRIORITY, 0, 1, bytes(6)))
        self.fails(ErrorCode.PROTOCOL_ERROR, frame(PRIORITY, 0, 1, itself))
        self.fails(ErrorCode.PROTOCOL_ERROR, frame(HEADERS, END_HEADERS | PRIORITIZED, 1, itself + BLOCK))

    def test_continuation(self) -> None:
        """A block in pieces, cut anywhere; nothing may come in between."""
        for cut in range(0, len(BLOCK), 7):
            pieces = headers(1, BLOCK[:cut], 0) + frame(CONTINUATION, 0, 1, BLOCK[cut : cut + 5])
            rest = frame(CONTINUATION, END_HEADERS, 1, BLOCK[cut + 5 :])
            talk, _ = self.passes(pieces, rest, frame(DATA, 1, 1, b"x"))
            self.assertEqual(talk.told.bodies, {1: b"x"})
        ended, _ = self.passes(headers(1, b"", END_STREAM), frame(CONTINUATION, END_HEADERS, 1, BLOCK))
        self.assertEqual(ended.told.ended, [1])
        for between in (
            frame(DATA, 0, 1, b"x"),
            headers(3),
            frame(CONTINUATION, END_HEADERS, 3, BLOCK),
            frame(PING, 0, 0, bytes(8)),
            frame(0x99, 0, 0),
        ):
            self.fails(ErrorCode.PROTOCOL_ERROR, headers(1, BLOCK, 0), between)

    def test_unknown_types_and_flags(self) -> None:
        """They are nothing (section 4.1), and so is the reserved bit."""
        strange = frame(0x99, 0xFF, 1, b"any") + frame(0x0A, 0, 0)
        talk, sent = self.passes(strange, headers(1), frame(DATA, 0xF0 | END_STREAM, 1, b"x"), strange)
        self.assertEqual((talk.told.bodies, sent), ({1: b"x"}, []))
        talk, _ = self.passes(frame(HEADERS, END_HEADERS, 1 | 1 << 31, BLOCK), frame(DATA, 1, 1 | 1 << 31, b"y"))
        self.assertEqual(talk.told.bodies, {1: b"y"})

    def test_broken_blocks(self) -> None:
        """COMPRESSION_ERROR wherever they stand: the table would be out of step."""
        for kind in ([headers(1, b"\x80")], [headers(1), frame(HEADERS, LAST, 1, b"\xff")]):
            self.fails(ErrorCode.COMPRESSION_ERROR, *kind, last=1)

    def test_settings(self) -> None:
        """Each is acknowledged; unknown ones are nothing; values out of range end the connection."""
        _, sent = self.passes(settings_frame([(0x99, 5), (Setting.MAX_FRAME_SIZE, 2**24 - 1)]), settings_frame([]))
        self.assertEqual(sent, [(SETTINGS, ACK, 0, b"")] * 2)
        self.passes(
            settings_frame([(Setting.ENABLE_PUSH, 1), (Setting.MAX_HEADER_LIST_SIZE, 0)]), frame(SETTINGS, ACK, 0)
        )
        for pair, code in (
            ((Setting.ENABLE_PUSH, 2), ErrorCode.PROTOCOL_ERROR),
            ((Setting.INITIAL_WINDOW_SIZE, 2**31), ErrorCode.FLOW_CONTROL_ERROR),
            ((Setting.MAX_FRAME_SIZE, 16_383), ErrorCode.PROTOCOL_ERROR),
            ((Setting.MAX_FRAME_SIZE, 2**24), ErrorCode.PROTOCOL_ERROR),
        ):
            self.fails(code, settings_frame([pair]))
        self.fails(ErrorCode.ENHANCE_YOUR_CALM, settings_frame([(0x99, 0)] * (MAX_SETTINGS + 1)))

    def test_pings(self) -> None:
        """They are answered with their own bytes; answers to ours are told."""
        talk, sent = self.passes(frame(PING, 0, 0, b"12345678"), frame(PING, ACK, 0, b"87654321"))
        self.assertEqual(sent, [(PING, ACK, 0, b"12345678")])
        self.assertEqual([event.data for event in talk.told.others], [b"87654321"])
        talk.connection.ping(b"are you?")
        self.assertEqual(talk.sent(), [(PING, 0, 0, b"are you?")])

    def test_goaway(self) -> None:
        """It is told, with its words, known code or not; requests may still come."""
        talk, _ = self.passes(goaway_frame(3, 0x99, b"bye"), request(1, b"x"))
        (event,) = talk.told.others
        self.assertEqual((event.last_stream_id, event.code, event.debug), (3, 0x99, b"bye"))
        self.assertEqual(talk.told.ended, [1])


class FieldTests(RuleTestCase):
    """Header blocks: requests without a body, trailers, and how long they may be."""

    def test_without_a_body(self) -> None:
        """END_STREAM on HEADERS."""
        talk, _ = self.passes(headers(1, flags=LAST))
        self.assertEqual((talk.told.bodies, talk.told.ended), ({1: b""}, [1]))
        self.assertTrue(talk.connection.streams[1].is_remote_closed)

    def test_trailers(self) -> None:
        """They end the stream, and are told."""
        trailers = frame(HEADERS, LAST, 1, block([("x-end", "1")]))
        for frames in ([headers(1), trailers], [headers(1), frame(DATA, 0, 1, b"a"), trailers]):
            talk, _ = self.passes(*frames)
            self.assertEqual(talk.told.fields, [(1, [(b"x-end", b"1")], True)])
            self.assertEqual(talk.told.ended, [1])

    def test_wrong_trailers(self) -> None:
        """Without the end, or with pseudo fields: PROTOCOL_ERROR of the stream."""
        extra = block([("x-end", "1")])
        self.resets(ErrorCode.PROTOCOL_ERROR, 1, headers(1), frame(HEADERS, END_HEADERS, 1, extra))
        self.resets(ErrorCode.PROTOCOL_ERROR, 1, headers(1), frame(HEADERS, LAST, 1, BLOCK))

    def test_long_blocks(self) -> None:
        """Above four times the limit the connection ends; up to there the interpreter decides."""
        long = block([*REQUEST, ("x", "y" * 10_000)])
        self.passes(request(1, b"", long), max_header_bytes=4000)
        self.fails(ErrorCode.COMPRESSION_ERROR, headers(1, long), max_header_bytes=2000, last=1)
        parts = frame(CONTINUATION, 0, 1, bytes(8000)) * 5
        self.fails(ErrorCode.ENHANCE_YOUR_CALM, headers(1, b"", 0), parts, max_header_bytes=8000)

    def test_many_parts(self) -> None:
        """A block in more than 64 frames is an attack."""
        one = frame(CONTINUATION, 0, 1, b"\x82")
        self.fails(ErrorCode.ENHANCE_YOUR_CALM, headers(1, BLOCK, 0), one * 64)


class StateTests(RuleTestCase):
    """Section 5.1: what may come in which state."""

    def talk(self, state: str) -> Talk:
        """A conversation whose stream 1 is in this state."""
        talk = Talk()
        talk.feed(headers(3)) if state == "skipped" else talk.feed(headers(1)) if state != "idle" else None
        if state in ("half closed (remote)", "closed"):
            talk.feed(frame(DATA, END_STREAM, 1))
        if state in ("half closed (local)", "closed"):
            talk.connection.respond(talk.connection.streams[1], HEAD, b"", TAIL)
        if state == "reset by peer":
            talk.feed(rst_stream_frame(1, 8))
        if state == "reset by us":
            talk.connection.reset(talk.connection.streams[1])
        talk.connection.data_to_send()
        return talk

    def test_the_whole_table(self) -> None:
        """Each frame in each state: nothing, a stream's fault or the connection's."""
        trailers = frame(HEADERS, LAST, 1, block([("x", "1")]))
        body, update, end = frame(DATA, 0, 1, b"x"), window_update_frame(1, 5), rst_stream_frame(1, 8)
        protocol, closed = ErrorCode.PROTOCOL_ERROR, ErrorCode.STREAM_CLOSED
        for state, data, fields, updated, ended in (
            ("idle", protocol, None, protocol, protocol),
            ("open", None, None, None, None),
            ("half closed (local)", None, None, None, None),
            ("half closed (remote)", closed, (closed,), None, None),
            ("closed", closed, closed, None, None),
            ("skipped", closed, closed, None, None),
            ("reset by peer", closed, closed, None, None),
            ("reset by us", None, None, None, None),
        ):
            for sent, expected in ((body, data), (trailers, fields), (update, updated), (end, ended)):
                if state == "idle" and sent is trailers:
                    continue  # it is no request: see RequestTests
                talk = self.talk(state)
                talk.feed(sent)
                of_stream = [frame for frame in talk.sent() if frame[0] == RST_STREAM]
                if isinstance(expected, tuple):
                    self.assertEqual(of_stream, [reset(1, expected[0])], (state, sent))
                    self.assertIsNone(talk.told.failure)
                else:
                    self.assertEqual((talk.told.failure, of_stream), (expected, []), (state, sent, talk.told.reason))

    def test_numbers_of_streams(self) -> None:
        """Even ones are not a client's, lower ones are no new ones (section 5.1.1)."""
        self.fails(ErrorCode.PROTOCOL_ERROR, headers(2))
        self.fails(ErrorCode.STREAM_CLOSED, headers(5), headers(3), last=5)
        talk, _ = self.passes(headers(MAX_STREAM_ID))
        self.assertEqual(list(talk.connection.streams), [MAX_STREAM_ID])

    def test_a_reset_is_told(self) -> None:
        """With its code, unknown or not; what waited for a window is forgotten."""
        talk = Talk()
        talk.feed(headers(1), headers(3))
        talk.connection.send_data(talk.connection.streams[1], bytes(70_000))
        self.assertTrue(talk.connection.is_blocked)
        talk.feed(rst_stream_frame(1, 0x99), rst_stream_frame(3, 0))
        self.assertEqual(talk.told.resets, {1: 0x99, 3: 0})
        self.assertEqual((talk.connection.is_blocked, talk.connection.unsent_bytes), (False, 0))
        self.assertEqual(talk.connection.streams, {})

    def test_what_we_have_reset(self) -> None:
        """What the peer had sent by then is discarded, as long as it is remembered; its room is given back."""
        talk = Talk(max_streams=RECENT_RESETS + 10)
        ids = range(1, 2 * RECENT_RESETS + 3, 2)
        talk.feed(*(headers(stream_id) for stream_id in ids))
        for stream in list(talk.connection.streams.values()):
            talk.connection.reset(stream, ErrorCode.CANCEL)
        talk.connection.data_to_send()
        late = frame(DATA, 0, 3, b"x") + frame(HEADERS, LAST, 3, block([("x", "1")])) + rst_stream_frame(3, 8)
        self.assertEqual(talk.feed(late, window_update_frame(3, 5)), [])
        talk.feed(frame(DATA, 0, 1, b"x"))
        self.assertEqual(talk.told.failure, ErrorCode.STREAM_CLOSED)


class FloodTests(SynchronousTestCase):
    """Frames that cost and move nothing end the connection; a second later they may come again."""

    def test_each_flood(self) -> None:
        """Up to the limit nothing happens, then ENHANCE_YOUR_CALM."""
        bad = block([*REQUEST, ("Upper", "1")])

        def each(make: Any) -> list[bytes]:
            return [make(2 * at + 3) for at in range(5001)]

        for kind, floods in (
            ("reset", each(lambda n: headers(n) + rst_stream_frame(n, 8))),
            ("reset", each(lambda n: headers(n, bad, LAST))),
            ("ping", [frame(PING, 0, 0, bytes(8))] * 1001),
            ("settings", [settings_frame([])] * 201),
            ("settings", [frame(SETTINGS, ACK, 0)] * 201),
            ("settings", [goaway_frame(0, 0)] * 201),
            ("priority", [frame(PRIORITY, 0, 1, bytes(5))] * 5001),
            ("empty frame", [frame(DATA, 0, 1)] * 1001),
            ("empty frame", [frame(DATA, PADDED, 1, b"\x01\0")] * 1001),
            ("unknown frame", [frame(0x99, 0, 0)] * 1001),
            ("refused stream", each(lambda n: headers(n, flags=LAST))),
            ("refused stream", each(request)),
            ("window update", [window_update_frame(0, 1)] * 200_001),
        ):
            talk = Talk(max_streams=1 if kind == "refused stream" else 100)
            talk.feed(headers(1))
            self.assertEqual(len(floods), A_SECOND[kind] + 1)
            for _ in range(2):
                talk.now += 1
                talk.feed(*floods[:-1]) if floods[0] == floods[1] else talk.now
            self.assertIsNone(talk.told.failure, (kind, talk.told.reason))
            talk.now += 1
            talk.feed(*floods)
            self.assertEqual((talk.told.failure, talk.told.reason), (ErrorCode.ENHANCE_YOUR_CALM, f"{kind} flood"))

    def test_empty_continuations(self) -> None:
        """They end before their number does."""
        talk = Talk()
        talk.feed(headers(1, b"", 0), frame(CONTINUATION, 0, 1) * 100)
        self.assertEqual(talk.told.failure, ErrorCode.ENHANCE_YOUR_CALM)
