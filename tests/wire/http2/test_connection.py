"""A server's connection: frames in, events and frames out. Windows and the client's role have files of their own."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.fields import MalformedFields
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
    read_settings,
    rst_stream_frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.hpacking import literal
from quickpulse.wire.http2.settings import MAX_SETTINGS, Setting
from quickpulse.wire.http2.stream_table import RECENT_RESETS
from tests.wire.http2.talk import REQUEST, Frame, Talk, block, frames_of, told_each_way

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


class BeginningTests(RuleTestCase):
    """Section 3.4: the preface."""

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

    def test_the_preface_anyhow(self) -> None:
        """Whole, byte by byte, and with a request behind: SETTINGS is acknowledged, the request read."""
        data = PREFACE + settings_frame([]) + request(1, b"a")
        for cut in range(len(data) + 1):
            talk = Talk(begin=False)
            talk.feed(data[:cut])
            talk.feed(data[cut:])
            self.assertEqual(talk.told.bodies, {1: b"a"}, cut)
            self.assertEqual(talk.sent(), [(SETTINGS, ACK, 0, b"")])

    def test_another_preface(self) -> None:
        """PROTOCOL_ERROR at the first byte that differs."""
        for at in range(len(PREFACE)):
            self.fails(ErrorCode.PROTOCOL_ERROR, PREFACE[:at] + b"?", begin=False)

    def test_settings_come_first(self) -> None:
        """Anything else, and an acknowledgement, is PROTOCOL_ERROR."""
        for first in (request(1), frame(PING, 0, 0, bytes(8)), frame(SETTINGS, ACK, 0), frame(0x99, 0, 0)):
            self.fails(ErrorCode.PROTOCOL_ERROR, PREFACE, first, begin=False)


class RequestTests(RuleTestCase):
    """Section 8.1: what is reported of requests."""

    def test_complete_in_one_read(self) -> None:
        """Neighbours with the same meaning are one event."""
        talk = Talk()
        events = talk.feed(*(request(stream_id, b"%d" % stream_id) for stream_id in (1, 3, 5)))
        self.assertEqual(len(events), 1)
        run = events[0]
        assert isinstance(run, ev.Requests)
        self.assertEqual((run.stream_ids, run.bodies, run.volatiles), ([1, 3, 5], [b"1", b"3", b"5"], None))
        self.assertEqual(run.meaning, [(name.encode(), value.encode()) for name, value in REQUEST])
        self.assertEqual(talk.connection.streams, {})

    def test_all_fields_before_all_bodies(self) -> None:
        """It is one event as well, in the order of the bodies."""
        talk = Talk()
        (run,) = talk.feed(headers(1), headers(3), frame(DATA, 1, 3, b"c"), frame(DATA, 1, 1, b"a"))
        assert isinstance(run, ev.Requests)
        self.assertEqual((run.stream_ids, run.bodies), ([3, 1], [b"c", b"a"]))

    def test_other_meanings_and_volatiles(self) -> None:
        """A run ends where the meaning changes, or the volatile field comes or goes."""
        other = block([*REQUEST, ("x-a", "1")])
        timed = block([*REQUEST, ("x-v", "1")])
        talk = Talk(volatile=b"x-v", interpret=len)
        events = talk.feed(request(1), request(3, fields=other), request(5), request(7, fields=timed), request(9))
        runs = [(event.stream_ids, event.volatiles) for event in events if isinstance(event, ev.Requests)]
        self.assertEqual(runs, [([1], None), ([3], None), ([5], None), ([7], [b"1"]), ([9], None)])

    def test_each_way(self) -> None:
        """Whatever the cuts, the same is told."""
        for body in (b"", b"a", b"b" * 300):
            talk, sent = self.passes(request(1, body), request(3, body))
            self.assertEqual((talk.told.bodies, talk.told.ended), ({1: body, 3: body}, [1, 3]))
            self.assertEqual(sent, [])

    def test_in_pieces(self) -> None:
        """Opened, Data for each run of frames, Ended."""
        talk = Talk()
        data = [frame(DATA, 0, 1, b"a"), frame(DATA, 0, 1, b"b"), frame(DATA, END_STREAM, 1, b"c")]
        events = talk.feed(headers(1), *data)
        self.assertEqual((type(events[0]), type(events[-1])), (ev.Opened, ev.Ended))
        self.assertEqual((talk.told.bodies, talk.told.ended), ({1: b"abc"}, [1]))
        self.passes(headers(1), *data)

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

    def test_malformed_fields(self) -> None:
        """PROTOCOL_ERROR of the stream, and DATA behind it is nobody's fault."""
        bad = block([*REQUEST, ("Upper", "1")])
        for frames in ([request(1, b"body", bad)], [headers(1, bad, LAST)]):
            talk = self.resets(ErrorCode.PROTOCOL_ERROR, 1, *frames)
            self.assertEqual([event.reason for event in talk.told.others], ["bad_request"])

    def test_the_interpreter_may_refuse(self) -> None:
        """MalformedFields of its own is as good as ours."""

        def refuse(fields: list[Any]) -> Any:
            raise MalformedFields("not here")

        talk = Talk(interpret=refuse)
        talk.feed(headers(1))
        self.assertEqual(talk.sent(), [reset(1, ErrorCode.PROTOCOL_ERROR)])

    def test_content_length(self) -> None:
        """It is kept to, whether the body comes at once, in pieces, or not at all (section 8.1.1)."""
        three = block([*REQUEST, ("content-length", "3")])
        self.passes(request(1, b"abc", three))
        self.passes(headers(1, three), frame(DATA, 0, 1, b"ab"), frame(DATA, 1, 1, b"c"))
        self.passes(headers(1, three), frame(DATA, 0, 1, b"abc"), frame(HEADERS, LAST, 1, block([("x", "1")])))
        self.passes(headers(1, block([*REQUEST, ("content-length", "0")]), LAST))
        for frames in (
            [request(1, b"ab", three)],
            [request(1, b"abcd", three)],
            [headers(1, three, LAST)],
            [headers(1, three), frame(DATA, 0, 1, b"ab"), frame(DATA, 1, 1)],
            [headers(1, three), frame(DATA, 0, 1, b"abcd")],
            [headers(1, three), frame(DATA, PADDED, 1, b"\x02ab\0\0"), frame(HEADERS, LAST, 1, block([("x", "1")]))],
        ):
            self.resets_somehow(frames)

    def resets_somehow(self, frames: list[bytes]) -> None:
        """A stream that was opened, or never was, by the cuts: RST_STREAM either way."""
        whole, single = Talk(), Talk()
        whole.feed(*frames)
        for byte in b"".join(frames):
            single.feed(bytes((byte,)))
        for talk in (whole, single):
            self.assertEqual(talk.sent(), [reset(1, ErrorCode.PROTOCOL_ERROR)])
            self.assertEqual(talk.connection.streams, {})
            self.assertIsNone(talk.told.failure)


