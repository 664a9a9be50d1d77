"""v0's view of a queue of the broker, beyond the contract: what v1 does to the same queue, and time."""

from __future__ import annotations

from typing import Any

from quickpulse.errors import QueueFull
from quickpulse.messages import Message
from quickpulse.queues.named import MESSAGE_BYTES
from quickpulse.queues.policies import Limits
from quickpulse.requests import Action, DeleteQueue, Overflow, Pause, Properties, Resume
from tests.queues.brokers import START_MS, BrokerTestCase


class PlainQueueTests(BrokerTestCase):
    """One queue, used by both."""

    limits = Limits(total_bytes=20 * (MESSAGE_BYTES + 10))

    def setUp(self) -> None:
        """Nothing in it; the clock is the broker's."""
        super().setUp()
        self.plain = self.broker.queue("q", lambda: self.now / 1000)

    def test_v1_takes_what_v0_put(self) -> None:
        """With its moment; an id goes along."""
        self.plain.enqueue_many([b"a", b"b"])
        self.now += 7
        self.plain.enqueue(b"c")
        self.plain.enqueue(Message(b"d", "name"))
        got = self.pull(9, with_enqueued_at=True)
        self.assertEqual(got.batch.payloads, [b"a", b"b", b"c", b"d"])
        self.assertEqual(got.enqueued_at_ms, [START_MS, START_MS, START_MS + 7, START_MS + 7])
        self.assertEqual(got.batch.properties, {3: Properties(id="name")})

    def test_v0_takes_what_v1_put(self) -> None:
        """In v1's order, as bytes."""
        self.publish(b"a", id="x")
        self.publish(b"b", priority=9)
        self.publish(b"c", delay_ms=10)
        self.assertEqual((self.plain.depth, self.plain.dequeue_many(9)), (3, [b"b", b"a"]))
        self.later(10)  # v0 does not look at the time itself to take
        self.assertEqual(self.plain.dequeue(), b"c")
        self.assert_counts(published=3, delivered=3)

    def test_the_short_ways_come_back(self) -> None:
        """When nothing is left that they do not look at."""
        self.publish(b"a", priority=1)
        self.plain.enqueue(b"b")
        self.assertTrue(self.named().is_slow)
        self.plain.dequeue_many(9)
        self.assertFalse(self.named().is_slow)
        self.assertEqual(self.plain.exchange_many([b"c"]), [b"c"])

    def test_what_v1_holds_takes_room(self) -> None:
        """Leased messages count for the capacity, and come back."""
        self.policy(capacity=2)
        self.plain.enqueue_many([b"a", b"b"])
        receipt = self.pull().first_receipt
        self.assertRaises(QueueFull, self.plain.enqueue, b"c")
        self.assertEqual(self.plain.exchange_many([b"c"]), [b"b"])
        self.settle(receipt, action=Action.RELEASE)
        self.assertEqual(self.plain.dequeue_many(9), [b"a", b"c"])

    def test_pauses(self) -> None:
        """Deliveries: as if empty. Publishes: as if full."""
        self.plain.enqueue(b"a")
        self.broker.pause(Pause("q"), self.now)
        self.assertEqual((self.plain.dequeue_many(1), self.plain.exchange_many([b"b"])), ([], []))
        self.assertEqual(self.plain.enqueue_many([b"c"]), 1)
        self.broker.pause(Pause("q", publishes=True), self.now)
        self.assertEqual(self.plain.enqueue_many([b"d"]), 0)
        self.broker.resume(Resume("q"), self.now)
        self.assertEqual(self.plain.dequeue_many(9), [b"a", b"c"])

    def test_the_servers_bound(self) -> None:
        """Of all queues; an exchange of the same size works at it."""
        self.publish(*[b"0123456789"] * 18, queue="other")
        self.assertEqual(self.plain.enqueue_many([b"0123456789"] * 5), 2)
        self.assertRaises(QueueFull, self.plain.enqueue, b"")
        self.assertEqual(self.plain.exchange_many([b"abcdefghij"]), [b"0123456789"])
        self.assertEqual(self.plain.exchange_many([b"abcdefghij+"]), [])

    def test_drop_oldest(self) -> None:
        """Also for v0."""
        self.policy(capacity=2, overflow=Overflow.DROP_OLDEST)
        self.assertEqual(self.plain.enqueue_many([b"a", b"b", b"c"]), 3)
        self.assertEqual(self.plain.dequeue_many(9), [b"b", b"c"])

    def test_who_waits_is_woken(self) -> None:
        """By what v0 puts in."""
        woken: list[int] = []
        self.broker.watch("q", lambda: woken.append(1))
        self.plain.enqueue(b"a")
        self.plain.enqueue_many([b"b", b"c"])
        self.assertEqual(len(woken), 2)

    def test_a_queue_that_was_deleted(self) -> None:
        """Is made anew by the next call; nothing goes into the old one."""
        self.plain.enqueue(b"a")
        self.broker.delete_queue(DeleteQueue("q"), self.now)
        self.assertEqual(self.plain.dequeue_many(1), [])
        self.broker.delete_queue(DeleteQueue("q"), self.now)
        self.plain.enqueue(b"b")
        self.assertEqual(self.payloads(), [b"b"])

    def test_a_queue_that_v1_made_anew(self) -> None:
        """Is the one that v0 tells of."""
        self.plain.enqueue(b"a")
        self.broker.delete_queue(DeleteQueue("q"), self.now)
        self.publish(b"b", b"c")
        self.policy(capacity=9)
        statistics: Any = self.plain.statistics()
        self.assertEqual((self.plain.depth, self.plain.capacity), (2, 9))
        self.assertEqual((statistics.depth, statistics.enqueued), (2, 2))

    def test_moments_over_a_gap(self) -> None:
        """Within one millisecond v1 takes the lane apart; what v0 puts in next has a moment all the same."""
        self.plain.enqueue(b"a")
        self.plain.dequeue_many(1)
        self.publish(b"b", priority=1)
        self.plain.dequeue_many(1)
        self.plain.enqueue(b"c")
        self.assertEqual(self.pull(with_enqueued_at=True).enqueued_at_ms, [START_MS])

    def test_statistics(self) -> None:
        """In v0's words."""
        self.plain.enqueue_many([b"a", b"bc"])
        self.plain.dequeue()
        now: Any = self.plain.statistics()
        self.assertEqual((now.depth, now.size_bytes, now.enqueued, now.dequeued, now.refused), (1, 2, 2, 1, 0))
        self.assertEqual((now.capacity, now.capacity_bytes), (1_000_000, None))
