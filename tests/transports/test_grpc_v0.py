"""v0 on the native server, in memory: batches, texts, refusals, and a provider that fails."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.messages import Message
from quickpulse.queues.memory import MessageQueue
from tests.transports.grpc_conversation import (
    CONSUME,
    NOTHING,
    PRODUCE,
    GrpcConversation,
    exchange,
    message,
    produce,
)

OK, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 0, 8, 13, 14

GARBAGE = message(b"\x0a\xff\xff")

SUCCESS = b"\x08\x01"
FULL = b"\x12\x0dqueue is full"


class FailingQueue(MessageQueue):
    """Fails as it is told: by raising, or in a Deferred."""

    def __init__(self, how: str) -> None:
        super().__init__(100)
        self.how = how

    def _fail(self, *_: Any) -> Any:
        error = RuntimeError("disk on fire")
        if self.how == "raise":
            raise error
        return fail(error)

    enqueue_many = dequeue_many = exchange_many = _fail


class PromptQueue(MessageQueue):
    """Answers with Deferreds that have fired."""

    def enqueue_many(self, messages):
        return succeed(super().enqueue_many(messages))

    def dequeue_many(self, count):
        return succeed(super().dequeue_many(count))

    def exchange_many(self, messages):
        return succeed(super().exchange_many(messages))


class UnaryTests(SynchronousTestCase):
    """Produce and Consume."""

    def test_batches(self) -> None:
        """A read full of both kinds is served in its order, each on its own stream."""
        it = GrpcConversation().open()
        kinds = "PPCPCCCPPC"
        it.say(
            b"".join(
                it.request(PRODUCE, produce(b"%d" % at)) if kind == "P" else it.request(CONSUME, NOTHING)
                for at, kind in enumerate(kinds)
            )
        )
        got = [it.responses[stream] for stream in range(1, 20, 2)]
        self.assertEqual(
            [one.payloads[0] for one, k in zip(got, kinds, strict=True) if k == "C"], [b"0", b"1", b"3", b"", b"7"]
        )
        self.assertEqual([one.messages for one, k in zip(got, kinds, strict=True) if k == "P"], [[SUCCESS]] * 5)
        self.assertEqual({one.status for one in got}, {OK})
        self.assertEqual(got[6].errors, ["queue is empty"])

    def test_full_in_the_middle(self) -> None:
        """The first ones fit; the others are told."""
        it = GrpcConversation(queue=MessageQueue(3)).open()
        it.say(b"".join(it.request(PRODUCE, produce(b"%d" % n)) for n in range(5)))
        answers = [it.responses[stream].messages for stream in range(1, 10, 2)]
        self.assertEqual(answers, [[SUCCESS]] * 3 + [[FULL]] * 2)
        self.assertEqual(it.refused["queue_full"], 2)
        self.assertEqual(it.queue.dequeue_many(9), [b"0", b"1", b"2"])

    def test_refusals_in_the_middle(self) -> None:
        """Garbage and long payloads are refused by themselves."""
        it = GrpcConversation(max_message_bytes=200).open()
        bodies = [produce(b"a"), GARBAGE, produce(bytes(201)), produce(bytes(200)), produce(b"")]
        it.say(b"".join(it.request(PRODUCE, body) for body in bodies))
        statuses = [it.responses[stream].status for stream in range(1, 10, 2)]
        self.assertEqual(statuses, [OK, INTERNAL, RESOURCE_EXHAUSTED, OK, OK])
        self.assertEqual(it.queue.dequeue_many(9), [b"a", bytes(200), b""])
        self.assertEqual((it.refused["bad_request"], it.refused["message_too_large"]), (1, 1))

    def test_all_refused(self) -> None:
        """The queue is not asked."""
        it = GrpcConversation(queue=FailingQueue("raise")).open()
        it.say(it.request(PRODUCE, GARBAGE) + it.request(CONSUME, GARBAGE))
        self.assertEqual([it.responses[stream].status for stream in (1, 3)], [INTERNAL, INTERNAL])

    def test_a_limit_below_the_short_way(self) -> None:
        """--max-message-bytes holds for the shortest payloads too."""
        it = GrpcConversation(max_message_bytes=5).open()
        statuses = [it.call(PRODUCE, produce(bytes(size))).status for size in (5, 6)]
        self.assertEqual(statuses, [OK, RESOURCE_EXHAUSTED])

    def test_consume_with_a_body(self) -> None:
        """Unknown fields are ignored, garbage takes nothing."""
        it = GrpcConversation().open()
        it.queue.enqueue_many([b"a", b"b"])
        self.assertEqual(it.call(CONSUME, message(b"\x7a\x01x")).payloads, [b"a"])
        self.assertEqual(it.call(CONSUME, GARBAGE).status, INTERNAL)
        self.assertEqual(it.queue.depth, 1)

    def test_an_empty_payload(self) -> None:
        """Is a message like any other."""
        it = GrpcConversation().open()
        self.assertEqual(it.call(PRODUCE, NOTHING).messages, [SUCCESS])
        self.assertEqual(it.queue.depth, 1)
        response = it.call(CONSUME, NOTHING)
        self.assertEqual((response.payloads, response.errors), ([b""], [""]))

    def test_messages_with_ids(self) -> None:
        """The wire carries payloads only."""
        it = GrpcConversation().open()
        it.queue.enqueue(Message(b"a", "id"))
        self.assertEqual(it.call(CONSUME, NOTHING).payloads, [b"a"])

    def test_lengths(self) -> None:
        """Around each way of writing a length."""
        it = GrpcConversation().open()
        for size in (0, 1, 126, 127, 128, 129, 16_383, 16_384, 16_385, 60_000):
            payload = bytes((size % 251,)) * size
            it.begin(PRODUCE)
            it.send(produce(payload), end=True)
            response = it.call(CONSUME, NOTHING)
            it.window(70_000)
            self.assertEqual(response.payloads, [payload], size)


class ProviderTests(SynchronousTestCase):
    """Queues of somebody else's."""

    def test_a_provider_that_fails(self) -> None:
        """UNAVAILABLE to each that asked, counted, logged once a batch; the connection lives."""
        for how in ("raise", "Deferred"):
            for path, body in ((PRODUCE, produce(b"a")), (CONSUME, NOTHING)):
                it = GrpcConversation(queue=FailingQueue(how)).open()
                it.say(it.request(path, body) + it.request(path, body))
                it.begin(path)
                it.send(body, end=True)
                answers = [(one.status, one.text) for one in it.responses.values()]
                self.assertEqual(answers, [(UNAVAILABLE, "queue is unavailable")] * 3)
                self.assertEqual(it.refused["queue_unavailable"], 3)
                self.assertIn(len(self.flushLoggedErrors(RuntimeError)), (2, 3))

    def test_a_stream_over_one(self) -> None:
        """UNAVAILABLE, and the connection lives."""
        for how in ("raise", "Deferred"):
            for payload in (b"a", b""):
                it = GrpcConversation("grpc_stream", queue=FailingQueue(how)).open()
                response = it.begin()
                it.send(exchange(payload) * 3)
                self.assertEqual((response.status, response.text), (UNAVAILABLE, "queue is unavailable"))
                self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
                self.assertGreaterEqual(it.refused["queue_unavailable"], 1)
                self.assertIsNone(it.begin().status)

    def test_deferreds_that_have_fired(self) -> None:
        """As if at once, in order."""
        it = GrpcConversation(queue=PromptQueue(2)).open()
        it.say(b"".join(it.request(PRODUCE, produce(b"%d" % n)) for n in range(3)) + it.request(CONSUME, NOTHING))
        self.assertEqual(it.responses[5].messages, [FULL])
        self.assertEqual(it.responses[7].payloads, [b"0"])
        it.begin(CONSUME)
        it.send(NOTHING, end=True)
        self.assertEqual(it.responses[9].payloads, [b"1"])
        self.assertEqual(it.transport.producerState, "producing")
        it = GrpcConversation("grpc_stream", queue=PromptQueue(2)).open()
        response = it.begin()
        it.send((exchange(b"a") + exchange(b"")) * 700, end=True)
        for _ in range(20):
            it.window(60_000)
            it.window(60_000, stream=1)
        self.assertEqual((response.payloads, response.status), ([b"a", b""] * 700, OK))


