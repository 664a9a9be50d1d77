"""A lease block by itself: deadlines of all, of each, and of a part; and receipts that hold nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.lease import OPEN_RECEIPTS, SMALL_PULL, Part, Unknown
from quickpulse.requests import Action, Settle
from tests.queues.brokers import BrokerTestCase


class UnknownTests(SynchronousTestCase):
    """Ranges of receipts."""

    def test_ranges_are_joined(self) -> None:
        """Where one goes on with the last; an empty one is none."""
        unknown = Unknown()
        for first, last in ((1, 2), (3, 3), (5, 4), (7, 9), (1, 1)):
            unknown.add(first, last)
        self.assertEqual(unknown.ranges, [(1, 3), (7, 9), (1, 1)])


class LeaseTests(BrokerTestCase):
    """Blocks, as pulls make them."""

    def test_pulls_of_one_share_a_block(self) -> None:
        """Their receipts are consecutive, each has its own deadline."""
        self.publish(*[b"x"] * 4)
        receipts = []
        for _ in range(3):
            receipts.append(self.pull(lease_ms=100).first_receipt)
            self.now += 10
        self.assertEqual(receipts, [1000, 1001, 1002])
        self.assertEqual(len(self.broker._leases._blocks), 1)
        for left in (2, 1, 0):
            self.later(self.broker.next_deadline() - self.now)
            self.assertEqual(self.info().leased, left)
        self.assertEqual(self.now, 1_000_120)

    def test_a_block_is_full_at_last(self) -> None:
        """Then there is another; receipts are not given twice."""
        self.publish(*[b"x"] * 200)
        receipts = [self.pull().first_receipt for _ in range(200)]
        self.assertEqual(len(set(receipts)), 200)
        self.assertEqual(receipts[OPEN_RECEIPTS], 1000 + OPEN_RECEIPTS)
        self.assertEqual(self.settle(*receipts).settled, 200)

    def test_a_longer_pull_has_a_block_of_its_own(self) -> None:
        """And does not end the one that is open."""
        self.publish(*[b"x"] * 100)
        first = self.pull().first_receipt
        long = self.pull(SMALL_PULL + 1).first_receipt
        self.assertEqual((first, long), (1000, 1000 + OPEN_RECEIPTS))
        self.assertEqual(self.info().leased, SMALL_PULL + 2)

    def test_a_shorter_lease_does_not_share(self) -> None:
        """Deadlines of a block rise."""
        self.publish(b"a", b"b")
        self.pull(lease_ms=100)
        self.pull(lease_ms=50)
        self.later(50)
        self.assert_where(ready=1, leased=1)
        self.later(50)
        self.assert_where(ready=2)

    def test_after_all_was_settled_the_block_goes_on(self) -> None:
        """With deadlines of its own for what comes."""
        self.publish(b"a", b"b", b"c")
        self.settle(self.pull(lease_ms=100).first_receipt)
        self.later(150)
        receipt = self.pull(lease_ms=100).first_receipt
        self.assertEqual(receipt, 1001)
        self.later(99)
        self.assert_where(ready=1, leased=1)
        self.later(1)
        self.assert_where(ready=2)
        self.assertEqual(self.settle(receipt).unknown, ((1001, 1001),))

    def test_extending_a_part(self) -> None:
        """The others run out when they would have; the part later."""
        self.publish(*[b"%d" % each for each in range(6)])
        first = self.pull(6, lease_ms=100).first_receipt
        self.later(50)
        self.assertEqual(self.settle(first + 1, first + 4, action=Action.EXTEND, lease_ms=100).settled, 2)
        self.later(50)
        self.assert_where(ready=4, leased=2)
        self.later(49)
        self.assert_where(ready=4, leased=2)
        self.later(1)
        self.assert_where(ready=6)
        self.assertEqual(self.payloads(), [b"0", b"1", b"2", b"3", b"4", b"5"])

    def test_extending_a_part_with_holes(self) -> None:
        """What was settled, or extended again, is no part of it; nothing is kept for each of its messages."""
        self.publish(*[b"%d" % each for each in range(6)])
        first = self.pull(6, lease_ms=100).first_receipt
        self.settle(first + 2)
        self.broker.settle(Settle("q", ((first, first + 4),), Action.EXTEND, lease_ms=200), self.now)
        self.settle(first + 3, action=Action.EXTEND, lease_ms=300)
        parts = [entry[4] for entry in self.broker._agenda._heap if isinstance(entry[4], Part)]
        self.assertEqual({type(part.indexes) for part in parts}, {range})
        left = []
        for _ in range(3):
            self.later(100)
            left.append(self.info().leased)
        self.assertEqual(left, [4, 1, 0])
        self.assertEqual(self.payloads(), [b"0", b"1", b"3", b"4", b"5"])

    def test_extending_all(self) -> None:
        """One deadline for what is left of a block; the old one means nothing any more."""
        self.publish(*[b"x"] * 20)
        first = self.pull(20, lease_ms=100).first_receipt
        self.settle(first)
        self.settle(*range(first + 1, first + 5), action=Action.EXTEND, lease_ms=40)
        self.settle(*range(first + 5, first + 20), action=Action.EXTEND, lease_ms=300)
        self.later(40)
        self.assert_where(ready=4, leased=15)
        self.later(259)
        self.assert_where(ready=4, leased=15)
        self.later(1)
        self.assert_where(ready=19)

    def test_shortening(self) -> None:
        """An extension may end sooner than the lease did, again and again, and the agenda stays short."""
        self.publish(*[b"x"] * 20)
        first = self.pull(20).first_receipt
        for _ in range(1000):
            self.settle(first, action=Action.EXTEND, lease_ms=100)
            self.settle(first, action=Action.EXTEND, lease_ms=50)
            self.now += 1
        self.assertLess(len(self.broker._agenda), 300)
        self.later(49)
        self.assert_where(ready=1, leased=19)
