"""A v1 session: every request gets its reply, and what was open goes with the connection."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import (
    Draining,
    InvalidArgument,
    NotFound,
    QueueUnavailable,
    QuickPulseError,
    RequestTooLarge,
    TooManyRequests,
)
from quickpulse.metrics.traffic import Traffic
from quickpulse.requests import (
    Batch,
    Credit,
    Deliveries,
    GetQueue,
    Publish,
    PublishReply,
    Pull,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
    Unsubscribe,
)
from quickpulse.transports.v1_session import MOST_OPEN, Session, taken_in

PUBLISH = Publish("q", Batch((b"x",)))

PUBLISHED = PublishReply(((1, 1),))

DELIVERIES = Deliveries("q", Batch((b"x",)), 7)


class FakeSubscription:
    """Notes what is asked of it."""

    def __init__(self, deliver: Any, ended: Any) -> None:
        self.deliver = deliver
        self.ended = ended
        self.calls: list[Any] = []
        self.is_holding = True

    def add_credit(self, messages: int, size_bytes: int = 0) -> None:
        """Noted; some is too much."""
        if messages > 1000:
            raise InvalidArgument("too much")
        self.calls.append((messages, size_bytes))

    def hold(self) -> None:
        """Noted."""
        self.calls.append("hold")

    def release(self) -> None:
        """Noted."""
        self.calls.append("release")

    def holds(self) -> bool:
        """As the test says."""
        return self.is_holding

    def lost(self) -> int:
        """Noted; nothing went back."""
        self.calls.append("lost")
        return 0

    def end(self, error: QuickPulseError | None = None) -> None:
        """Noted, and told."""
        self.calls.append("end")
        self.ended(error)


class FakeBroker:
    """Publishing answers at once, a pull when the test wants it."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.pulls: list[Deferred] = []
        self.cancelled = 0
        self.subscriptions: list[FakeSubscription] = []
        self.error: Exception | None = None

    def publish(self, request: Publish) -> PublishReply:
        """At once."""
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return PUBLISHED

    def get_queue(self, request: GetQueue) -> Any:
        """Never there."""
        raise NotFound("no such queue")

    def pull(self, request: Pull) -> Deferred:
        """Later."""

        def cancel(_: Deferred) -> None:
            self.cancelled += 1

        self.pulls.append(Deferred(cancel))
        return self.pulls[-1]

    def subscribe(self, request: Subscribe, deliver: Any, ended: Any) -> FakeSubscription:
        """From now on."""
        if self.error is not None:
            raise self.error
        self.subscriptions.append(FakeSubscription(deliver, ended))
        return self.subscriptions[-1]