class ExchangeTests(SynchronousTestCase):
    """StreamMessages."""

    def ask(self, payloads: list[bytes], queue: MessageQueue | None = None, **options: Any):
        """One stream with these payloads in one read."""
        it = GrpcConversation("grpc_stream", queue=queue, **options).open()
        response = it.begin()
        it.send(b"".join(map(exchange, payloads)), end=True)
        return it, response

    def test_runs(self) -> None:
        """Puts and takes are answered in their order."""
        it, response = self.ask([b"a", b"b", b"", b"", b"c", b""])
        self.assertEqual(response.payloads, [b"a", b"b", b"", b"", b"c", b""])
        self.assertEqual(response.errors, ["", "", "queue is empty", "queue is empty", "", "queue is empty"])
        self.assertEqual((response.status, it.queue.depth), (OK, 0))

    def test_a_full_queue(self) -> None:
        """Exchanges at any depth."""
        queue = MessageQueue(2)
        queue.enqueue_many([b"1", b"2"])
        _, response = self.ask([b"3", b"4", b"5"], queue)
        self.assertEqual(response.payloads, [b"1", b"2", b"3"])
        self.assertEqual(queue.dequeue_many(9), [b"4", b"5"])

    def test_a_bound_in_bytes(self) -> None:
        """Refuses what would not fit, takes nothing for it, and goes on."""
        queue = MessageQueue(10, 4)
        queue.enqueue(b"old")
        it, response = self.ask([b"large", b"", b"new"], queue)
        self.assertEqual(response.errors[0], "queue is full")
        self.assertEqual(response.payloads[1:], [b"old", b"new"])
        self.assertGreaterEqual(it.refused["queue_full"], 1)

    def test_a_refusal_behind_answers(self) -> None:
        """What came before it is answered, what comes after is not served."""
        it, response = self.ask([b"a", bytes(1001), b"b"], max_message_bytes=1000)
        self.assertEqual((response.payloads, response.status), ([b"a"], RESOURCE_EXHAUSTED))
        self.assertEqual(it.refused["message_too_large"], 1)
        it = GrpcConversation("grpc_stream").open()
        response = it.begin()
        it.send(exchange(b"a") + GARBAGE + exchange(b"b"))
        self.assertEqual((response.payloads, response.status, it.queue.depth), ([b"a"], INTERNAL, 0))
        response = it.begin()
        it.send(GARBAGE)
        self.assertEqual(response.status, INTERNAL)

    def test_many_short_ones(self) -> None:
        """Thousands in one read."""
        it = GrpcConversation("grpc_stream").open()
        response = it.begin()
        it.protocol.dataReceived(
            b"".join(
                (len(body)).to_bytes(3, "big") + b"\0\0\0\0\0\1" + body
                for body in [exchange(b"%d" % number) for number in range(3_000)]
            )
        )
        it.read()
        for _ in range(20):
            it.window(60_000)
            it.window(60_000, stream=1)
        self.assertEqual(response.payloads, [b"%d" % number for number in range(3_000)])
