"""Every message that a native gRPC connection was handed was delivered, is queued, or is counted as undelivered."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import Action, Batch, Delivery, GetQueue, Publish, Pull, QueueInfo, Settle
from quickpulse.settings import Settings
from quickpulse.transports.deliveries import UnderWay
from quickpulse.transports.grpc_native import GrpcFactory
from quickpulse.transports.handed_out import RECENT_BATCHES, HandedOut
from quickpulse.wire.v1.table import BY_KIND
from tests.transports.grpc_conversation import (
    CONSUME,
    DATA,
    INITIAL_WINDOW_SIZE,
    NOTHING,
    PRODUCE,
    SETTINGS,
    STREAM,
    WINDOW_UPDATE,
    GrpcConversation,
    exchange,
    frame,
    message,
    produce,
)
from tests.transports.late import LateProvider

DEFAULT_WINDOW = 65_535

MEBIBYTE = 1024 * 1024

MOST = (1 << 31) - 1


class HandedOutTests(SynchronousTestCase):
    """Messages of unary calls are the connection's, those of a stream its own."""

    def test_a_call_that_ended(self) -> None:
        """What it had under way is the connection's then."""
        it, call = HandedOut(None), UnderWay()
        it.add_to(call, 2)
        it.writes(50)
        self.assertEqual((call.messages(), it.messages()), (2, 0))
        it.ended(call)
        self.assertEqual((call.messages(), it.messages()), (0, 2))

    def test_a_long_stream(self) -> None:
        """What is remembered of it is bounded; the last write cannot have arrived before it was done."""
        it, call = HandedOut(None), UnderWay()
        for _ in range(3 * RECENT_BATCHES):
            it.add_to(call, 1)
            it.writes(50)
            self.assertLessEqual(len(call), RECENT_BATCHES)
        self.assertGreaterEqual(call.messages(), 1)

    def test_recent_answers(self) -> None:
        """So many batches are remembered."""
        it = HandedOut(None)
        for number in range(RECENT_BATCHES + 1):
            it.answered((number,))
        self.assertEqual(it.answered_with(0), 0)
        self.assertEqual(it.answered_with(1), 1)
        self.assertEqual(it.answered_with(RECENT_BATCHES), 1)

    def test_a_long_answer(self) -> None:
        """What is remembered of it does not grow with it."""
        it = HandedOut(None)
        it.answered_with_several(1, 100_000)
        self.assertEqual((it.answered_with(1), it.answered_with(3)), (100_000, 0))
        self.assertLess(sum(map(sys.getsizeof, it._recent)), 1_000)


