"""WebSocket: serving, with a queue that answers late and with peers that do not read."""

from __future__ import annotations

from quickpulse.queues.memory import MessageQueue
from quickpulse.transports import deliveries, ws_serving
from tests.transports.conversation import (
    EMPTY,
    OK,
    TEXT,
    Conversation,
    LateQueue,
    WsTestCase,
    client_frame,
    close_frame,
    close_of,
    server_frames,
)


class LateAnswerTests(WsTestCase):
    """A queue that answers with a Deferred: reading rests, and order holds."""

    def setUp(self) -> None:
        self.queue = LateQueue()

    def test_reading_rests_until_the_answer(self) -> None:
        """The transport is paused, and goes on when the Deferred fires."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a"))
        self.assertEqual((it.transport.producerState, it.written()), ("paused", b""))
        self.queue.answer()
        self.assertEqual((it.transport.producerState, server_frames(it.written())), ("producing", [OK]))

    def test_what_came_meanwhile_is_served_next(self) -> None:
        """Bytes that were already on their way wait for their turn."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a"))
        it.protocol.dataReceived(client_frame(b"b") + client_frame(b"c"))
        self.assertEqual(self.queue.calls, 1)
        self.queue.answer()
        self.queue.answer()
        self.assertEqual(self.queue.inner.dequeue_many(9), [b"a", b"b", b"c"])
        self.assertEqual(server_frames(it.written()), [OK, OK, OK])

    def test_close_waits_for_the_answer(self) -> None:
        """The peer's Close behind a message is answered behind its answer."""
        it = self.talk(queue=self.queue).open()
        self.assertEqual(it.say(client_frame(b"a") + close_frame()), b"")
        self.queue.answer()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1000))
        self.assertEqual(it.transport.events[-1], "half-close")

    def test_a_fault_waits_for_the_answer(self) -> None:
        """So does the Close that a fault brings."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a") + client_frame(b"\xff", TEXT))
        self.queue.answer()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1007))

    def test_the_peers_end_waits_for_the_answer(self) -> None:
        """A half-closed peer gets the late answer too."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a"))
        it.protocol.readConnectionLost()
        self.assertNotIn("close", it.transport.events)
        self.queue.answer()
        self.assertEqual((server_frames(it.written()), it.transport.events[-1]), ([OK], "close"))

    def test_a_message_for_a_peer_that_left_is_counted(self) -> None:
        """It was taken out for a connection that is gone when it comes."""
        self.queue.inner.enqueue(b"a")
        it = self.talk("/ws/consume", queue=self.queue).open()
        it.say(client_frame(b""))
        it.lose()
        self.queue.answer()
        self.assertEqual(it.traffic.undelivered_total, 1)

    def test_a_request_of_a_peer_that_left_takes_nothing(self) -> None:
        """What had not been asked of the queue before the connection ended is not asked any more."""
        it = self.talk("/ws/consume", queue=self.queue).open()
        it.say(client_frame(b""))
        it.protocol.dataReceived(client_frame(b""))
        it.lose()
        self.queue.inner.enqueue_many([b"a", b"b"])
        self.queue.answer()
        self.assertEqual((self.queue.calls, self.queue.inner.depth), (1, 1))

    def test_a_failing_queue_is_said_to_be_unavailable(self) -> None:
        """Each request is told; the connection lives; the log has the cause."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a") * 2)
        self.queue.fail()
        self.assertEqual(server_frames(it.written()), [(TEXT, b"error: queue is unavailable")] * 2)
        self.assertEqual(it.traffic.refused_total["queue_unavailable"], 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        it.say(client_frame(b"b"))
        self.queue.answer()
        self.assertEqual(server_frames(it.written()), [OK])

    def test_a_failure_after_the_peer_left_is_only_logged(self) -> None:
        """There is nobody to tell."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a"))
        it.lose()
        self.queue.fail()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_queue_that_raises(self) -> None:
        """An error at once is told like one that comes late."""

        class Broken:
            def enqueue_many(self, messages):
                raise RuntimeError("no")

        it = self.talk(queue=Broken()).open()
        self.assertEqual(it.frames(client_frame(b"a")), [(TEXT, b"error: queue is unavailable")])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_an_answer_of_the_wrong_kind_ends_the_connection(self) -> None:
        """A provider that breaks its port is logged, and its connection does not hang."""
        it = self.talk(queue=self.queue).open()
        it.say(client_frame(b"a"))
        self.queue.waiting.pop()[0].callback("three")
        self.assertEqual(it.transport.events[-1], "abort")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class SlowReaderTests(WsTestCase):
    """A peer that does not read its answers."""

    def test_reading_rests_above_high_water(self) -> None:
        """The transport pauses its producer, which pauses reading; both ways open again together."""
        it = self.talk().open()
        gate = it.transport.producer
        gate.pauseProducing()
        self.assertEqual(it.transport.producerState, "paused")
        gate.resumeProducing()
        self.assertEqual(it.transport.producerState, "producing")
        gate.stopProducing()

    def test_a_late_answer_does_not_open_what_a_slow_peer_closed(self) -> None:
        """Reading goes on only when neither waits."""
        queue = LateQueue()
        it = self.talk(queue=queue).open()
        gate = it.transport.producer
        it.say(client_frame(b"a"))
        gate.pauseProducing()
        queue.answer()
        self.assertEqual(it.transport.producerState, "paused")
        gate.resumeProducing()
        self.assertEqual(it.transport.producerState, "producing")

    def test_requests_wait_while_the_peer_is_slow(self) -> None:
        """What was read then is kept and served, in order, when the peer has read; the queue is not asked before."""
        it = self.talk().open()
        it.transport.producer.pauseProducing()
        self.assertEqual(it.say(client_frame(b"a")), b"")
        it.protocol.dataReceived(client_frame(b"b"))
        self.assertEqual(it.queue.depth, 0)
        it.transport.producer.resumeProducing()
        self.assertEqual(server_frames(it.written()), [OK, OK])
        self.assertEqual(it.queue.dequeue_many(9), [b"a", b"b"])

    def test_a_close_waits_with_them(self) -> None:
        """It is answered behind the answers."""
        it = self.talk().open()
        it.transport.producer.pauseProducing()
        self.assertEqual(it.say(client_frame(b"a") + close_frame()), b"")
        it.transport.producer.resumeProducing()
        frames = server_frames(it.written())
        self.assertEqual((frames[0], close_of(frames)), (OK, 1000))

    def test_who_leaves_meanwhile_took_nothing(self) -> None:
        """Requests that were not served have not asked for a message."""
        it = self.talk("/ws/consume").open()
        it.queue.enqueue(b"a")
        it.transport.producer.pauseProducing()
        it.say(client_frame(b""))
        it.reset()
        self.assertEqual((it.queue.depth, it.traffic.undelivered_total), (1, 0))


