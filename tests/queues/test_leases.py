"""All leases: found by receipt, of one queue only, and forgotten."""

from __future__ import annotations

from quickpulse.queues.leases import LEAST_SWEPT
from quickpulse.requests import Action, DeleteQueue, Settle
from tests.queues.brokers import BrokerTestCase


class LeasesTests(BrokerTestCase):
    """Receipts over several queues."""

    def ack(self, first: int, last: int, queue: str = "q"):
        """A range."""
        return self.broker.settle(Settle(queue, ((first, last),)), self.now)

    def test_a_range_over_blocks_of_others(self) -> None:
        """Only what the queue has is settled; the rest is told in order."""
        for queue in ("q", "other"):
            self.publish(*[b"x"] * 60, queue=queue)
        self.assertEqual(self.pull(20).first_receipt, 1000)
        self.assertEqual(self.pull(20, "other").first_receipt, 1020)
        self.assertEqual(self.pull(20).first_receipt, 1040)
        reply = self.ack(990, 1070)
        self.assertEqual((reply.settled, reply.unknown), (40, ((990, 999), (1020, 1039), (1060, 1070))))
        self.assertEqual(self.info("other").leased, 20)
        self.assertEqual(self.ack(1000, 1070).unknown, ((1000, 1070),))

    def test_parts(self) -> None:
        """Settled twice is unknown, message by message."""
        self.publish(*[b"x"] * 20)
        self.pull(20)
        self.assertEqual(self.ack(1005, 1006).settled, 2)
        reply = self.ack(1004, 1008)
        self.assertEqual((reply.settled, reply.unknown), (3, ((1005, 1006),)))
        self.assertEqual(self.ack(1000, 1019).settled, 15)
        self.assert_where()

    def test_before_any_was_given(self) -> None:
        """All are unknown."""
        self.publish(b"x")
        self.assertEqual(self.ack(1, 100_000).unknown, ((1, 100_000),))

    def test_settled_blocks_do_not_pile_up(self) -> None:
        """Of thousands, few are kept."""
        self.publish(b"held", *[b"x"] * 20_000)
        held = self.pull().first_receipt
        for _ in range(800):
            first = self.pull(20).first_receipt
            self.assertEqual(self.ack(first, first + 19).settled, 20)
        self.assertLess(len(self.broker._leases._blocks), 2 * LEAST_SWEPT)
        self.assertLess(len(self.broker._agenda), 200)
        self.assertEqual(self.ack(held, held).settled, 1)

    def test_a_deleted_queue(self) -> None:
        """Its receipts are unknown to the next one of that name, and nothing comes back."""
        self.publish(*[b"x"] * 20)
        first = self.pull(20).first_receipt
        self.assertEqual(self.broker.delete_queue(DeleteQueue("q"), self.now).messages, 20)
        self.publish(b"new")
        self.assertEqual(self.ack(first, first + 19).settled, 0)
        self.later(100_000)
        self.assertEqual(self.payloads(), [b"new"])

    def test_to_delete_a_queue_costs_what_is_in_it(self) -> None:
        """The leases of others are not looked at, until most of all are of queues that are gone."""
        for queue in ("q", *map(str, range(100))):
            self.publish(*[b"x"] * 40, queue=queue)
            self.pull(20, queue)
        index = self.broker._leases._blocks
        for number in range(50):
            self.broker.delete_queue(DeleteQueue(str(number)), self.now)
        self.assertIs(self.broker._leases._blocks, index)
        for number in range(50, 100):
            self.broker.delete_queue(DeleteQueue(str(number)), self.now)
        self.assertLess(len(self.broker._leases._blocks), 60)
        self.assertEqual(self.ack(1000, 1019).settled, 20)

    def test_what_a_queue_knows_of_its_leases(self) -> None:
        """Few more than there are; what is at its end is not kept."""
        self.publish(*[b"x"] * 40_000)
        held = self.pull(20)
        for _ in range(800):
            first = self.pull(20).first_receipt
            self.ack(first, first + 19)
        self.assertLess(len(self.named().blocks), 2 * LEAST_SWEPT)
        self.broker.delete_queue(DeleteQueue("q"), self.now)
        self.publish(b"new")
        self.assertEqual(self.ack(held.first_receipt, held.first_receipt).settled, 0)

    def test_give_back(self) -> None:
        """What a holder has goes back at once, and counts as delivered; what others have stays."""
        self.publish(*[b"%d" % each for each in range(6)])
        self.pull(2, holder="one")
        self.pull(2, holder="two")
        self.settle(self.pull(2, holder="one").first_receipt)
        self.assertEqual([self.broker.holds(holder) for holder in ("one", "nobody")], [True, False])
        self.assertEqual(self.broker.give_back("one", self.now), 3)
        self.assertFalse(self.broker.holds("one"))
        self.assertEqual(self.broker.give_back("nobody", self.now), 0)
        self.assert_where(ready=3, leased=2)
        got = self.pull(9)
        self.assertEqual((list(got.batch.payloads), got.delivery_counts), ([b"0", b"1", b"5"], [2, 2, 2]))

    def test_one_lease_at_a_time(self) -> None:
        """A receipt proves its lease: after the next one it is unknown."""
        self.publish(b"x")
        old = self.pull(lease_ms=10).first_receipt
        self.later(10)
        new = self.pull(lease_ms=10).first_receipt
        for action in Action:
            self.assertEqual(self.settle(old, action=action).unknown, ((old, old),))
        self.assertEqual(self.settle(new).settled, 1)
