"""A read: the preface, requests by the short way and the long one, and what the read says as a whole."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.fields import MalformedFields
from quickpulse.wire.http2.frames import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    SETTINGS,
    frame,
    rst_stream_frame,
    settings_frame,
)
from tests.wire.http2.talk import LAST, REQUEST, WHOLE, RuleTestCase, Talk, block, headers, request, reset


class PrefaceTests(RuleTestCase):
    """Section 3.4: the peer's."""

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


class OneFrameTests(RuleTestCase):
    """A read that is one DATA frame: the shortest way."""

    def test_as_the_longer_way(self) -> None:
        """The same is told, the same room left and given back, as where the frame comes in two reads."""
        one, two = Talk(), Talk()
        for talk in (one, two):
            talk.feed(headers(1))
        for size in [1, 100, *[16_384] * 600, 5]:
            data = frame(DATA, 0, 1, bytes(size))
            (event,) = one.feed(data)
            assert isinstance(event, ev.Data)
            self.assertEqual((event.stream.id, event.chunks), (1, [bytes(size)]))
            two.feed(data[:7])
            two.feed(data[7:])
            self.assertEqual(one.sent(), two.sent())
            self.assertEqual(*[talk.connection.streams[1].receive_window for talk in (one, two)])

    def test_others(self) -> None:
        """Padding, an end, nothing in it, two of them, and half of one."""
        padded, ended = frame(DATA, PADDED, 1, b"\2a\0\0"), frame(DATA, END_STREAM, 1, b"b")
        plain = frame(DATA, 0, 1, b"c")
        for data, chunks in (
            (padded, [b"a"]),
            (ended, [b"b"]),
            (frame(DATA, 0, 1, b""), []),
            (plain * 2, [b"c", b"c"]),
            (plain + plain[:4], [b"c"]),
            (plain[:4], []),
        ):
            talk = Talk()
            talk.feed(headers(1))
            events = [event for event in talk.feed(data) if isinstance(event, ev.Data)]
            self.assertEqual([chunk for event in events for chunk in event.chunks], chunks)
        talk = Talk()
        talk.feed(headers(1))
        (failed,) = talk.feed(frame(DATA, 0, 1, bytes(16_385)))
        assert isinstance(failed, ev.Failed)
        self.assertEqual(failed.code, ErrorCode.FRAME_SIZE_ERROR)


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
    """Open streams, and requests that lie complete in a read."""

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


class WithdrawalTests(SynchronousTestCase):
    """Requests that are reset."""

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
