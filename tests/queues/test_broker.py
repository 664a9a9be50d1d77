"""The broker's requests as users know them: order, time, administration, and who is woken."""

from __future__ import annotations

from typing import Any

from quickpulse.errors import InvalidArgument, NotFound, QueuePaused
from quickpulse.queues.broker import MOST_PULLED_QUEUES, Broker
from quickpulse.queues.framing import FRAME_BYTES, HEAD_BYTES
from quickpulse.queues.policies import LONGEST_LEASE_MS, MOST_RECEIPTS, Limits
from quickpulse.requests import (
    Action,
    Batch,
    DeleteQueue,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    Pull,
    Purge,
    Resume,
    SetPolicy,
)
from tests.queues.brokers import START_MS, BrokerTestCase


class PullTests(BrokerTestCase):
    """Taking messages out."""

    limits = Limits(max_batch_bytes=HEAD_BYTES + 1000)

    def test_nothing(self) -> None:
        """An empty reply of no queue; the queue is made."""
        got = self.pull()
        self.assertEqual((got.queue, list(got.batch.payloads), got.first_receipt), ("", [], 0))
        self.assert_where()

    def test_leased(self) -> None:
        """With receipts, the lease as granted, and nothing that was not asked for."""
        self.publish(b"a", b"b", b"c")
        got = self.pull(2)
        self.assertEqual(
            (got.queue, got.batch.payloads, got.first_receipt, got.lease_ms), ("q", [b"a", b"b"], 1000, 30_000)
        )
        self.assertEqual((got.delivery_counts, got.enqueued_at_ms, got.sequences), (None, None, None))
        self.assert_where(ready=1, leased=2)

    def test_taken(self) -> None:
        """Gone at once, without receipts."""
        self.publish(b"a", id="x")
        got = self.pull(delivery=Delivery.TAKEN, with_enqueued_at=True)
        self.assertEqual((got.first_receipt, got.lease_ms, got.enqueued_at_ms), (0, 0, [START_MS]))
        self.assertEqual(got.batch.common, Properties(id="x"))
        self.assert_where()
        self.assert_counts(published=1, delivered=1)

    def test_the_first_queue_that_has_one(self) -> None:
        """In the order of the request; all named before it are made."""
        self.publish(b"c", queue="c")
        self.publish(b"b", queue="b")
        got = self.broker.pull(Pull(("a", "b", "c")), self.now)
        self.assertEqual((got.queue, got.batch.payloads), ("b", [b"b"]))
        self.assertEqual(sorted(self.broker._directory.queues), ["a", "b", "c"])

    def test_zeros(self) -> None:
        """One message, the queue's lease, the frame's bound."""
        self.policy(lease_ms=77)
        self.publish(b"x" * 900, b"x" * 900)
        got = self.pull(0)
        self.assertEqual((len(got.batch.payloads), got.lease_ms), (1, 77))

    def test_max_bytes(self) -> None:
        """As many as fit, one at least; never more than a frame takes."""
        self.publish(*[b"x" * (100 - FRAME_BYTES)] * 30)
        self.assertEqual(len(self.payloads(30, max_bytes=250)), 2)
        self.assertEqual(len(self.payloads(30, max_bytes=1)), 1)
        self.assertEqual(len(self.payloads(30, max_bytes=1 << 40)), 10)
        self.publish(b"x" * 5000, priority=1)
        self.assertEqual(len(self.payloads(30)), 1)

    def test_bounds(self) -> None:
        """A lease is 12 hours at most, and a pull as long as one range of receipts."""
        self.publish(b"x")
        self.assertEqual(self.pull(lease_ms=1 << 40).lease_ms, LONGEST_LEASE_MS)
        broker = Broker(limits=Limits(max_batch_bytes=1 << 40))
        for _ in range(2):
            broker.publish(Publish("q", Batch([b""] * (MOST_RECEIPTS - 5))), 1)
        self.assertEqual(len(broker.pull(Pull(("q",), 1 << 31), 1).batch.payloads), MOST_RECEIPTS)

    def test_errors(self) -> None:
        """What makes no sense is refused, and nothing is taken."""
        self.publish(b"x")
        bad: list[dict[str, Any]] = [{"max_messages": -1}, {"max_bytes": -1}, {"lease_ms": -1}]
        for each in bad:
            self.assertRaises(InvalidArgument, self.broker.pull, Pull(("q",), **each), self.now)
        self.assertRaises(InvalidArgument, self.broker.pull, Pull(("a", "b", "no/name")), self.now)
        self.assertEqual(set(self.broker._directory.queues), {"q"})
        for queues in ((), "q", ["q"] * (MOST_PULLED_QUEUES + 1), ("$q",), ("",)):
            self.assertRaises(InvalidArgument, self.broker.pull, Pull(queues), self.now)
        self.assert_where(ready=1)

    def test_properties_of_one_batch_and_of_several(self) -> None:
        """What all have in common stays so; else each has its own."""
        self.publish(b"a", b"b", id="1")
        self.publish_each((b"c", Properties(id="2")))
        self.publish(b"d")
        batch = self.pull(2).batch
        self.assertEqual((batch.common, batch.properties), (Properties(id="1"), {}))
        self.later(30_000)
        batch = self.pull(9).batch
        self.assertEqual(batch.common, None)
        self.assertEqual({index: each.id for index, each in batch.properties.items()}, {0: "1", 1: "1", 2: "2"})

    def test_order(self) -> None:
        """By priority, then by sequence; what was delayed by its sequence when it is due."""
        self.publish(b"late", delay_ms=10)
        self.publish(b"a")
        self.publish(b"high", priority=9)
        self.publish(b"b")
        self.assertEqual(self.payloads(1), [b"high"])
        self.later(10)
        self.assertEqual(self.payloads(), [b"late", b"a", b"b"])