class LimitTests(RuleTestCase):
    """max_streams and the sizes of header blocks."""

    def test_open_streams(self) -> None:
        """REFUSED_STREAM above (section 5.1.2); what comes of it is discarded, and another fits when one has gone."""
        talk = Talk(max_streams=2)
        talk.feed(headers(1), headers(3), headers(5), frame(DATA, 0, 5, b"x"), frame(DATA, END_STREAM, 5))
        self.assertEqual(talk.sent(), [reset(5, ErrorCode.REFUSED_STREAM)])
        self.assertEqual([event.reason for event in talk.told.others], ["too_many_streams"])
        talk.feed(rst_stream_frame(1, 8), headers(7))
        self.assertEqual(list(talk.connection.streams), [3, 7])

    def test_complete_requests(self) -> None:
        """They count too: their answers cannot have come when the next was sent. The first ones are served."""
        talk = Talk(max_streams=3, volatile=b"x-v")
        talk.feed(headers(1))
        talk.feed(*(request(stream_id, b"%d" % stream_id) for stream_id in (3, 5, 7, 9)))
        self.assertEqual(talk.told.ended, [3, 5])
        self.assertEqual(talk.sent(), [reset(7, ErrorCode.REFUSED_STREAM), reset(9, ErrorCode.REFUSED_STREAM)])
        talk.feed(frame(DATA, 1, 9, b"late"))
        self.assertIsNone(talk.told.failure)
        talk.feed(request(11), request(13))
        self.assertEqual(talk.told.ended, [3, 5, 11, 13])

    def test_runs_beside_others(self) -> None:
        """A run that fits stays whole, the next is cut; pings and trailers are no requests."""
        other = block([*REQUEST, ("x-a", "1")])
        talk = Talk(max_streams=2)
        talk.feed(request(1), frame(PING, ACK, 0, bytes(8)), request(3, b"", other), request(5, b"", other))
        self.assertEqual(talk.told.ended, [1, 3])
        self.assertEqual(talk.sent(), [reset(5, ErrorCode.REFUSED_STREAM)])

    def test_nothing_is_left_of_a_run(self) -> None:
        """A run all of which is refused is no event."""
        talk = Talk(max_streams=1)
        talk.feed(headers(1))
        events = talk.feed(request(3), request(5))
        self.assertEqual([type(event) for event in events], [ev.Refused, ev.Refused])

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