class AccountTests(SynchronousTestCase):
    """The connection ends at every step of a message's way."""

    def filled(self, messages: int, mode: str = "grpc", size: int = 10, **options) -> GrpcConversation:
        """A conversation over a queue with numbered messages."""
        it = GrpcConversation(mode, **options).open()
        for number in range(messages):
            it.queue.enqueue(number.to_bytes(2, "big") * (size // 2))
        return it

    def assert_account(self, it: GrpcConversation, put_in: int, got: int | None = None) -> None:
        """Each is queued, counted, or was got by the client."""
        if got is None:
            got = sum(response.errors.count("") for response in it.responses.values())
        self.assertEqual(it.queue.depth + it.undelivered + got, put_in)

    def test_before_the_request_is_complete(self) -> None:
        """Nothing was taken."""
        it = self.filled(3)
        it.begin(CONSUME)
        it.send(NOTHING[:2])
        it.reset()
        self.assertEqual((it.queue.depth, it.undelivered), (3, 0))

    def test_answered_and_confirmed(self) -> None:
        """FIN after the client's kernel has everything: all is delivered."""
        for mode, path, body in (("grpc", CONSUME, NOTHING), ("grpc_stream", STREAM, exchange(b""))):
            it = self.filled(3, mode)
            it.begin(path)
            it.send(body, end=mode == "grpc")
            it.protocol.readConnectionLost()
            it.lose()
            self.assertEqual((it.queue.depth, it.undelivered), (2, 0), mode)

    def test_answered_and_not_confirmed(self) -> None:
        """Counted."""
        for mode, path, body in (("grpc", CONSUME, NOTHING), ("grpc_stream", STREAM, exchange(b""))):
            it = self.filled(3, mode)
            it.begin(path)
            it.transport.unconfirmed = 1
            it.send(body, end=mode == "grpc")
            it.protocol.readConnectionLost()
            it.lose()
            self.assertEqual((it.queue.depth, it.undelivered), (2, 1), mode)

    def test_confirmed_but_for_the_last(self) -> None:
        """Each write has its own place."""
        it = self.filled(10)
        for _ in range(5):
            it.call(CONSUME, NOTHING)
        it.transport.unconfirmed = 1
        it.call(CONSUME, NOTHING)
        it.protocol.abort()
        it.lose()
        self.assertEqual((it.queue.depth, it.undelivered), (4, 1))

    def test_a_batch_in_one_write(self) -> None:
        """All of it, as soon as one byte is missing."""
        it = self.filled(10)
        it.transport.unconfirmed = 1
        it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(7)))
        it.protocol.abort()
        it.lose()
        self.assertEqual((it.queue.depth, it.undelivered), (3, 7))

    def test_a_stream_that_ended_before(self) -> None:
        """What it had under way is still the connection's to lose."""
        it = self.filled(5, "grpc_stream")
        it.begin()
        it.transport.unconfirmed = 1000
        it.send(exchange(b"") * 3, end=True)
        self.assertEqual(it.responses[1].status, 0)
        it.lose()
        self.assertEqual((it.queue.depth, it.undelivered), (2, 3))

    def test_waiting_for_the_streams_window(self) -> None:
        """An answer of which a part is out is not delivered."""
        for mode, path, body in (("grpc", CONSUME, NOTHING), ("grpc_stream", STREAM, exchange(b""))):
            it = GrpcConversation(mode).open(INITIAL_WINDOW_SIZE.to_bytes(2, "big") + (5).to_bytes(4, "big"))
            it.queue.enqueue(b"x" * 100)
            it.begin(path)
            it.send(body, end=mode == "grpc")
            self.assertEqual(len(it.responses[1].body), 5)
            it.protocol.readConnectionLost()
            it.lose()
            self.assertEqual((it.queue.depth, it.undelivered), (0, 1), mode)

    def test_waited_for_a_window(self) -> None:
        """As soon as it has gone, the kernel's word counts."""
        for unconfirmed, undelivered in ((0, 0), (10, 1)):
            for mode, path, body in (("grpc", CONSUME, NOTHING), ("grpc_stream", STREAM, exchange(b""))):
                it = self.filled(1, mode, DEFAULT_WINDOW + 100)
                it.begin(path)
                it.send(body, end=mode == "grpc")
                it.window(10_000)
                it.transport.unconfirmed = unconfirmed
                it.window(10_000, stream=1)
                it.protocol.readConnectionLost()
                it.lose()
                self.assertEqual(len(it.responses[1].payloads[0]), DEFAULT_WINDOW + 99, mode)
                self.assertEqual(it.undelivered, undelivered, mode)

    def test_a_batch_whose_answers_wait(self) -> None:
        """Those that fit into the connection's window are out; the rest goes as it opens; none is lost or doubled."""
        it = self.filled(100, size=5000)
        it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(100)))
        whole = [stream for stream, response in it.responses.items() if response.status == 0]
        self.assertLess(len(whole), 100)
        for _ in range(20):
            it.window(30_000)
        got = [it.responses[stream].payloads for stream in range(1, 200, 2)]
        self.assertEqual(got, [[number.to_bytes(2, "big") * 2500] for number in range(100)])
        self.assertEqual({response.status for response in it.responses.values()}, {0})
        it.protocol.readConnectionLost()
        it.lose()
        self.assertEqual(it.undelivered, 0)

    def test_a_batch_whose_answers_wait_is_lost(self) -> None:
        """Wherever the connection ends, the account is exact."""
        for windows in range(0, 12, 3):
            it = self.filled(100, size=5000)
            it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(90)))
            for _ in range(windows):
                it.window(33_333)
            it.protocol.readConnectionLost()
            it.lose()
            got = sum(response.status == 0 for response in it.responses.values())
            self.assertGreater(got, 0)
            self.assert_account(it, 100, got)

    def test_cancelled_while_it_waits(self) -> None:
        """Counted once; its neighbours get theirs."""
        it = self.filled(3, size=50_000)
        it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(3)))
        self.assertIsNone(it.responses[3].status)
        it.cancel(3)
        self.assertEqual(it.undelivered, 1)
        it.window(200_000)
        self.assertEqual([it.responses[stream].status for stream in (1, 5)], [0, 0])
        it.protocol.readConnectionLost()
        it.lose()
        self.assert_account(it, 3, 2)

    def test_postponed_requests_take_nothing(self) -> None:
        """While more than max_inflight_bytes waits for the peer, no more is taken out for it."""
        it = self.filled(100, size=10_000, max_inflight_bytes=65_536)
        it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(10)))
        for _ in range(5):
            it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(10)))
        taken = 100 - it.queue.depth
        self.assertLess(taken, 30)
        it.reset()
        self.assertEqual(it.queue.depth, 100 - taken)
        self.assertLessEqual(it.undelivered, taken)

    def test_postponed_requests_that_are_over_are_not_kept(self) -> None:
        """However many a client cancels while its window is closed."""
        it = self.filled(100, size=10_000, max_inflight_bytes=65_536, max_streams=100)
        for _ in range(3):
            it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(10)))
        for _ in range(50):
            it.advance(1)
            it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(20)))
            for stream in range(it.last_stream - 38, it.last_stream + 2, 2):
                it.cancel(stream)
        self.assertLessEqual(len(it.protocol._serving._postponed), 2 * 100 + 1)

    def test_postponed_requests_are_served_later(self) -> None:
        """In their order, as there is room; one that was cancelled or expired takes nothing."""
        it = self.filled(70, size=10_000, max_inflight_bytes=65_536)
        for at in range(6):
            timeout = (("grpc-timeout", "1S"),) if at == 5 else ()
            it.say(b"".join(it.request(CONSUME, NOTHING, *timeout) for _ in range(10)))
        last = it.last_stream
        it.cancel(last - 22)
        it.advance(2)
        for _ in range(100):
            it.window(20_000)
        order = [response.payloads[0][:2] for stream, response in sorted(it.responses.items()) if response.status == 0]
        self.assertEqual(order, [number.to_bytes(2, "big") for number in range(49)])
        self.assertEqual([it.responses[stream].status for stream in range(last - 18, last + 2, 2)], [4] * 10)
        self.assertEqual((it.queue.depth, it.undelivered), (21, 0))

    def test_a_slow_peer(self) -> None:
        """While its buffer is above high water nothing is taken out; then all is served."""
        it = self.filled(10)
        it.protocol.pauseProducing()
        self.assertEqual(it.transport.producerState, "paused")
        it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(5)))
        self.assertEqual(it.queue.depth, 10)
        it.say(it.request(CONSUME, NOTHING))
        it.protocol.resumeProducing()
        it.read()
        self.assertEqual(it.queue.depth, 4)
        self.assertEqual(it.transport.producerState, "producing")
        self.assert_account(it, 10)

    def test_a_slow_peer_of_a_stream(self) -> None:
        """Likewise."""
        it = self.filled(10, "grpc_stream")
        response = it.begin()
        it.protocol.pauseProducing()
        it.send(exchange(b"") * 5, end=True)
        self.assertEqual(it.queue.depth, 10)
        it.protocol.resumeProducing()
        it.read()
        self.assertEqual((it.queue.depth, response.status), (5, 0))

    def test_the_connection_ends_while_the_queue_is_at_it(self) -> None:
        """What it gives then has nobody to go to."""
        for mode, path, body in (("grpc", CONSUME, NOTHING), ("grpc_stream", STREAM, exchange(b""))):
            for whole in (True, False):
                it = GrpcConversation(mode, queue=LateProvider()).open()
                it.queue.inner.enqueue(b"a")
                if whole:
                    it.say(it.request(path, body))
                else:
                    it.begin(path)
                    it.send(body, end=mode == "grpc")
                it.reset()
                it.queue.answer()
                self.assertEqual((it.queue.depth, it.undelivered), (0, 1), (mode, whole))

    def test_an_answer_that_went_while_the_queue_was_at_it(self) -> None:
        """A window opened in the same read in which the queue began to wait; then the connection ended."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.queue.inner.enqueue(bytes(DEFAULT_WINDOW + 10))
        it.queue.inner.enqueue(b"second")
        it.say(it.request(CONSUME, NOTHING))
        it.queue.answer()
        it.read()
        it.transport.unconfirmed = 1000
        room = (1000).to_bytes(4, "big")
        it.say(it.request(CONSUME, NOTHING) + frame(WINDOW_UPDATE, 0, 0, room) + frame(WINDOW_UPDATE, 0, 1, room))
        self.assertEqual(it.responses[1].status, 0)
        it.reset()
        it.queue.answer()
        self.assertEqual((it.queue.depth, it.undelivered), (0, 2))


class V1TestCase(SynchronousTestCase):
    """A connection of v1's unary calls."""

    def setUp(self) -> None:
        """A server whose client gives answers all the room that there is."""
        self.open()

    def open(self, **options: Any) -> None:
        """A conversation over a broker."""
        clock = Clock()
        self.broker = MemoryBroker(clock, Broker())
        self.addCleanup(self.broker.close)
        factory = GrpcFactory(clock, MessageQueue(10), Traffic(), Settings("grpc", **options), self.broker)
        self.it = GrpcConversation(factory=factory).open(
            INITIAL_WINDOW_SIZE.to_bytes(2, "big") + MOST.to_bytes(4, "big")
        )
        self.it.window(MOST - DEFAULT_WINDOW)

    def publish(self, messages: int, size: int = 10) -> None:
        """Messages, and a turn for who waits."""
        self.broker.publish(Publish("q", Batch([bytes(size)] * messages)))
        self.it.advance(0)

    def pull(self, **options: Any) -> bytes:
        """A request of up to three messages."""
        row = BY_KIND[Pull]
        asked = Pull(("q",), 3, **{"delivery": Delivery.TAKEN, **options})
        return self.it.request(row.grpc_path, message(row.request.serialize(asked)))

    @property
    def info(self) -> QueueInfo:
        """The queue."""
        return self.broker.get_queue(GetQueue("q"))