class TimeTests(BrokerTestCase):
    """What is due."""

    def test_deadlines(self) -> None:
        """The next of all queues; None when there is none."""
        self.assertIsNone(Broker().next_deadline())
        self.policy()
        self.assertIsNone(self.broker.next_deadline())
        self.publish(b"a", delay_ms=500)
        self.publish(b"b", ttl_ms=300)
        self.pull(lease_ms=200)
        self.assertEqual(self.broker.next_deadline(), START_MS + 200)
        self.assertEqual(self.later(200), START_MS + 300)
        self.assertEqual(self.later(100), START_MS + 500)
        self.assertIsNone(self.later(100 + 400))

    def test_each_thing_at_its_own_moment(self) -> None:
        """A late tick does what earlier ones would have done: a retry's delay is counted from the expiry."""
        self.policy(max_deliveries=2, lease_ms=100)
        self.publish(b"a", ttl_ms=150)
        self.pull()
        self.later(100_000)
        self.assertEqual(self.pull(queue="q.dead").dead_letters[0].reason, "time_to_live")
        self.assertEqual(self.named("q.dead").touched, self.now)

    def test_time_does_not_go_back(self) -> None:
        """An earlier moment counts as the latest."""
        self.publish(b"a", delay_ms=100)
        self.later(100)
        self.now -= 1000
        self.assertEqual(self.payloads(), [b"a"])
        self.publish(b"b")
        self.assertEqual(self.pull(with_enqueued_at=True).enqueued_at_ms, [START_MS + 100])

    def test_time_to_live_while_ready_or_delayed(self) -> None:
        """Gone, and counted."""
        self.publish(b"a", b"b", ttl_ms=50)
        self.publish(b"c", ttl_ms=50, delay_ms=60)
        self.assertEqual(self.payloads(1), [b"a"])
        self.later(49)
        self.assert_where(ready=1, leased=1, delayed=1)
        self.later(1)
        self.assert_where(leased=1)
        self.assertEqual(self.info().counts["void"], 2)

    def test_idle_queues_are_forgotten(self) -> None:
        """When they were empty and unwatched for a minute; not v0's, nor one with a policy, a pause, or messages."""
        for name in ("idle", "default", "held", "paused"):
            self.pull(queue=name)
        self.publish(b"x", queue="held")
        self.policy("policy")
        self.broker.pause(Pause("paused"), self.now)
        self.broker.watch("watched", print)
        self.later(59_999)
        self.assertEqual(self.info("idle").ready, 0)
        self.later(1)
        names = [info.name for info in self.broker.list_queues(ListQueues(), self.now).queues]
        self.assertEqual(names, ["default", "held", "paused", "policy", "watched"])
        self.payloads(queue="held", delivery=Delivery.TAKEN)
        self.broker.unwatch("watched", print)
        self.later(60_000)
        self.assertEqual(len(self.broker.list_queues(ListQueues(), self.now).queues), 3)