class FullPipe:
    """A transport's `write`, over a peer that has room for so many bytes and then reads no more.

    :param it: the conversation whose transport becomes one.
    """

    def __init__(self, it: Conversation, room_bytes: int) -> None:
        self.it = it
        self.room_bytes = room_bytes
        self.largest = self.writes = 0
        self._write = it.transport.write
        it.transport.write = self.write  # type: ignore[method-assign]

    def write(self, data: bytes) -> None:
        """Write, and pause the producer when there is no room."""
        self._write(data)
        self.writes += 1
        self.largest = max(self.largest, len(data))
        if len(self.it.written()) > self.room_bytes:
            self.it.transport.producer.pauseProducing()

    def read(self) -> bytes:
        """The peer reads what is there."""
        data = self.it.written()
        self.it.transport.clear()
        if self.it.transport.producer is not None:
            self.it.transport.producer.resumeProducing()
        return data


class SliceTests(WsTestCase):
    """Answers are bounded as requests are: a short request may have a long answer."""

    def test_long_messages_are_given_out_as_they_are_read(self) -> None:
        """A peer that asks for very many long messages gets the next ones when it has taken the first."""
        queue = MessageQueue(200)
        queue.enqueue_many([b"%03d" % i + bytes(99_997) for i in range(100)])
        it = self.talk("/ws/consume", queue=queue).open()
        pipe = FullPipe(it, 65_536)
        it.say(client_frame(b"") * 120)
        self.assertGreater(queue.depth, 80)
        data = b""
        while it.written():
            self.assertLess(len(it.written()), 17 * 100_020)
            data += pipe.read()
        frames = server_frames(data)
        self.assertEqual([payload[:3] for _, payload in frames[:100]], [b"%03d" % i for i in range(100)])
        self.assertEqual(frames[100:], [EMPTY] * 20)

    def test_after_long_messages_the_slices_are_short(self) -> None:
        """From the second one on, a slice's answers are about 64 KiB."""
        queue = MessageQueue(200)
        queue.enqueue_many([bytes(32_000)] * 100)
        it = self.talk("/ws/consume", queue=queue).open()
        it.say(client_frame(b"") * 16)
        pipe = FullPipe(it, 1 << 30)
        it.say(client_frame(b"") * 84)
        self.assertLessEqual(pipe.largest, 65_536)
        self.assertEqual(it.queue.depth, 0)

    def test_with_short_messages_the_slices_grow(self) -> None:
        """Most reads are one call of the queue and one write then."""
        queue = MessageQueue(1000)
        queue.enqueue_many([b"x"] * 1000)
        it = self.talk("/ws/consume", queue=queue).open()
        it.say(client_frame(b"") * 600)
        pipe = FullPipe(it, 1 << 30)
        self.assertEqual(len(it.frames(client_frame(b"") * 200)), 200)
        self.assertEqual(pipe.writes, 1)

    def test_publishing_is_not_sliced(self) -> None:
        """Its answers are short, so one read stays one call of the queue."""
        queue = LateQueue(1000)
        it = self.talk(queue=queue).open()
        it.say(client_frame(b"x") * 900)
        queue.answer()
        self.assertEqual((queue.calls, server_frames(it.written())), (1, [OK] * 900))

    def test_a_late_queue_is_asked_slice_by_slice(self) -> None:
        """The next slice follows the answer to the one before; a Close follows all of them."""
        queue = LateQueue()
        queue.inner.enqueue_many([b"%d" % i for i in range(40)])
        it = self.talk("/ws/consume", queue=queue).open()
        it.say(client_frame(b"") * 40 + close_frame())
        while queue.waiting:
            queue.answer()
        frames = server_frames(it.written())
        self.assertEqual([payload for _, payload in frames[:40]], [b"%d" % i for i in range(40)])
        self.assertEqual((queue.calls, close_of(frames)), (2, 1000))