class FrameRuleTests(RuleTestCase):
    """Section 4 and 6: lengths, places, padding, order."""

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

    def test_a_request_withdrawn_in_the_same_read(self) -> None:
        """It is not told at all; the others of its run are, with what is theirs."""
        timed = [block([*REQUEST, ("x-v", f"{at}")]) for at in range(4)]
        talk = Talk(volatile=b"x-v", interpret=lambda fields: "same")
        requests = [request(2 * at + 1, b"%d" % at, timed[at]) for at in range(4)]
        events = talk.feed(*requests[:2], rst_stream_frame(3, 8), *requests[2:], rst_stream_frame(7, 8))
        ids = [(event.stream_ids, event.bodies, event.volatiles) for event in events if isinstance(event, ev.Requests)]
        flat = [tuple(x[0] for x in entry) for entry in ids]
        self.assertEqual(flat, [(1, b"0", b"0"), (5, b"2", b"2")])
        self.assertEqual(talk.told.others, [])

    def test_a_run_of_which_nothing_is_left(self) -> None:
        """Is no event, also where the connection fails in the same read."""
        for tail in (b"", frame(DATA, 0, 0, b"x")):
            talk = Talk()
            events = talk.feed(request(1), request(3), rst_stream_frame(1, 8), rst_stream_frame(3, 8), tail)
            self.assertEqual([type(event) for event in events], [ev.Failed] if tail else [])
        talk = Talk()
        events = talk.feed(request(1), frame(PING, ACK, 0, bytes(8)), rst_stream_frame(1, 8), headers(3))
        self.assertEqual([type(event) for event in events], [ev.Pong, ev.Opened])

    def test_a_reset_after_the_end(self) -> None:
        """Of what a read before brought and we may have answered: it is told."""
        talk = Talk()
        talk.feed(request(1), request(3))
        talk.connection.answer_all([1, 3], WHOLE)
        (event,) = talk.feed(rst_stream_frame(1, 8), rst_stream_frame(1, 8))
        assert isinstance(event, ev.ResetAfterEnd)
        self.assertEqual(event.stream_id, 1)

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


