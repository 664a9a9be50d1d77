"""WebSocket: what the connections share."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolNegotiationFactory
from zope.interface.verify import verifyObject

from tests.transports.conversation import OK, LateQueue, WsTestCase, client_frame, close_frame, close_of, server_frames


class DrainTests(WsTestCase):
    """The orderly end of all connections."""

    def test_without_connections_it_is_done_at_once(self) -> None:
        """Nothing to wait for."""
        it = self.talk()
        it.lose()
        self.successResultOf(it.factory.drain(8))

    def test_close_1012_then_done(self) -> None:
        """Each peer is told 1012; when the last has gone the drain is over, and no timer stays."""
        it = self.talk().open()
        it.transport.clear()
        done = it.factory.drain(8)
        self.assertEqual(close_of(server_frames(it.written())), 1012)
        self.assertNoResult(done)
        it.say(close_frame(1012))
        self.assertEqual(it.transport.events[-1], "half-close")
        it.lose()
        self.successResultOf(done)
        self.assertEqual(it.clock.getDelayedCalls(), [])

    def test_messages_after_our_close_are_not_accepted(self) -> None:
        """They get no answer and are not stored: the client knows that they were not taken."""
        it = self.talk().open()
        it.factory.drain(8)
        self.assertEqual(it.frames(client_frame(b"late")), [])
        self.assertEqual(it.queue.depth, 0)

    def test_an_answer_under_way_comes_before_the_close(self) -> None:
        """The drain waits for a queue that answers late."""
        queue = LateQueue()
        it = self.talk(queue=queue).open()
        it.say(client_frame(b"a"))
        it.factory.drain(8)
        self.assertEqual(it.written(), b"")
        queue.answer()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1012))

    def test_who_does_not_end_is_cut_at_the_deadline(self) -> None:
        """What it was sent and did not confirm is counted."""
        it = self.talk("/ws/consume").open()
        it.queue.enqueue(b"a")
        it.say(client_frame(b""))
        it.transport.dataBuffer = b"x" * 30  # more than our Close: the message is in it
        done = it.factory.drain(8)
        it.clock.pump([1] * 9)
        self.assertEqual(it.transport.events[-1], "abort")
        it.reset()
        self.successResultOf(done)
        self.assertEqual(it.traffic.undelivered_total, 1)

    def test_half_a_handshake_is_refused(self) -> None:
        """503, as the server takes no new clients."""
        it = self.talk()
        it.say(it.handshake()[:30])
        it.factory.drain(8)
        self.assertTrue(it.written().startswith(b"HTTP/1.1 503"))


class TlsTests(WsTestCase):
    """What a TLS handshake is told of this port."""

    def test_alpn(self) -> None:
        """It speaks HTTP/1.1, which browsers ask for by name."""
        factory = self.talk().factory
        verifyObject(IProtocolNegotiationFactory, factory)
        self.assertEqual(factory.acceptableProtocols(), [b"http/1.1"])