class V1AccountTests(V1TestCase):
    """The same of v1's pulls that take."""

    def test_not_confirmed(self) -> None:
        """All that was in an answer is counted, whether it came at once or later; leased messages are not."""
        for wait_ms in (0, 1000):
            for delivery, lost in ((Delivery.TAKEN, 3), (Delivery.LEASED, 0)):
                self.open()
                if not wait_ms:
                    self.publish(3)
                self.it.transport.unconfirmed = 1
                self.it.say(self.pull(wait_ms=wait_ms, delivery=delivery))
                if wait_ms:
                    self.publish(3)
                self.assertEqual(self.it.responses[1].status, 0)
                self.it.reset()
                self.assertEqual(self.it.undelivered, lost)

    def test_confirmed(self) -> None:
        """It arrived."""
        self.publish(3)
        self.it.say(self.pull())
        self.it.protocol.readConnectionLost()
        self.it.lose()
        self.assertEqual(self.it.undelivered, 0)

    def test_cancelled_after_the_answer(self) -> None:
        """The reset crosses the answer: all that was in it is counted."""
        self.publish(3)
        self.it.say(self.pull())
        self.it.cancel()
        self.assertEqual(self.it.undelivered, 3)

    def test_cancelled_while_it_waits_for_its_window(self) -> None:
        """Likewise; and with the connection."""
        for end in (self.it.cancel, lambda: self.it.reset()):
            self.it.say(frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2, "big") + (5).to_bytes(4, "big")))
            self.publish(3)
            before = self.it.undelivered
            self.it.say(self.pull())
            self.assertIsNone(self.it.responses[self.it.last_stream].status)
            end()
            self.assertEqual(self.it.undelivered, before + 3)

    def test_a_slow_peer(self) -> None:
        """Pulls that wait are passed over, and those that come are postponed; a cancelled one takes nothing."""
        self.it.say(self.pull(wait_ms=60_000) + self.pull(wait_ms=60_000))
        self.it.protocol.pauseProducing()
        self.publish(2)
        self.it.say(self.pull() + self.pull())
        self.assertEqual(self.info.ready, 2)
        self.it.cancel()
        self.it.protocol.resumeProducing()
        self.it.advance(0)
        self.assertEqual([self.it.responses[stream].status for stream in (5,)], [0])
        self.assertEqual((self.info.ready, self.info.waiters, self.it.undelivered), (0, 2, 0))
        self.publish(1)
        self.assertEqual((self.it.responses[1].status, self.info.waiters), (0, 1))

    def test_answers_that_wait_for_their_windows(self) -> None:
        """When more waits than may be in flight, nothing more is taken out, until it goes or is given up."""
        self.open(max_inflight_bytes=65_536)
        self.it.say(frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2, "big") + (5).to_bytes(4, "big")))
        self.it.say(b"".join(self.pull(wait_ms=60_000) for _ in range(5)))
        self.publish(15, 30_000)
        self.assertEqual((self.info.ready, self.info.waiters), (12, 4))
        self.it.cancel(1)
        self.it.advance(0)
        self.assertEqual((self.info.ready, self.info.waiters, self.it.undelivered), (9, 3, 3))
        self.it.say(self.pull())
        self.assertEqual(self.info.ready, 9)
        self.it.window(200_000, stream=3)
        self.it.advance(0)
        self.assertEqual(self.it.responses[3].status, 0)
        self.assertEqual((self.info.ready, self.info.waiters), (6, 3))

    def test_a_burst_of_pulls(self) -> None:
        """Many requests of one read for long answers: written piece by piece, so that a slow peer stops it."""
        self.publish(60, 1_000_000)
        paused: list[int] = []

        def write(data: bytes) -> None:
            """The kernel takes little."""
            if data and not paused:
                paused.append(len(data))
                self.it.protocol.pauseProducing()

        self.patch(self.it.transport, "write", write)
        self.it.protocol.dataReceived(b"".join(self.pull() for _ in range(20)))
        self.assertEqual((len(paused), self.info.ready), (1, 57))


