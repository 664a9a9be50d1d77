"""Flow control in both directions (RFC 9113, section 5.2 and 6.9)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import (
    DATA,
    END_STREAM,
    HEADERS,
    MAX_WINDOW,
    PADDED,
    WINDOW_UPDATE,
    frame,
    rst_stream_frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.http2.sending import EARLY_UPDATES
from quickpulse.wire.http2.settings import Setting
from quickpulse.wire.http2.streams import Stream
from quickpulse.wire.http2.windows import DEFAULT_WINDOW, STREAM_WINDOW
from tests.wire.http2.talk import Frame, Talk, block
from tests.wire.http2.test_connection import HEAD, LAST, TAIL, goaway, headers, request, reset

FULL = bytes(16_384)


def update(stream_id: int, increment: int) -> Frame:
    """A WINDOW_UPDATE frame."""
    return WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big")


def data_of(frames: list[Frame], stream_id: int) -> int:
    """Bytes of DATA."""
    return sum(len(payload) for kind, _, stream, payload in frames if (kind, stream) == (DATA, stream_id))


class SendingTests(SynchronousTestCase):
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


class ReceivingTests(SynchronousTestCase):
    """The room that we give."""

    def opened(self, talk: Talk, stream_id: int = 1) -> Stream:
        """A stream whose body comes."""
        talk.feed(headers(stream_id))
        return talk.connection.streams[stream_id]

    def test_room_is_given_back(self) -> None:
        """Of the stream, which gets the most at once when it is alone, and of the connection, when half is used."""
        talk = Talk(window=STREAM_WINDOW * 2)
        stream = self.opened(talk)
        self.assertEqual(stream.receive_window, DEFAULT_WINDOW)
        given = {0: 0, 1: 0}
        for count in range(1, 257):
            talk.feed(frame(DATA, 0, 1, FULL))
            for _, _, stream_id, payload in talk.sent():
                given[stream_id] += int.from_bytes(payload, "big")
            used = count * len(FULL)
            self.assertLess(used - given[0], STREAM_WINDOW + 1)
            self.assertEqual(stream.receive_window, DEFAULT_WINDOW - (used - given[1]))
            self.assertGreater(stream.receive_window, STREAM_WINDOW // 2 if count > 1 else DEFAULT_WINDOW // 2)

    def test_many_streams_share_the_room(self) -> None:
        """Half of the connection's for all of them, and never less than the protocol's own for each."""
        talk = Talk(window=STREAM_WINDOW * 2)
        for stream_id in range(1, 9, 2):
            self.opened(talk, stream_id)
        for stream_id in range(1, 9, 2):
            talk.feed(frame(DATA, 0, stream_id, FULL) * 2)
            self.assertEqual(talk.connection.streams[stream_id].receive_window, STREAM_WINDOW // 4)
        for stream_id in range(9, 89, 2):
            self.opened(talk, stream_id)
            talk.feed(*[frame(DATA, 0, stream_id, FULL)] * 2)
        self.assertEqual(talk.connection.streams[87].receive_window, DEFAULT_WINDOW)

    def test_a_share_that_becomes_less(self) -> None:
        """Nothing is taken back; room is given again once what is left is below the new share."""
        talk = Talk(window=STREAM_WINDOW * 2)
        stream = self.opened(talk)
        talk.feed(frame(DATA, 0, 1, FULL) * 2)
        self.assertEqual(stream.receive_window, STREAM_WINDOW)
        for stream_id in range(3, 23, 2):
            self.opened(talk, stream_id)
        talk.sent()
        talk.feed(frame(DATA, 0, 1, FULL) * 40)
        self.assertEqual((stream.receive_window, talk.sent()), (STREAM_WINDOW - 40 * len(FULL), []))
        talk.feed(frame(DATA, 0, 1, FULL) * 23)
        share = STREAM_WINDOW // len(talk.connection.streams)
        self.assertEqual(stream.receive_window, share)
        self.assertEqual(talk.sent()[-1], update(1, share - STREAM_WINDOW + 63 * len(FULL)))

    def test_padding_counts(self) -> None:
        """Of frames with data and without (section 6.1), and its room comes back."""
        talk = Talk(window=STREAM_WINDOW)
        stream = self.opened(talk)
        talk.feed(frame(DATA, PADDED, 1, b"\x05ab" + bytes(5)))
        self.assertEqual(DEFAULT_WINDOW - stream.receive_window, 8)
        self.assertEqual(talk.connection._window.used, 8)
        frames: list[Frame] = []
        for _ in range(4):
            talk.now += 1
            talk.feed(*[frame(DATA, PADDED, 1, b"\xff" + bytes(255))] * 999)
            frames += talk.sent()
        self.assertEqual({frame[2] for frame in frames}, {0, 1})
        self.assertGreater(stream.receive_window, STREAM_WINDOW // 4)

    def test_discarded_data_counts(self) -> None:
        """What comes on streams that are over is room of the connection's, and is given back."""
        talk = Talk(window=65_535)
        self.opened(talk)
        talk.connection.reset(talk.connection.streams[1])
        talk.sent()
        talk.feed(frame(DATA, 0, 1, FULL), frame(DATA, PADDED, 1, b"\xff" + bytes(16_383)))
        self.assertEqual(talk.sent(), [update(0, 32_768)])
        bad = block([("Upper", "1")])
        talk.feed(request(3, FULL, bad), request(5, FULL))
        self.assertEqual(talk.sent(), [reset(3, ErrorCode.PROTOCOL_ERROR), update(0, 32_768)])

    def test_too_much(self) -> None:
        """Above a stream's window: its fault; above the connection's: everybody's."""
        talk = Talk()
        stream = self.opened(talk)
        talk.connection.hold(stream)
        talk.feed(frame(DATA, 0, 1, FULL) * 3, frame(DATA, 0, 1, FULL[1:]))
        self.assertEqual((stream.receive_window, talk.sent()), (0, []))
        talk.feed(frame(DATA, 0, 1, b"x"))
        self.assertEqual(talk.sent(), [reset(1, ErrorCode.FLOW_CONTROL_ERROR)])
        padded = Talk()
        padded.connection.hold(self.opened(padded))
        padded.feed(frame(DATA, 0, 1, FULL) * 3, frame(DATA, 0, 1, FULL[1:]), frame(DATA, PADDED, 1, b"\0"))
        self.assertEqual(padded.told.resets, {1: ErrorCode.FLOW_CONTROL_ERROR})
        narrow = Talk(window=65_535)
        self.opened(narrow)
        narrow.feed(frame(DATA, 0, 1, FULL) * 4)
        self.assertEqual(narrow.told.failure, ErrorCode.FLOW_CONTROL_ERROR)

    def test_held(self) -> None:
        """No room until the stream is released; then all of it."""
        talk = Talk()
        stream = self.opened(talk)
        talk.connection.hold(stream)
        talk.feed(frame(DATA, 0, 1, FULL) * 3)
        self.assertEqual(talk.sent(), [])
        talk.connection.release(stream)
        self.assertEqual(talk.sent(), [update(1, STREAM_WINDOW - DEFAULT_WINDOW + 3 * len(FULL))])
        talk.connection.hold(stream)
        talk.feed(frame(DATA, END_STREAM, 1, FULL))
        talk.connection.release(stream)
        self.assertEqual(talk.sent(), [])

    def test_after_the_whole_answer(self) -> None:
        """What still comes is told and means nothing; once half the window is used, the stream ends in peace."""
        talk = Talk()
        talk.connection.respond(self.opened(talk), HEAD, b"", TAIL)
        talk.sent()
        talk.feed(frame(DATA, 0, 1, FULL))
        self.assertEqual(talk.sent(), [])
        talk.feed(frame(DATA, 0, 1, FULL))
        self.assertEqual(talk.sent(), [reset(1, ErrorCode.NO_ERROR)])
        self.assertEqual(talk.connection.streams, {})
        talk.feed(frame(DATA, 0, 1, FULL), rst_stream_frame(1, 8))
        self.assertEqual((talk.told.failure, talk.sent()), (None, []))
