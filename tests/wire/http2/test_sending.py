"""What goes out: answers, and what the peer's windows allow (RFC 9113, section 5.2 and 6.9)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    MAX_WINDOW,
    frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.sending import EARLY_UPDATES
from quickpulse.wire.http2.settings import Setting
from tests.wire.http2.talk import HEAD, LAST, TAIL, WHOLE, Frame, Talk, goaway, headers, request, reset, whole_answer


def data_of(frames: list[Frame], stream_id: int) -> int:
    """Bytes of DATA."""
    return sum(len(payload) for kind, _, stream, payload in frames if (kind, stream) == (DATA, stream_id))


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


class WindowTests(SynchronousTestCase):
    """What the peer's windows allow."""

    def setUp(self) -> None:
        """A conversation with three open streams."""
        self.talk = Talk()
        self.connection = self.talk.connection
        self.talk.feed(headers(1, flags=LAST), headers(3, flags=LAST), headers(5, flags=LAST))
        self.one, self.three, self.five = self.connection.streams.values()

    def drained(self) -> list[int]:
        """Streams that the last read drained."""
        return [event.stream.id for event in self.talk.events if isinstance(event, ev.Drained)]

    def test_the_connection_bounds_all(self) -> None:
        """What does not fit waits, and goes in turn when there is room."""
        self.connection.respond(self.one, HEAD, bytes(65_000), TAIL)
        self.connection.respond(self.three, HEAD, bytes(1000), TAIL)
        self.connection.respond(self.five, HEAD, bytes(10), TAIL)
        frames = self.talk.sent()
        self.assertEqual([data_of(frames, n) for n in (1, 3, 5)], [65_000, 535, 0])
        self.assertEqual(self.connection.unsent_bytes, 475)
        self.assertTrue(self.connection.is_blocked)
        self.assertFalse(self.connection.is_quiet)
        self.talk.feed(window_update_frame(0, 470))
        self.assertEqual((self.drained(), data_of(self.talk.sent(), 3)), ([3], 465))
        self.talk.feed(window_update_frame(0, 5))
        frames = self.talk.sent()
        self.assertEqual((self.drained(), data_of(frames, 5)), ([5], 5))
        self.assertEqual(frames[-1], (HEADERS, LAST, 5, TAIL))
        self.assertEqual(self.connection.streams, {})
        self.assertFalse(self.connection.is_blocked)

    def test_turns(self) -> None:
        """A stream that has had room goes to the end of those that wait."""
        self.connection.send_data(self.one, bytes(70_000))
        self.connection.send_data(self.three, bytes(70_000))
        self.talk.feed(window_update_frame(1, 10**6), window_update_frame(3, 10**6))
        self.talk.sent()
        turns = []
        for _ in range(4):
            self.talk.feed(window_update_frame(0, 100))
            turns += [stream for kind, _, stream, _ in self.talk.sent() if kind == DATA]
        self.assertEqual(turns, [1, 3, 1, 3])

    def test_a_stream_bounds_itself(self) -> None:
        """Its own window, which only its own updates widen."""
        self.talk.feed(window_update_frame(0, 10**6))
        self.connection.send_data(self.one, bytes(70_000))
        self.connection.send_data(self.three, bytes(100))
        frames = self.talk.sent()
        self.assertEqual((data_of(frames, 1), data_of(frames, 3)), (65_535, 100))
        self.talk.feed(window_update_frame(0, 100), window_update_frame(3, 100))
        self.assertEqual(self.talk.sent(), [])
        self.talk.feed(window_update_frame(1, 10_000))
        self.assertEqual((data_of(self.talk.sent(), 1), self.drained()), (4465, [1]))

    def test_the_end_waits_for_the_data(self) -> None:
        """With trailers, and without."""
        self.talk.feed(window_update_frame(0, 10**6))
        for stream, tail, end in ((self.one, TAIL, (HEADERS, LAST, 1, TAIL)), (self.three, b"", (DATA, 1, 3, b""))):
            self.connection.send_data(stream, bytes(65_536))
            self.connection.end(stream, tail)
            self.assertNotIn(end, self.talk.sent())
            self.talk.feed(window_update_frame(stream.id, 1))
            self.assertEqual(self.talk.sent()[-1], end)

    def test_settings_widen_and_narrow(self) -> None:
        """INITIAL_WINDOW_SIZE changes all streams, below zero too (section 6.9.2)."""
        self.talk.feed(window_update_frame(0, 10**6))
        self.connection.send_data(self.one, bytes(65_000))
        self.connection.send_data(self.three, bytes(65_600))
        self.talk.sent()
        self.talk.feed(settings_frame([(Setting.INITIAL_WINDOW_SIZE, 1000)]))
        self.assertEqual((self.one.send_window, self.three.send_window), (-64_000, -64_535))
        self.talk.feed(window_update_frame(1, 63_999), window_update_frame(3, 64_000))
        self.talk.sent()
        self.connection.send_data(self.one, b"abc")
        self.assertEqual((data_of(self.talk.sent(), 1), data_of(self.talk.sent(), 3)), (0, 0))
        self.talk.feed(settings_frame([(Setting.INITIAL_WINDOW_SIZE, 1003)]))
        frames = self.talk.sent()
        self.assertEqual((data_of(frames, 1), data_of(frames, 3)), (2, 0))
        self.talk.feed(settings_frame([(Setting.INITIAL_WINDOW_SIZE, 65_535)]))
        frames = self.talk.sent()
        self.assertEqual((data_of(frames, 1), data_of(frames, 3)), (1, 65))

    def test_only_the_last_value_counts(self) -> None:
        """A frame that goes up and down moves the windows once."""
        pairs = [(Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW), (Setting.INITIAL_WINDOW_SIZE, 65_535)]
        self.talk.feed(window_update_frame(1, 10), settings_frame(pairs))
        self.assertIsNone(self.talk.told.failure)
        self.assertEqual(self.one.send_window, 65_545)

    def test_overflow(self) -> None:
        """Of the connection and by SETTINGS the connection's fault, of a stream the stream's (section 6.9.1)."""
        self.talk.feed(window_update_frame(1, MAX_WINDOW - 65_535))
        self.talk.sent()
        self.talk.feed(window_update_frame(1, 1), window_update_frame(3, 0))
        self.assertEqual(self.talk.sent(), [reset(1, ErrorCode.FLOW_CONTROL_ERROR), reset(3, ErrorCode.PROTOCOL_ERROR)])
        for wrong, code in (
            (window_update_frame(0, MAX_WINDOW), ErrorCode.FLOW_CONTROL_ERROR),
            (window_update_frame(0, 0), ErrorCode.PROTOCOL_ERROR),
            (
                window_update_frame(1, 1) + settings_frame([(Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW)]),
                ErrorCode.FLOW_CONTROL_ERROR,
            ),
        ):
            talk = Talk()
            talk.feed(headers(1))
            talk.feed(wrong)
            self.assertEqual(talk.sent()[-1], goaway(code, 1, talk.told.reason))

    def test_answers_that_do_not_fit(self) -> None:
        """Complete requests get a stream each, and their order stays."""
        for how in range(3):
            talk = Talk(settings=[(Setting.INITIAL_WINDOW_SIZE, 3)])
            talk.feed(request(1), request(3))
            if how == 0:
                talk.connection.answer_all([1, 3], Answer(HEAD, b"body", TAIL))
            elif how == 1:
                talk.connection.answer_each([1, 3], Envelope(HEAD, TAIL), [b"body", b"body"])
            else:
                talk.connection.answer(1, Answer(HEAD, b"body", TAIL))
                talk.connection.answer(3, Answer(HEAD, b"body", TAIL))
            frames = talk.sent()
            self.assertEqual((data_of(frames, 1), data_of(frames, 3)), (3, 3))
            talk.feed(window_update_frame(3, 1))
            self.assertEqual(talk.sent(), [(DATA, 0, 3, b"y"), (HEADERS, LAST, 3, TAIL)])
            self.assertEqual(list(talk.connection.streams), [1])

    def test_room_before_the_stream(self) -> None:
        """A complete request's WINDOW_UPDATE in the same read counts when it is answered."""
        talk = Talk(settings=[(Setting.INITIAL_WINDOW_SIZE, 0)])
        talk.feed(request(1), request(3), window_update_frame(1, 2), window_update_frame(1, 2))
        talk.feed(window_update_frame(3, MAX_WINDOW))
        talk.connection.answer_all([1, 3], Answer(HEAD, b"body", TAIL))
        self.assertEqual(talk.connection.streams, {})
        talk.feed(*(window_update_frame(1, 1) for _ in range(3)), request(5), window_update_frame(5, 5))
        for at in range(EARLY_UPDATES + 5):
            talk.feed(request(2 * at + 7), window_update_frame(2 * at + 7, 1))
        self.assertEqual(len(talk.connection._early_updates), EARLY_UPDATES)
        talk.connection.answer(2 * EARLY_UPDATES + 7, Answer(HEAD, b"b", TAIL))
        self.assertEqual(talk.connection.streams, {})

    def test_room_before_a_fault(self) -> None:
        """What waited has gone, and is told, before the connection's end is."""
        self.connection.send_data(self.one, bytes(65_536))
        events = self.talk.feed(window_update_frame(0, 10), window_update_frame(1, 10), frame(DATA, 0, 0))
        self.assertEqual([type(event) for event in events], [ev.Drained, ev.Failed])

    def test_a_reset_forgets(self) -> None:
        """What waited."""
        self.connection.send_data(self.one, bytes(70_000))
        self.talk.sent()
        self.connection.reset(self.one)
        self.assertEqual((self.talk.sent(), self.connection.is_blocked), ([reset(1, ErrorCode.CANCEL)], False))