class V1DrainTests(V1TestCase):
    """GOAWAY, after which a client begins no calls, leaves the time to settle what is leased."""

    def setUp(self) -> None:
        """Two messages are leased; then the drain begins."""
        super().setUp()
        self.publish(2)
        self.it.say(self.pull(delivery=Delivery.LEASED))
        self.first = BY_KIND[Pull].reply.form.parse(self.it.responses[1].messages[0]).first_receipt
        self.it.factory.drain(8.0)
        self.it.read()

    def settle(self, receipt: int, action: Action = Action.ACK) -> None:
        """One of them."""
        row = BY_KIND[Settle]
        asked = Settle("q", ((receipt, receipt),), action)
        response = self.it.call(row.grpc_path, message(row.request.serialize(asked)))
        self.assertEqual(response.status, 0)

    def test_settled(self) -> None:
        """It comes with the last one; to extend a lease does not end it."""
        for action in (Action.EXTEND, Action.ACK):
            self.settle(self.first, action)
        self.assertEqual(self.it.goaways(), [])
        self.settle(self.first + 1)
        self.assertEqual(len(self.it.goaways()), 1)
        self.it.answer_pings()
        self.assertEqual(self.it.transport.events, ["nodelay", "half-close"])

    def test_never_settled(self) -> None:
        """It comes a second before the end, and the connection ends in time though no PING is answered."""
        self.it.advance(6.9)
        self.assertEqual(self.it.goaways(), [])
        self.it.advance(0.2)
        self.assertEqual(len(self.it.goaways()), 1)
        self.settle(self.first)
        self.settle(self.first + 1)
        self.it.advance(0.5)
        self.assertEqual(len(self.it.goaways()), 2)
        self.assertEqual(self.it.transport.events, ["nodelay", "half-close"])