class AnswerTests(SynchronousTestCase):
    """What goes out."""

    def test_answers_at_once(self) -> None:
        """answer_all, answer and answer_each need no stream."""
        talk = Talk()
        talk.feed(request(1), request(3), request(5), request(7), request(9))
        talk.connection.answer_all([1, 3], WHOLE)
        talk.connection.answer(5, WHOLE)
        talk.connection.answer_each([7, 9], Envelope(HEAD, TAIL), [b"a", b"bb"])
        expected = whole_answer(1) + whole_answer(3) + whole_answer(5) + whole_answer(7, b"a") + whole_answer(9, b"bb")
        self.assertEqual(talk.sent(), expected)
        self.assertEqual(talk.connection.send_window, 65_535 - 12 - 3)
        self.assertEqual(talk.connection.streams, {})
        self.assertTrue(talk.connection.is_quiet)

    def test_answers_of_a_stream(self) -> None:
        """A stream's answer takes the same form and ends it."""
        talk = Talk()
        talk.feed(headers(1, flags=LAST), headers(3), headers(5, flags=LAST))
        self.assertFalse(talk.connection.is_quiet)
        talk.connection.answer(1, WHOLE)
        talk.connection.answer(3, Answer(HEAD, b"", b""))
        talk.connection.respond(talk.connection.streams[5], HEAD, b"x", b"")
        self.assertEqual(
            talk.sent(),
            [
                *whole_answer(1),
                (HEADERS, LAST, 3, HEAD),
                (HEADERS, END_HEADERS, 5, HEAD),
                (DATA, 0, 5, b"x"),
                (DATA, 1, 5, b""),
            ],
        )
        self.assertEqual(list(talk.connection.streams), [3])
        self.assertTrue(talk.connection.is_quiet)
        talk.feed(frame(DATA, 1, 3, b""))
        self.assertEqual(talk.connection.streams, {})

    def test_long_blocks(self) -> None:
        """In CONTINUATION frames, of the peer's size."""
        for size in (16_384, 16_385, 40_000):
            talk = Talk()
            talk.feed(headers(1))
            talk.connection.send_headers(talk.connection.streams[1], b"h" * size)
            frames = talk.sent()
            self.assertEqual([frame[0] for frame in frames], [HEADERS] + [CONTINUATION] * (len(frames) - 1))
            self.assertEqual([frame[1] for frame in frames], [0] * (len(frames) - 1) + [END_HEADERS])
            self.assertTrue(b"".join(frame[3] for frame in frames) == b"h" * size)
            self.assertLessEqual(max(len(frame[3]) for frame in frames), 16_384)

    def test_long_data(self) -> None:
        """In frames of the peer's size, which SETTINGS may widen."""
        for pairs, sizes in (((), [16_384, 16_384, 7232]), ([(5, 20_000)], [20_000, 20_000])):
            talk = Talk(settings=pairs)
            talk.feed(headers(1))
            talk.connection.send_data(talk.connection.streams[1], bytes(40_000))
            self.assertEqual([len(frame[3]) for frame in talk.sent()], sizes)

    def test_a_smaller_table(self) -> None:
        """The next block says so, whichever way it goes, and only that (RFC 7541, section 4.2)."""
        for how in range(3):
            talk = Talk(settings=[(Setting.HEADER_TABLE_SIZE, 100)])
            talk.feed(request(1), request(3))
            if how == 0:
                talk.connection.answer_all([1, 3], WHOLE)
            elif how == 1:
                talk.connection.answer_each([1, 3], Envelope(HEAD, TAIL), [b"body", b"body"])
            else:
                talk.connection.answer(1, WHOLE)
                talk.connection.answer(3, WHOLE)
            _, *others = whole_answer(1) + whole_answer(3)
            self.assertEqual(talk.sent(), [(HEADERS, END_HEADERS, 1, b"\x20" + HEAD), *others])


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


class RoleTests(SynchronousTestCase):
    """The default."""

    def test_a_server(self) -> None:
        """Unless it is said otherwise."""
        self.assertIs(Connection().role, Role.SERVER)
