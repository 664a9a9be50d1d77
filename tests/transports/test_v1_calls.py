"""v1 as calls of gRPC, without a server: replies now and later, errors as statuses, and what Connect sends."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import NotFound, QueuePaused, Unauthenticated
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import (
    Batch,
    Deliveries,
    Delivery,
    GetQueue,
    Publish,
    PublishReply,
    Pull,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
)
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.transports.v1_calls import Connect, request_fault, rpc_error, serve
from quickpulse.wire.grpc.status import RpcError, Status
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request
from quickpulse.wire.v1.table import BY_NAME

MOST = 1_000

PULL = BY_NAME["pull"]


class ErrorTests(SynchronousTestCase):
    """Errors as statuses."""

    def test_fields(self) -> None:
        """The stable word, and after how long a retry may help, where it may."""
        error = rpc_error(NotFound("no such queue"))
        self.assertEqual((error.status, error.message), (Status.NOT_FOUND, "no such queue"))
        self.assertEqual(error.fields, [(b"quickpulse-reason", b"NOT_FOUND")])
        error = rpc_error(QueuePaused())
        self.assertEqual(error.status, Status.FAILED_PRECONDITION)
        self.assertIn((b"quickpulse-retry-after-ms", b"1000"), error.fields)

    def test_faults_of_a_call(self) -> None:
        """What gRPC itself finds wrong with a request has v1's words too."""
        traffic = Traffic()
        word_fault = request_fault(100, traffic)
        long = word_fault(RpcError(Status.RESOURCE_EXHAUSTED, "message of 5000 bytes"))
        self.assertEqual((long.status, long.fields[0][1]), (Status.INVALID_ARGUMENT, b"REQUEST_TOO_LARGE"))
        self.assertIn("100 bytes", long.message)
        none = word_fault(RpcError(Status.INTERNAL, "not one message"))
        self.assertEqual((none.status, none.fields[0][1]), (Status.INVALID_ARGUMENT, b"MALFORMED_REQUEST"))
        self.assertEqual(none.message, "not one message")
        self.assertEqual((traffic.errors_total["REQUEST_TOO_LARGE"], traffic.errors_total["MALFORMED_REQUEST"]), (1, 1))


class ServeTests(SynchronousTestCase):
    """One RPC."""

    def setUp(self) -> None:
        """Nothing is counted."""
        self.traffic = Traffic()

    def errors(self) -> dict[str, int]:
        """What was counted."""
        return {code: count for code, count in self.traffic.errors_total.items() if count}

    def serve(self, reply: Any, message: bytes | None = None) -> Any:
        """Pull, and let the broker answer so; an exception is raised."""

        def ask(request: Pull) -> Any:
            self.assertEqual(list(request.queues), ["q"])
            if isinstance(reply, Exception):
                raise reply
            return reply

        asked = PULL.request.serialize(Pull(("q",))) if message is None else message
        return serve(PULL, ask, asked, MOST, self.traffic)

    def assert_refused(self, status: Status, code: bytes, *arguments: Any) -> None:
        """It raises an RpcError with this."""
        error = self.assertRaises(RpcError, self.serve, *arguments)
        self.assertEqual((error.status, error.fields[0][1]), (status, code))

    def test_now(self) -> None:
        """Bytes."""
        reply = self.serve(Deliveries("q", Batch((b"a",)), 7))
        self.assertEqual(PULL.reply.form.parse(reply).first_receipt, 7)

    def test_later(self) -> None:
        """A Deferred of bytes."""
        waiting: Deferred = Deferred()
        result = self.serve(waiting)
        self.assertNoResult(result)
        waiting.callback(Deliveries("q"))
        self.assertEqual(PULL.reply.form.parse(self.successResultOf(result)).queue, "q")

    def test_refused(self) -> None:
        """What the broker says, now and later; of what is not ours only that the queue failed."""
        self.assert_refused(Status.NOT_FOUND, b"NOT_FOUND", NotFound("q"))
        self.assert_refused(Status.UNAVAILABLE, b"QUEUE_UNAVAILABLE", RuntimeError("secret"))
        waiting: Deferred = Deferred()
        result = self.serve(waiting)
        waiting.errback(RuntimeError("secret"))
        error = self.failureResultOf(result, RpcError).value
        self.assertEqual((error.status, "secret" in error.message), (Status.UNAVAILABLE, False))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertEqual(self.errors(), {"NOT_FOUND": 1, "QUEUE_UNAVAILABLE": 2})

    def test_a_reply_that_cannot_be_written(self) -> None:
        """The broker is wrong, now or later: an error, and not the silence of a client that waits."""
        wrong = Deliveries("q", first_receipt=-1)
        self.assert_refused(Status.INVALID_ARGUMENT, b"INVALID_ARGUMENT", wrong)
        waiting: Deferred = Deferred()
        result = self.serve(waiting)
        waiting.callback(wrong)
        self.failureResultOf(result, RpcError)

    def test_bytes_that_are_none(self) -> None:
        """Malformed, or too many of them: the broker is not asked."""
        self.assert_refused(Status.INVALID_ARGUMENT, b"MALFORMED_REQUEST", None, b"\xff\xff")
        self.assert_refused(Status.INVALID_ARGUMENT, b"REQUEST_TOO_LARGE", None, bytes(MOST + 1))
        self.assertEqual(self.errors(), {"MALFORMED_REQUEST": 1, "REQUEST_TOO_LARGE": 1})

    def test_a_caller_that_is_gone(self) -> None:
        """The broker hears of it; nothing is logged, and nothing counted: nobody is answered."""
        gone: list[Any] = []
        result = self.serve(Deferred(gone.append))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.errors(), {})
        self.assertEqual(len(gone), 1)