class HoldTests(SynchronousTestCase):
    """While the queue is at it, the connection reads no further: order holds."""

    def test_it_reads_no_further(self) -> None:
        """Paused until the Deferred fires; what lay in the same read waits its turn."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.say(it.request(PRODUCE, produce(b"a")) + it.request(CONSUME, NOTHING) + it.request(PRODUCE, produce(b"b")))
        self.assertEqual(it.transport.producerState, "paused")
        self.assertEqual([method.__name__ for _, method, _ in it.queue.waiting], ["enqueue_many"])
        it.queue.answer()
        it.read()
        self.assertEqual(it.responses[1].status, 0)
        self.assertEqual([method.__name__ for _, method, _ in it.queue.waiting], ["dequeue_many"])
        it.queue.answer()
        it.queue.answer()
        it.read()
        self.assertEqual(it.responses[3].payloads, [b"a"])
        self.assertEqual(it.responses[5].status, 0)
        self.assertEqual(it.transport.producerState, "producing")

    def test_requests_that_come_all_the_same(self) -> None:
        """Are kept, in order."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.say(it.request(PRODUCE, produce(b"a")))
        it.say(it.request(PRODUCE, produce(b"b")))
        it.say(it.request(CONSUME, NOTHING))
        self.assertEqual(len(it.queue.waiting), 1)
        for _ in range(3):
            it.queue.answer()
        it.read()
        self.assertEqual(it.responses[5].payloads, [b"a"])
        self.assertEqual(it.queue.inner.dequeue(), b"b")

    def test_a_request_that_is_cancelled_while_it_waits(self) -> None:
        """It takes nothing, or what it took is counted; the connection lives."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.queue.inner.enqueue_many([b"a", b"b"])
        it.say(it.request(CONSUME, NOTHING))
        it.say(
            it.head(CONSUME)
            + frame(DATA, 0, 3, NOTHING)
            + frame(DATA, 1, 3)
            + it.reset_frame(3)
            + it.request(CONSUME, NOTHING)
        )
        while it.queue.waiting:
            it.queue.answer()
        it.read()
        self.assertEqual([it.responses[stream].payloads for stream in (1, 5)], [[b"a"], [b"b"]])
        self.assertEqual((it.queue.depth, it.undelivered), (0, 0))

    def test_a_fault_while_the_queue_is_at_it(self) -> None:
        """The answer comes before the end."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.say(it.request(PRODUCE, produce(b"a")) + frame(DATA, 0, 0, b"x"))
        self.assertNotIn("half-close", it.transport.events)
        it.queue.answer()
        it.read()
        self.assertEqual(it.responses[1].status, 0)
        self.assertIn("half-close", it.transport.events)

    def test_a_stream_that_was_cancelled_while_the_queue_was_at_it(self) -> None:
        """Its reset could not be read: the answer came too late for it, also where its kernel has taken it."""
        it = GrpcConversation("grpc_stream", queue=LateProvider()).open()
        it.begin()
        it.send(exchange(b"a"))
        it.queue.answer()
        it.read()
        it.cancel()
        self.assertEqual((it.queue.depth, it.undelivered), (0, 1))

    def test_a_stream_that_is_cancelled_later(self) -> None:
        """What it has said since it can have seen the answer: its kernel's word counts."""
        it = GrpcConversation("grpc_stream", queue=LateProvider()).open()
        it.begin()
        it.send(exchange(b"a"))
        it.queue.answer()
        it.read()
        it.window(10)
        it.cancel()
        self.assertEqual((it.queue.depth, it.undelivered), (0, 0))

    def test_a_drain_awaits_the_queue(self) -> None:
        """The connection closes behind the answer."""
        it = GrpcConversation(queue=LateProvider()).open()
        it.say(it.request(PRODUCE, produce(b"a")))
        it.factory.drain(8.0)
        it.read()
        it.answer_pings()
        it.advance(1.1)
        self.assertNotIn("half-close", it.transport.events)
        it.queue.answer()
        it.read()
        self.assertEqual(it.responses[1].status, 0)
        self.assertIn("half-close", it.transport.events)


