"""WebSocket without I/O: the frames that we write, and what an endpoint asks and answers."""

from __future__ import annotations

from autobahn.websocket.protocol import PreparedMessage
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.messages import Message
from quickpulse.queues.memory import MessageQueue
from quickpulse.wire.websocket.frames import BINARY, TEXT, binary_frames, server_frame
from quickpulse.wire.websocket.requests import EMPTY, ENDPOINTS, FULL, OK, UNAVAILABLE

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 65_537)
"""Both sides of each place where the length is written in another way."""


class FrameTests(SynchronousTestCase):
    """server_frame."""

    def test_the_same_bytes_as_autobahn(self) -> None:
        """At each size, text and binary, we write what autobahn would write."""
        for size in SIZES:
            payload = b"x" * size
            for first_byte, is_binary in ((TEXT, False), (BINARY, True)):
                theirs = PreparedMessage(payload, is_binary, False, True).payloadHybi
                self.assertTrue(server_frame(first_byte, payload) == theirs, (size, first_byte))

    def test_the_header_of_each_length(self) -> None:
        """Two bytes up to 125, four up to 65,535, ten beyond; never the bit of a mask."""
        for size, header in (
            (0, b"\x82\x00"),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\x00\x7e"),
            (65_535, b"\x82\x7e\xff\xff"),
            (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ):
            frame = server_frame(BINARY, bytes(size))
            self.assertEqual((frame[: len(header)], len(frame)), (header, len(header) + size))

    def test_many_binary_frames(self) -> None:
        """Joined, of one size or of several, each as it would be alone."""
        for sizes in ((), (5,), (0, 0, 0), (11,) * 20, (126, 126), (65_536, 65_536), SIZES):
            payloads = [bytes((i,)) * size for i, size in enumerate(sizes)]
            expected = b"".join(server_frame(BINARY, payload) for payload in payloads)
            self.assertTrue(binary_frames(payloads) == expected, sizes)

    def test_the_answers_of_the_contract(self) -> None:
        """Each fixed answer, byte for byte."""
        self.assertEqual(OK, b"\x81\x02ok")
        self.assertEqual(FULL, b"\x81\x14error: queue is full")
        self.assertEqual(EMPTY, b"\x81\x15error: queue is empty")
        self.assertEqual(UNAVAILABLE, b"\x81\x1berror: queue is unavailable")


class EndpointTests(SynchronousTestCase):
    """ENDPOINTS."""

    def setUp(self) -> None:
        """A queue for three messages."""
        self.queue = MessageQueue(3)
        self.publish, self.consume = ENDPOINTS["/ws/publish"], ENDPOINTS["/ws/consume"]

    def test_paths(self) -> None:
        """The contract's two, and no other."""
        self.assertEqual(set(ENDPOINTS), {"/ws/publish", "/ws/consume"})

    def test_publish(self) -> None:
        """A batch goes in as it came, in one call; how many were accepted is the result."""
        self.assertEqual(self.publish.ask(self.queue)([b"a", b"", b"c", b"d"]), 3)
        self.assertEqual(self.queue.dequeue_many(9), [b"a", b"", b"c"])

    def test_what_publish_answers(self) -> None:
        """An ok for each that was accepted, then a refusal for each that was not; nothing is handed over."""
        for accepted, asked, expected in (
            (0, 0, (b"", 0, 0)),
            (1, 1, (OK, 0, 0)),
            (3, 3, (OK + OK + OK, 0, 0)),
            (2, 5, (OK + OK + FULL + FULL + FULL, 3, 0)),
            (0, 2, (FULL + FULL, 2, 0)),
        ):
            self.assertEqual(self.publish.answer(accepted, asked), expected)

    def test_consume(self) -> None:
        """Each message asks for one out of the queue, whatever is in it."""
        self.queue.enqueue_many([b"a", Message(b"b", "id"), b"c"])
        self.assertEqual(self.consume.ask(self.queue)([b"", b"whatever"]), [b"a", Message(b"b", "id")])
        self.assertEqual(self.queue.depth, 1)
        self.assertEqual(self.consume.ask(self.queue)([b""] * 5), [b"c"])

    def test_what_consume_answers(self) -> None:
        """A binary frame with the payload of each, without ids, then the text of the empty queue; none is refused."""
        taken = [b"\xff", Message(b"with id", "42"), b""]
        frames = b"\x82\x01\xff" + b"\x82\x07with id" + b"\x82\x00"
        self.assertEqual(self.consume.answer(taken, 3), (frames, 0, 3))
        self.assertEqual(self.consume.answer(taken, 5), (frames + EMPTY + EMPTY, 0, 3))
        self.assertEqual(self.consume.answer([], 1), (EMPTY, 0, 0))

    def test_there_and_back(self) -> None:
        """What one endpoint put in, the other gives out, with as many answers as there were messages."""
        asked = [b"1", b"2", b"3", b"4"]
        self.assertEqual(self.publish.answer(self.publish.ask(self.queue)(asked), 4), (OK * 3 + FULL, 1, 0))
        frames = b"".join(server_frame(BINARY, payload) for payload in asked[:3])
        self.assertEqual(self.consume.answer(self.consume.ask(self.queue)([b""] * 4), 4), (frames + EMPTY, 0, 3))