class AdministrationTests(BrokerTestCase):
    """Queues as a whole."""

    def test_not_found(self) -> None:
        """Only publish, pull, and set_policy make a queue."""
        for call, request in (
            (self.broker.get_queue, GetQueue("q")),
            (self.broker.pause, Pause("q")),
            (self.broker.resume, Resume("q")),
            (self.broker.purge, Purge("q")),
            (self.broker.delete_queue, DeleteQueue("q")),
            (self.broker.peek, Peek("q")),
        ):
            self.assertRaises(NotFound, call, request, self.now)
        self.assertRaises(InvalidArgument, self.broker.get_queue, GetQueue("no name"), self.now)

    def test_list(self) -> None:
        """By name, by prefix."""
        for name in ("b", "a1", "a2"):
            self.publish(b"x", queue=name)
        infos = self.broker.list_queues(ListQueues("a"), self.now).queues
        self.assertEqual([(info.name, info.ready) for info in infos], [("a1", 1), ("a2", 1)])

    def test_info(self) -> None:
        """What is told of a queue."""
        self.publish(b"abc")
        self.later(250)
        self.publish(b"de")
        info = self.info()
        self.assertEqual(
            (info.ready, info.size_bytes, info.oldest_ms, info.waiters, info.has_policy), (2, 5, 250, 0, False)
        )
        self.policy(capacity=7)
        self.assertEqual((self.info().policy.capacity, self.info().has_policy), (7, True))

    def test_a_bad_policy(self) -> None:
        """Changes nothing and makes no queue."""
        for policy in (Policy(capacity=0), Policy(dead_letter_queue="q")):
            self.assertRaises(InvalidArgument, self.broker.set_policy, SetPolicy("q", policy), self.now)
        self.assertRaises(NotFound, self.info)
        self.assertRaises(InvalidArgument, Broker, defaults=Policy(lease_ms=-1))

    def test_pause(self) -> None:
        """A pull finds nothing; what is leased can be settled."""
        self.publish(b"a", b"b")
        receipt = self.pull().first_receipt
        self.broker.pause(Pause("q"), self.now)
        self.assertEqual((self.payloads(), self.info().paused), ([], True))
        self.assertEqual(self.settle(receipt).settled, 1)
        self.broker.resume(Resume("q"), self.now)
        self.assertEqual(self.payloads(), [b"b"])

    def test_purge(self) -> None:
        """What is ready or delayed; leases stay with who has them."""
        self.publish(b"a", b"b", id="x")
        self.publish_each((b"c", Properties(priority=2)), (b"d", Properties(delay_ms=10)))
        self.publish(b"e", ttl_ms=20)
        receipt = self.pull().first_receipt
        self.assertEqual(self.broker.purge(Purge("q"), self.now).messages, 4)
        self.assert_where(leased=1)
        self.assertEqual(self.info().size_bytes, 1)
        self.later(100)
        self.assertEqual(self.settle(receipt).settled, 1)
        self.assertEqual((self.named().size_bytes, self.broker._directory.usage.used, self.named().extras), (0, 0, {}))

    def test_delete(self) -> None:
        """With all that is in it, and who watches it; a new one of that name begins anew."""
        woken: list[int] = []
        self.publish(b"a", b"b")
        self.publish(b"c", delay_ms=10)
        self.pull()
        self.broker.watch("q", lambda: woken.append(1))
        self.assertEqual(self.broker.delete_queue(DeleteQueue("q"), self.now).messages, 3)
        self.assertEqual(self.broker._directory.usage.used, 0)
        self.assertRaises(NotFound, self.info)
        self.later(60_000)
        self.assertEqual(self.publish(b"d").sequences, ((1, 1),))
        self.assertEqual((woken, self.info().waiters), ([], 0))

    def test_peek(self) -> None:
        """The next messages as they are, however often; nothing changes."""
        self.publish(b"a", b"b")
        self.settle(self.pull().first_receipt)
        self.publish(b"c", priority=1, id="x")
        for _ in range(2):
            got = self.broker.peek(Peek("q", 5), self.now)
            self.assertEqual((got.batch.payloads, got.sequences, got.delivery_counts), ([b"c", b"b"], [3, 2], [0, 0]))
            self.assertEqual((got.first_receipt, got.enqueued_at_ms), (0, [START_MS] * 2))
        self.assertEqual(self.broker.peek(Peek("q"), self.now).batch.payloads, [b"c"])
        self.assertEqual(self.broker.peek(Peek("q", 5, 1), self.now).batch.payloads, [b"c"])
        self.assertEqual(self.broker.peek(Peek("q", 5, 200), self.now).batch.payloads, [b"c", b"b"])
        self.assert_where(ready=2)
        self.pull(5)
        self.assertEqual(self.broker.peek(Peek("q"), self.now).batch.payloads, ())

    def test_server_info(self) -> None:
        """Limits that bound, by name."""
        broker = Broker(limits=Limits(max_queues=3), instance="i", version="1.2")
        info = broker.get_server_info(GetServerInfo(), 1)
        self.assertEqual((info.version, info.instance, info.limits["max_queues"]), ("1.2", "i", 3))
        self.assertEqual((info.limits["capacity"], "total_bytes" in info.limits), (1_000_000, False))
        self.assertIn("leases", info.capabilities)


