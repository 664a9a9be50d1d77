"""The room that we give (RFC 9113, section 5.2 and 6.9)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.frames import DATA, END_STREAM, PADDED, WINDOW_UPDATE, frame, rst_stream_frame
from quickpulse.wire.http2.streams import Stream
from quickpulse.wire.http2.windows import DEFAULT_WINDOW, STREAM_WINDOW, ReceiveWindow
from tests.wire.http2.talk import HEAD, TAIL, Frame, Talk, block, headers, request, reset

FULL = bytes(16_384)


def update(stream_id: int, increment: int) -> Frame:
    """A WINDOW_UPDATE frame."""
    return WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big")


class ReceiveWindowTests(SynchronousTestCase):
    """ReceiveWindow."""

    def test_of_the_connection(self) -> None:
        """All that is used comes back; more than there is, is FLOW_CONTROL_ERROR."""
        window = ReceiveWindow(100_000)
        self.assertEqual((window.size, window.half), (100_000, 50_000))
        window.used = 100_000
        self.assertEqual((window.give_back(), window.used), (100_000, 0))
        window.used = 100_001
        self.assertEqual(self.assertRaises(ConnectionFault, window.give_back).code, ErrorCode.FLOW_CONTROL_ERROR)

    def test_the_least(self) -> None:
        """There is none below the protocol's own."""
        self.assertEqual(ReceiveWindow(1).size, DEFAULT_WINDOW)

    def test_of_a_stream(self) -> None:
        """Nothing until half is used; then its share of the half that streams have."""
        for size, streams, room in (
            (STREAM_WINDOW, 1, STREAM_WINDOW // 2),
            (STREAM_WINDOW, 4, STREAM_WINDOW // 8),
            (STREAM_WINDOW, 1000, DEFAULT_WINDOW),
            (100 * STREAM_WINDOW, 1, STREAM_WINDOW),
            (100 * STREAM_WINDOW, 0, STREAM_WINDOW),
        ):
            window, stream = ReceiveWindow(size), Stream(1, 0, DEFAULT_WINDOW)
            stream.receive_window = DEFAULT_WINDOW // 2 + 1
            self.assertEqual(window.give_back_to(stream, streams), 0)
            stream.receive_window -= 1
            self.assertEqual(window.give_back_to(stream, streams), room - DEFAULT_WINDOW // 2)
            self.assertEqual((stream.receive_window, stream.room), (room, room))

    def test_a_share_that_is_used_up_already(self) -> None:
        """Nothing is taken back."""
        window, stream = ReceiveWindow(STREAM_WINDOW), Stream(1, 0, STREAM_WINDOW)
        stream.receive_window = STREAM_WINDOW // 2
        self.assertEqual(window.give_back_to(stream, 1000), 0)
        self.assertEqual((stream.receive_window, stream.room), (STREAM_WINDOW // 2, DEFAULT_WINDOW))


class ReceivingTests(SynchronousTestCase):
    """As a peer sees it."""

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
