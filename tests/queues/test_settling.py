"""What consumers say of messages, one behaviour each."""

from __future__ import annotations

from typing import Any

from quickpulse.errors import InvalidArgument, NoDeadLetterQueue, NotFound
from quickpulse.queues.policies import LONGEST_LEASE_MS
from quickpulse.queues.settling import LONGEST_REASON
from quickpulse.requests import UNBOUNDED, Action, DeadLetter, Settle
from tests.queues.brokers import BrokerTestCase


class SettleTests(BrokerTestCase):
    """Of one queue."""

    def leased(self, *payloads: bytes, **properties: Any) -> int:
        """The receipt of the first of messages that were published and pulled."""
        self.publish(*payloads, **properties)
        return self.pull(len(payloads)).first_receipt

    def test_ack(self) -> None:
        """Gone for good, room included."""
        receipt = self.leased(b"abc", id="five")
        self.assertEqual(self.info().size_bytes, 7)
        self.assertEqual(self.settle(receipt).settled, 1)
        self.assertEqual((self.info().size_bytes, self.broker._directory.usage.used), (0, 0))
        self.assert_counts(published=1, delivered=1, acked=1)

    def test_nack_at_once(self) -> None:
        """Back to its place, counted."""
        receipt = self.leased(b"a")
        self.publish(b"b")
        self.settle(receipt, action=Action.NACK, delay_ms=0)
        got = self.pull(2)
        self.assertEqual((list(got.batch.payloads), got.delivery_counts), ([b"a", b"b"], [2, 1]))
        self.assert_counts(published=2, delivered=3, nacked=1, redelivered=1)

    def test_nack_with_delay(self) -> None:
        """Ready when it is due, at its place by sequence."""
        receipt = self.leased(b"a")
        self.publish(b"b")
        self.settle(receipt, action=Action.NACK, delay_ms=50)
        self.assert_where(ready=1, delayed=1)
        self.assertEqual(self.broker.next_deadline(), self.now + 50)
        self.later(50)
        self.assertEqual(self.payloads(), [b"a", b"b"])

    def test_retry_delays(self) -> None:
        """By how often it was delivered; the last repeats."""
        self.policy(retry_delays_ms=(0, 30, 70))
        self.publish(b"a")
        for delay in (0, 30, 70, 70):
            self.settle(self.pull().first_receipt, action=Action.NACK)
            if delay:
                self.later(delay - 1)
                self.assert_where(delayed=1)
                self.later(1)
            self.assert_where(ready=1)

    def test_release(self) -> None:
        """Back as if it had not been delivered."""
        receipt = self.leased(b"a")
        self.settle(receipt, action=Action.RELEASE)
        self.assertIsNone(self.pull().delivery_counts)
        self.assert_counts(published=1, delivered=2, released=1)

    def test_max_deliveries_by_nack(self) -> None:
        """The last failure makes a dead letter, with what is known of it."""
        self.policy(max_deliveries=2, retry_delays_ms=())
        self.publish(b"a", id="x")
        for _ in range(2):
            self.settle(self.pull().first_receipt, action=Action.NACK)
        self.assert_where()
        got = self.pull(queue="q.dead", with_enqueued_at=True)
        self.assertEqual(got.dead_letters, {0: DeadLetter("q", "max_deliveries", 2)})
        self.assertEqual((got.batch.payloads, got.batch.common.id, got.delivery_counts), ([b"a"], "x", None))

    def test_max_deliveries_by_expiry(self) -> None:
        """Likewise; a release does not count."""
        self.policy(max_deliveries=1, lease_ms=100)
        receipt = self.leased(b"a")
        self.settle(receipt, action=Action.RELEASE)
        self.pull()
        self.later(100)
        self.assert_where(ready=1, queue="q.dead")
        self.assert_counts(published=1, delivered=2, released=1, expired=1, dead_lettered=1)
        self.assert_counts(queue="q.dead")

    def test_dead_letter(self) -> None:
        """With the consumer's reason, or a word of ours."""
        receipt = self.leased(b"a", b"b")
        self.settle(receipt, action=Action.DEAD_LETTER, reason="unreadable")
        self.settle(receipt + 1, action=Action.DEAD_LETTER)
        letters = self.pull(2, "q.dead").dead_letters
        self.assertEqual([letters[index].reason for index in (0, 1)], ["unreadable", "dead_letter"])

    def test_the_end_of_dead_letters(self) -> None:
        """A dead-letter queue has no bound of deliveries, and no dead letters, unless its policy says where."""
        self.settle(self.leased(b"a"), action=Action.DEAD_LETTER)
        self.policy("q.dead", max_deliveries=1)
        for _ in range(3):
            self.settle(self.pull(queue="q.dead").first_receipt, action=Action.NACK, queue="q.dead", delay_ms=0)
        receipt = self.pull(queue="q.dead").first_receipt
        self.assertRaises(NoDeadLetterQueue, self.settle, receipt, action=Action.DEAD_LETTER, queue="q.dead")
        self.policy("q.dead", dead_letter_queue="graves")
        self.settle(receipt, action=Action.DEAD_LETTER, queue="q.dead", reason="again")
        self.assertEqual(self.pull(queue="graves").dead_letters, {0: DeadLetter("q.dead", "again", 4)})

    def test_the_move_never_fails(self) -> None:
        """A full dead-letter queue takes one more, and so does a server that may have no more queues."""
        self.policy("q.dead", capacity=1, capacity_bytes=1)
        self.publish(b"full", queue="q.dead")
        self.settle(self.leased(b"abc"), action=Action.DEAD_LETTER)
        self.assertEqual(self.info("q.dead").ready, 1)

    def test_errors(self) -> None:
        """What is not valid changes nothing."""
        receipt = self.leased(b"a")
        self.assertRaises(NotFound, self.settle, receipt, queue="nowhere")
        for ranges in ([(2, 1)], [(0, 1)], [(1, 100_001)], [(1, 60_000), (1, 60_000)], [(-5, -1)]):
            self.assertRaises(InvalidArgument, self.broker.settle, Settle("q", ranges), self.now)
        for more in (
            {"delay_ms": -1},
            {"lease_ms": -1},
            {"lease_ms": (1 << 62) + 1},
            {"reason": "x" * (LONGEST_REASON + 1)},
        ):
            self.assertRaises(InvalidArgument, self.settle, receipt, action=Action.NACK, **more)
        self.assert_where(leased=1)

    def test_as_long_as_can_be(self) -> None:
        """A lease that is extended by more is cut, as one that is pulled."""
        receipt = self.leased(b"a")
        self.assertEqual(self.settle(receipt, action=Action.EXTEND, lease_ms=UNBOUNDED).settled, 1)
        self.later(LONGEST_LEASE_MS - 1)
        self.assert_where(leased=1)
        self.later(1)
        self.assert_where(ready=1)

    def test_expired_before_it_is_settled(self) -> None:
        """A call sees what was due, also where nobody ticked."""
        self.publish(b"a")
        receipt = self.pull(lease_ms=100).first_receipt
        self.now += 100
        self.assertEqual(self.settle(receipt).unknown, ((receipt, receipt),))
        self.assert_where(ready=1)

    def test_time_to_live(self) -> None:
        """Never ends a lease, and ends what comes back after it."""
        receipt = self.leased(b"a", ttl_ms=50)
        self.later(60)
        self.assert_where(leased=1)
        self.settle(receipt, action=Action.NACK, delay_ms=0)
        self.assert_where()
        self.assert_counts(published=1, delivered=1, nacked=1, void=1)
        self.assertEqual(self.settle(self.leased(b"b", ttl_ms=50)).settled, 1)