class SessionTests(SynchronousTestCase):
    """A session over a fake broker; its frames are kept."""

    def setUp(self) -> None:
        """Nothing was asked yet."""
        self.broker = FakeBroker()
        self.sent: list[tuple[int, Any]] = []
        self.traffic = Traffic()
        self.session = Session(
            self.broker, lambda request_id, reply: self.sent.append((request_id, reply)), self.traffic
        )

    def errors(self) -> list[tuple[int, str]]:
        """The codes of the errors that were sent."""
        return [(request_id, reply.code) for request_id, reply in self.sent if isinstance(reply, QuickPulseError)]

    def test_a_reply_at_once(self) -> None:
        """With the id of its request, which may be used again."""
        for _ in range(2):
            self.session.request(5, PUBLISH)
        self.assertEqual(self.sent, [(5, PUBLISHED)] * 2)
        self.assertEqual(self.broker.requests, [PUBLISH] * 2)

    def test_a_reply_later(self) -> None:
        """It holds up none."""
        self.session.request(1, Pull(("q",)))
        self.session.request(2, PUBLISH)
        self.assertFalse(self.session.is_quiet)
        self.broker.pulls[0].callback(DELIVERIES)
        self.assertEqual(self.sent, [(2, PUBLISHED), (1, DELIVERIES)])
        self.assertTrue(self.session.is_quiet)

    def test_errors(self) -> None:
        """Of the codec, of the broker, now and later; of what is not ours only that it failed."""
        self.session.request(1, RequestTooLarge("5 MiB"))
        self.session.request(2, GetQueue("q"))
        self.session.request(3, Pull(("q",)))
        self.broker.pulls[0].errback(Draining())
        self.broker.error = RuntimeError("secret")
        self.session.request(4, PUBLISH)
        self.session.request(5, Subscribe("q", 1))
        self.assertEqual(
            self.errors(),
            [
                (1, "REQUEST_TOO_LARGE"),
                (2, "NOT_FOUND"),
                (3, "DRAINING"),
                (4, QueueUnavailable.code),
                (5, QueueUnavailable.code),
            ],
        )
        self.assertNotIn("secret", str(self.sent[-1][1]))
        counted = {code: count for code, count in self.traffic.errors_total.items() if count}
        self.assertEqual(counted, Counter(code for _, code in self.errors()))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_a_reply_that_fits_into_no_frame(self) -> None:
        """Now, later, or pushed: the client hears that the broker failed, and others are served."""

        def send(request_id: int, reply: Any) -> None:
            if reply == "wrong":
                raise TypeError("no frame has a str")
            self.sent.append((request_id, reply))

        session = Session(self.broker, send, self.traffic)
        self.patch(self.broker, "get_queue", lambda request: "wrong")
        session.request(1, GetQueue("q"))
        session.request(2, Pull(("q",)))
        self.broker.pulls[0].callback("wrong")
        session.request(3, Subscribe("q", 1))
        self.broker.subscriptions[0].deliver("wrong")
        self.assertEqual(self.errors(), [(number, QueueUnavailable.code) for number in (1, 2, 3)])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 3)

    def test_ids(self) -> None:
        """0, and those that are open, are refused; what is open goes on."""
        self.session.request(0, PUBLISH)
        self.session.request(1, Pull(("q",)))
        self.session.request(1, PUBLISH)
        self.session.request(2, Subscribe("q", 1))
        self.session.request(2, Pull(("q",)))
        self.assertEqual(self.errors(), [(0, "INVALID_ARGUMENT"), (1, "INVALID_ARGUMENT"), (2, "INVALID_ARGUMENT")])
        self.broker.pulls[0].callback(DELIVERIES)
        self.assertEqual(self.sent[-1], (1, DELIVERIES))
        self.assertEqual(len(self.broker.pulls), 1)

    def test_too_many_open(self) -> None:
        """One more is refused until another is answered."""
        for request_id in range(1, MOST_OPEN):
            self.session.request(request_id, Pull(("q",)))
        self.session.request(MOST_OPEN, Subscribe("q", 1))
        self.session.request(MOST_OPEN + 1, Pull(("q",)))
        self.session.request(MOST_OPEN + 2, PUBLISH)
        self.assertEqual(self.errors(), [(MOST_OPEN + at, TooManyRequests.code) for at in (1, 2)])
        self.broker.pulls[0].callback(DELIVERIES)
        self.session.request(MOST_OPEN + 1, PUBLISH)
        self.assertEqual(self.sent[-1], (MOST_OPEN + 1, PUBLISHED))

    def test_a_subscription(self) -> None:
        """Answered at once, then deliveries with its id, then its end."""
        self.session.request(3, Subscribe("q", 10))
        it = self.broker.subscriptions[0]
        it.deliver(DELIVERIES)
        self.session.request(9, Credit(3, 5, 50))
        self.session.request(9, Credit(4, 5))
        self.session.request(9, Unsubscribe(4))
        self.session.request(9, Unsubscribe(3))
        self.session.request(9, Unsubscribe(3))
        self.assertEqual(self.sent, [(3, Subscribed()), (3, DELIVERIES), (3, SubscriptionEnded())])
        self.assertEqual(it.calls, [(5, 50), "end"])

    def test_a_subscription_that_the_broker_ends(self) -> None:
        """The reason is told; its id is free again."""
        self.session.request(3, Subscribe("q", 10))
        self.broker.subscriptions[0].ended(Draining())
        self.assertEqual(self.sent[-1][1].error.code, "DRAINING")
        self.session.request(3, PUBLISH)
        self.assertEqual(self.sent[-1], (3, PUBLISHED))

    def test_too_much_credit(self) -> None:
        """It ends the subscription, told once."""
        self.session.request(3, Subscribe("q", 10))
        self.session.request(4, Credit(3, 1001))
        self.assertEqual([request_id for request_id, _ in self.sent], [3, 3])
        self.assertEqual(self.sent[-1][1].error.code, "INVALID_ARGUMENT")
        self.assertEqual(self.broker.subscriptions[0].calls, ["end"])

    def test_a_peer_that_does_not_read(self) -> None:
        """Its subscriptions rest, also a new one."""
        self.session.request(1, Subscribe("q", 1))
        self.session.hold()
        self.session.request(2, Subscribe("q", 1))
        self.session.release()
        self.assertEqual([it.calls for it in self.broker.subscriptions], [["hold", "release"]] * 2)

    def test_nothing_more_is_wanted(self) -> None:
        """Each subscription's end is told; what waits is still answered."""
        self.session.request(1, Pull(("q",)))
        self.session.request(2, Subscribe("q", 1))
        self.session.unsubscribe_all()
        self.assertEqual(self.sent[-1], (2, SubscriptionEnded()))
        self.broker.pulls[0].callback(DELIVERIES)
        self.assertEqual(self.sent[-1], (1, DELIVERIES))

    def test_what_an_ended_subscription_holds(self) -> None:
        """It is told of the connection's end, too, where what it holds is to go back then."""
        for request_id, returns in ((1, True), (2, False), (3, True)):
            self.session.request(request_id, Subscribe("q", 1, release_on_disconnect=returns))
        self.session.request(9, Unsubscribe(1))
        self.session.request(9, Unsubscribe(2))
        self.session.request(9, Credit(3, 1001))
        self.session.lost()
        self.session.lost()
        self.assertEqual([it.calls for it in self.broker.subscriptions], [["end", "lost"], ["end"], ["end", "lost"]])

    def test_many_ended_subscriptions(self) -> None:
        """Each that holds something is told, however many; those that hold nothing are forgotten."""
        for request_id in range(1, 3 * MOST_OPEN):
            self.session.request(request_id, Subscribe("q", 1, release_on_disconnect=True))
            self.broker.subscriptions[-1].is_holding = request_id % 2 == 0
            self.session.request(request_id, Unsubscribe(request_id))
        self.session.lost()
        told = [it for it in self.broker.subscriptions if "lost" in it.calls]
        self.assertTrue(all(it in told for it in self.broker.subscriptions if it.is_holding))
        self.assertLess(len(told), 2.5 * MOST_OPEN)

    def test_the_connection_ends(self) -> None:
        """What waits is cancelled, what is pushed ends, and nothing is sent any more."""
        self.session.request(1, Pull(("q",)))
        self.session.request(2, Subscribe("q", 1))
        before = list(self.sent)
        self.session.lost()
        self.session.lost()
        self.broker.subscriptions[0].ended(Draining())
        self.assertEqual(self.broker.cancelled, 1)
        self.assertEqual(self.broker.subscriptions[0].calls, ["lost"])
        self.assertEqual(self.sent, before)

    def test_idle(self) -> None:
        """Nothing is open: neither a request nor a subscription."""
        self.assertTrue(self.session.is_idle)
        self.session.request(1, Subscribe("q", 1))
        self.assertEqual((self.session.is_quiet, self.session.is_idle), (True, False))
        self.session.request(2, Unsubscribe(1))
        self.assertTrue(self.session.is_idle)
        self.session.request(3, Pull(("q",)))
        self.assertEqual((self.session.is_quiet, self.session.is_idle), (False, False))


class TakenTests(SynchronousTestCase):
    """taken_in."""

    def test_kinds_of_replies(self) -> None:
        """Leased messages, and those that were looked at, are still in their queue."""
        batch = Batch((b"a", b"b"))
        replies = (Deliveries("q", batch), Deliveries("q", batch, 7), Deliveries("q", batch, sequences=[1, 2]), [])
        self.assertEqual([taken_in(reply) for reply in replies], [2, 0, 0, 0])