class ConfirmTests(WsTestCase):
    """Over the loop's own transport, which can be asked when the connection has ended."""

    def taking(self) -> Conversation:
        """A consumer over such a transport."""
        self.kernel_bytes = 0
        self.patch(deliveries, "unacknowledged_bytes", lambda transport, written: self.kernel_bytes)
        for module in (deliveries, ws_serving):
            self.patch(module, "knows_arrivals", lambda transport: True)
        it = self.talk("/ws/consume")
        it.open()
        it.queue.enqueue_many([b"%d" % i for i in range(9)])
        return it

    def test_at_the_end_the_kernel_is_asked(self) -> None:
        """What it has no acknowledgement of is counted, and nothing else."""
        it = self.taking()
        for _ in range(4):
            it.say(client_frame(b""))
        self.kernel_bytes = 4  # the last answer is three bytes, the one before not whole
        it.reset()
        self.assertEqual(it.traffic.undelivered_total, 2)

    def test_answers_without_a_message_count_as_bytes(self) -> None:
        """They stand behind the messages on the wire."""
        it = self.taking()
        it.say(client_frame(b"") * 9)
        it.say(client_frame(b"") * 2)
        self.kernel_bytes = 2 * 23
        it.reset()
        self.assertEqual(it.traffic.undelivered_total, 0)

    def test_what_the_transport_held_is_lost(self) -> None:
        """While the peer does not read, messages wait in the transport: nobody has acknowledged them."""
        it = self.taking()
        it.say(client_frame(b""))
        it.transport.producer.pauseProducing()
        it.transport.producer.resumeProducing()
        it.say(client_frame(b""))
        self.kernel_bytes = 3
        it.transport.producer.pauseProducing()
        it.reset()
        self.assertEqual(it.traffic.undelivered_total, 1)

    def test_memory_is_bounded(self) -> None:
        """After so many answers the kernel is asked meanwhile."""
        it = self.taking()
        it.queue.enqueue_many([b"x"] * 80)
        for _ in range(70):
            it.say(client_frame(b""))
        self.assertLess(it.protocol._deliveries.messages(), 10)