class FakeCall:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[list[tuple[int, Any]]] = []
        self.taken: list[int] = []
        self.ends: list[RpcError | None] = []
        self.held = HeldLeases()

    def send(self, frames: list[bytes], taken: int) -> None:
        """Together."""
        self.sent.append([read_reply(frame, BINARY) for frame in frames])
        self.taken.append(taken)

    push = send

    def close(self, error: RpcError | None = None) -> None:
        """Noted."""
        self.ends.append(error)


class ConnectTests(SynchronousTestCase):
    """A call over a memory broker."""

    def setUp(self) -> None:
        """Nothing was asked."""
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock, Broker())
        self.call = FakeCall()
        self.connect = Connect(self.call, self.broker, Traffic(), MOST)

    def ask(self, *requests: Any) -> None:
        """In one read, with ids from 1."""
        self.connect.messages(
            [write_request(number, request, BINARY) for number, request in enumerate(requests, start=1)]
        )

    def publish(self, *payloads: bytes) -> None:
        """By somebody else."""
        self.broker.publish(Publish("q", Batch(payloads)))
        self.clock.advance(0)

    def test_one_read(self) -> None:
        """What can be answered now goes together, with how many messages are gone from the queue."""
        self.publish(b"a", b"b", b"c")
        taking = Pull(("q",), max_messages=2, delivery=Delivery.TAKEN)
        self.ask(taking, GetQueue("nowhere"), Pull(("q",)), Pull(("other",), wait_ms=5_000))
        [replies] = self.call.sent
        self.assertEqual([number for number, _ in replies], [1, 2, 3])
        self.assertEqual((list(replies[0][1].batch.payloads), replies[1][1].code), ([b"a", b"b"], "NOT_FOUND"))
        self.assertEqual((replies[2][1].first_receipt > 0, self.call.taken), (True, [2]))

    def test_later(self) -> None:
        """What waited comes alone; what is pushed too."""
        self.ask(Pull(("q",), wait_ms=5_000, delivery=Delivery.TAKEN), Subscribe("other", 5))
        self.publish(b"a")
        self.assertEqual(self.call.sent[0], [(2, Subscribed())])
        self.assertEqual((self.call.sent[1][0][0], self.call.taken), (1, [0, 1]))

    def test_a_fault(self) -> None:
        """What came before it is answered, what waits is given up, what comes after is not looked at."""
        waiting = write_request(1, Pull(("q",), wait_ms=5_000), BINARY)
        publishing = write_request(2, Publish("q2", Batch((b"a",))), BINARY)
        for fault, code in ((b"\xff\xff", b"MALFORMED_REQUEST"), (bytes(MOST + 1), b"REQUEST_TOO_LARGE")):
            self.setUp()
            self.connect.messages([waiting, publishing, fault, publishing])
            self.assertEqual([[type(reply) for _, reply in replies] for replies in self.call.sent], [[PublishReply]])
            [error] = self.call.ends
            self.assertEqual((error.status, error.fields[0][1]), (Status.INVALID_ARGUMENT, code))
            self.assertEqual(self.broker.get_queue(GetQueue("q")).waiters, 0)

    def test_the_clients_end(self) -> None:
        """Each subscription's end is told, what waits is answered, then the call is closed."""
        self.ask(Pull(("q",), wait_ms=5_000), Subscribe("other", 5), Subscribe("another", 5))
        self.connect.ended()
        self.assertEqual(self.call.sent[-2:], [[(number, SubscriptionEnded())] for number in (2, 3)])
        self.assertEqual(self.call.ends, [])
        self.publish(b"a")
        self.assertEqual((self.call.sent[-1][0][0], self.call.ends), (1, [None]))

    def test_what_it_held(self) -> None:
        """At its end what a subscription held goes back, where it asked for that."""
        self.ask(Subscribe("q", 5, release_on_disconnect=True))
        self.publish(b"a")
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 1)
        self.connect.ended()
        self.assertEqual((self.broker.get_queue(GetQueue("q")).ready, self.call.ends), (1, [None]))

    def test_a_client_that_is_gone(self) -> None:
        """Nothing waits for it."""
        self.ask(Pull(("q",), wait_ms=5_000), Subscribe("q", 5))
        before = len(self.call.sent)
        self.connect.cancelled()
        self.publish(b"a")
        self.assertEqual((self.broker.get_queue(GetQueue("q")).ready, len(self.call.sent)), (1, before))

    def test_a_token_that_is_not_valid_any_more(self) -> None:
        """The call ends with that, and nothing waits for it; one that is over already is left alone."""
        self.ask(Pull(("q",), wait_ms=5_000), Subscribe("q", 5))
        self.connect.revoked(Unauthenticated())
        self.assertEqual([each.status for each in self.call.ends], [Status.UNAUTHENTICATED])
        self.connect.revoked(Unauthenticated())
        self.assertEqual(len(self.call.ends), 1)
        self.publish(b"a")
        self.assertEqual(self.broker.get_queue(GetQueue("q")).ready, 1)

    def test_a_client_that_does_not_read(self) -> None:
        """Nothing is pushed to it until it does."""
        self.ask(Subscribe("q", 5))
        self.connect.hold()
        self.publish(b"a")
        self.assertEqual(self.broker.get_queue(GetQueue("q")).ready, 1)
        self.connect.release()
        self.clock.advance(0)
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 1)
