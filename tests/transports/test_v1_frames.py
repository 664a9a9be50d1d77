"""Frames of a read: what is answered together, and where it stops. No connection is here."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import MalformedRequest
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import Batch, Delivery, GetQueue, Publish, PublishReply, Pull
from quickpulse.transports import v1_frames
from quickpulse.transports.v1_frames import FRAMES_AT_ONCE, FrameSession
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request


class FramesTests(SynchronousTestCase):
    """A session over a memory broker; what it writes is noted."""

    def setUp(self) -> None:
        """Nothing was asked."""
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock, Broker())
        self.addCleanup(self.broker.close)
        self.sent: list[tuple[list[int], int]] = []
        self.pushed: list[tuple[int, int]] = []
        self.session = FrameSession(self.broker, BINARY, 1_000_000, self.send, self.push, Traffic())

    def send(self, frames: list[bytes], taken: int) -> None:
        """Together."""
        self.assertFalse(self.session.is_serving)
        self.sent.append(([read_reply(frame, BINARY)[0] for frame in frames], taken))

    def push(self, frame: bytes, taken: int) -> None:
        """By itself."""
        self.pushed.append((read_reply(frame, BINARY)[0], taken))

    def frames(self, *requests: Any) -> list[bytes]:
        """With ids from 1."""
        return [write_request(number, request, BINARY) for number, request in enumerate(requests, start=1)]

    def test_together(self) -> None:
        """One write for all that is answered now; what comes later comes alone."""
        taking = Pull(("q",), 2, delivery=Delivery.TAKEN)
        asked = self.frames(Publish("q", Batch((b"a", b"b"))), taking, Pull(("other",), wait_ms=1000), GetQueue("q"))
        self.assertEqual(self.session.serve(asked), [])
        self.assertEqual((self.sent, self.pushed), ([([1, 2, 4], 2)], []))
        self.clock.advance(2)
        self.assertEqual((len(self.sent), self.pushed), (1, [(3, 0)]))

    def test_long_replies(self) -> None:
        """The rest is for later, as soon as the replies are long."""
        self.patch(v1_frames, "GATHERED_BYTES", 1000)
        self.broker.publish(Publish("q", Batch([bytes(400)] * 9)))
        asked = self.frames(*[Pull(("q",))] * 9)
        rest = self.session.serve(asked)
        self.assertEqual((rest, self.sent), (asked[3:], [([1, 2, 3], 0)]))
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 3)
        self.assertEqual(self.session.serve(rest), asked[6:])

    def test_many_frames(self) -> None:
        """Likewise."""
        asked = self.frames(*[GetQueue("q")] * (FRAMES_AT_ONCE + 1))
        self.assertEqual(self.session.serve(asked), asked[-1:])

    def test_what_is_no_frame(self) -> None:
        """Raised when those before it are answered; nothing behind it is looked at."""
        good = self.frames(Publish("q", Batch((b"a",))), Publish("q", Batch((b"b",))))
        self.assertRaises(MalformedRequest, self.session.serve, [good[0], b"\xff\xff", good[1]])
        self.assertEqual(self.sent, [([1], 0)])
        self.assertEqual(self.broker.get_queue(GetQueue("q")).ready, 1)

    def test_a_peer_that_does_not_read(self) -> None:
        """A pull that waits is passed over, until it reads."""
        self.session.serve(self.frames(Pull(("q",), wait_ms=60_000)))
        self.session.hold()
        self.assertIsInstance(self.broker.publish(Publish("q", Batch((b"a",)))), PublishReply)
        self.clock.advance(0)
        self.assertEqual((self.broker.get_queue(GetQueue("q")).ready, self.pushed), (1, []))
        self.session.release()
        self.clock.advance(0)
        self.assertEqual(self.pushed, [(1, 0)])