class SliceTests(SynchronousTestCase):
    """Long answers."""

    def test_a_read_full_of_requests(self) -> None:
        """What is taken out at once is bounded in bytes, and all of it comes, in order."""
        it = GrpcConversation().open()
        it.say(frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2, "big") + (2**31 - 1).to_bytes(4, "big")))
        it.window(2**31 - 1 - DEFAULT_WINDOW)
        for number in range(600):
            it.queue.enqueue(number.to_bytes(2, "big") * 5000)
        writes: list[int] = []
        write = it.transport.write
        it.transport.write = lambda data: writes.append(len(data)) or write(data)
        it.say(b"".join(it.request(CONSUME, NOTHING) for _ in range(600)))
        for _turn in range(100):
            it.advance(0)
        self.assertEqual(
            [it.responses[s].payloads[0][:2] for s in range(1, 1200, 2)],
            [number.to_bytes(2, "big") for number in range(600)],
        )
        self.assertLessEqual(max(writes), 3 * MEBIBYTE)
        self.assertEqual(it.queue.depth, 0)

    def test_long_messages_and_a_slow_reader(self) -> None:
        """1 MiB each, read in drops: what waits is bounded, and nothing is lost."""
        for mode in ("grpc", "grpc_stream"):
            it = GrpcConversation(mode, max_inflight_bytes=4 * MEBIBYTE).open()
            for number in range(40):
                it.queue.enqueue(bytes((number,)) * MEBIBYTE)
            if mode == "grpc":
                for _ in range(40):
                    it.say(it.request(CONSUME, NOTHING))
            else:
                it.begin()
                it.send(exchange(b"") * 40, end=True)
            most = 0
            while it.queue.depth or any(response.status is None for response in it.responses.values()):
                waiting = sum(len(stream.pending) for stream in it.protocol._http2.streams.values())
                most = max(most, waiting)
                before = sum(len(response.body) for response in it.responses.values())
                it.window(200_000)
                for stream in list(it.protocol._http2.streams):
                    it.window(200_000, stream)
                self.assertGreater(sum(len(response.body) for response in it.responses.values()), before)
            got = [payload[:1] for _, response in sorted(it.responses.items()) for payload in response.payloads]
            self.assertEqual(got, [bytes((number,)) for number in range(40)], mode)
            self.assertLessEqual(most, 6 * MEBIBYTE)
            it.protocol.readConnectionLost()
            it.lose()
            self.assertEqual(it.undelivered, 0)

    def test_a_stream_that_is_not_read_gets_no_room(self) -> None:
        """What its client sends meanwhile is bounded by the stream's window."""
        it = GrpcConversation("grpc_stream").open()
        for _ in range(20):
            it.queue.enqueue(bytes(60_000))
        it.begin()
        sent = 0
        body = exchange(b"") * 1000
        for _ in range(100):
            it.send(body)
            sent += len(body)
        rooms = [
            int.from_bytes(payload, "big")
            for kind, _, stream, payload in it.frames
            if kind == WINDOW_UPDATE and stream == 1
        ]
        self.assertLessEqual(sum(rooms), MEBIBYTE)
        self.assertGreater(it.queue.depth, 10)