class WatchTests(BrokerTestCase):
    """Who waits is told when messages have become ready."""

    def setUp(self) -> None:
        """Somebody watches q."""
        super().setUp()
        self.woken = 0
        self.broker.watch("q", self.wake)

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    def assert_woken(self, times: int = 1) -> None:
        """Since the last look."""
        self.assertEqual(self.woken, times)
        self.woken = 0

    def test_publish(self) -> None:
        """Once for a batch; not for what is delayed or rejected, nor for another queue."""
        self.publish(b"a", b"b")
        self.assert_woken()
        self.publish_each((b"c", Properties(priority=1)), (b"d", Properties(delay_ms=5)))
        self.assert_woken()
        self.publish(b"e", delay_ms=10)
        self.publish(b"f", queue="other")
        self.publish(b"g", priority=10)
        self.assert_woken(0)

    def test_due_and_expired(self) -> None:
        """By a tick, and by any other call."""
        self.publish(b"e", delay_ms=10)
        self.later(10)
        self.assert_woken()
        self.pull(lease_ms=10)
        self.now += 10
        self.publish(b"x", queue="other")
        self.assert_woken()

    def test_by_a_call_that_asks_for_something_else(self) -> None:
        """Whatever the call, and also when it is refused."""
        self.publish(b"x", queue="other")
        self.broker.pause(Pause("other", publishes=True), self.now)
        for call in (
            lambda: self.pull(queue="another"),
            lambda: self.info("other"),
            lambda: self.assertRaises(QueuePaused, self.publish, b"y", queue="other"),
            lambda: self.assertRaises(NotFound, self.info, "nowhere"),
        ):
            self.publish(b"late", delay_ms=10)
            self.assert_woken(0)
            self.now += 10
            call()
            self.assert_woken()

    def test_returned_and_resumed(self) -> None:
        """A release; a resume of what is ready."""
        self.publish(b"a")
        self.woken = 0
        self.settle(self.pull().first_receipt, action=Action.RELEASE)
        self.assert_woken()
        self.broker.pause(Pause("q"), self.now)
        self.publish(b"b")
        self.assert_woken(0)
        self.broker.resume(Resume("q"), self.now)
        self.assert_woken()

    def test_at_the_end_of_the_call(self) -> None:
        """Who is woken may call the broker."""
        got: list[bytes] = []
        self.broker.watch("q", lambda: got.extend(self.payloads(delivery=Delivery.TAKEN)))
        self.publish(b"a", b"b")
        self.assertEqual(got, [b"a", b"b"])

    def test_unwatch(self) -> None:
        """No more; a second time, or of a queue that is gone, is nothing."""
        self.broker.unwatch("q", self.wake)
        self.broker.unwatch("q", self.wake)
        self.broker.unwatch("nowhere", self.wake)
        self.publish(b"a")
        self.assert_woken(0)
