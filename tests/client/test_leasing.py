"""Leases that are held are extended; those that nobody holds, or that were settled, are not."""

from __future__ import annotations

import gc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.errors import Timeout
from quickpulse.client.leasing import LEAST_SWEPT, NEVER, Leasing
from quickpulse.client.settling import Leased, Settling
from quickpulse.errors import NotFound
from quickpulse.requests import Action, Batch, Deliveries, Settle, SettleReply


class LeasingTests(SynchronousTestCase):
    """Leases of ten seconds, for a minute at most."""

    def setUp(self) -> None:
        """Nothing is held."""
        self.leasing = Leasing(60)
        self.asked: list[tuple[Settle, Any, float]] = []

    def leased(self, first: int = 1, count: int = 3) -> Leased:
        """Messages that came."""
        deliveries = Deliveries("q", Batch([b"x"] * count), first, 10_000)
        return Leased(deliveries, Settling(lambda: None))

    def extend(self, now: float) -> list[Settle]:
        """What is asked for now."""
        self.asked.clear()
        self.leasing.extend(now, lambda *what: self.asked.append(what))
        return [request for request, _, _ in self.asked]

    def test_half_of_the_lease(self) -> None:
        """Then it is extended, again and again, until it was held for long enough."""
        held = self.leased()
        self.leasing.keep(held, 0)
        self.assertEqual((self.leasing.next_due, self.extend(4.9)), (5, []))
        self.assertEqual(self.extend(5), [Settle("q", [(1, 3)], Action.EXTEND, lease_ms=10_000)])
        self.assertEqual((self.asked[0][2], self.leasing.next_due), (10, 10))
        times = [now for now in range(6, 200) if self.extend(now)]
        self.assertEqual(times, [10, 15, 20, 25, 30, 35, 40, 45, 50, 55])
        self.assertEqual(self.leasing.next_due, NEVER)

    def test_what_is_settled(self) -> None:
        """Only the rest; and nothing when there is none."""
        held = self.leased()
        self.leasing.keep(held, 0)
        held.ack(1)
        self.assertEqual([request.receipts for request in self.extend(5)], [[(1, 1), (3, 3)]])
        held.claim(0, 2)
        self.assertEqual((self.extend(10), self.leasing.next_due), ([], NEVER))

    def test_what_nobody_holds(self) -> None:
        """It is left to run out."""
        self.leasing.keep(self.leased(), 0)
        gc.collect()
        self.assertEqual(self.extend(5), [])

    def test_what_was_lost(self) -> None:
        """The reply says so, and it is not extended again."""
        held = self.leased()
        self.leasing.keep(held, 0)
        self.extend(5)
        self.asked[0][1](SettleReply(1, [(2, 3)]))
        self.assertEqual(held.count_lost(0, 2), 2)
        self.assertEqual([request.receipts for request in self.extend(10)], [[(1, 1)]])

    def test_queue_that_is_gone(self) -> None:
        """All was lost; any other error means nothing, and it is tried again."""
        held = self.leased()
        self.leasing.keep(held, 0)
        self.extend(5)
        self.asked[0][1](Timeout("late"))
        self.assertEqual(len(self.extend(10)), 1)
        self.asked[0][1](NotFound("q"))
        self.assertEqual((held.count_lost(0, 2), self.extend(15)), (3, []))

    def test_longer_for_some(self) -> None:
        """The user's own time is not shortened; others have as long."""
        held = self.leased()
        self.leasing.keep(held, 0)
        held.longer_ms = 10**15  # the server gives no more than half a day
        self.assertEqual([request.lease_ms for request in self.extend(5)], [12 * 3600 * 1000])

    def test_longer_ends(self) -> None:
        """Then it goes on as usual."""
        held = self.leased()
        self.leasing.keep(held, 0)
        held.longer_ms = 20_000
        times = {now: [request.lease_ms for request in self.extend(now)] for now in range(5, 36, 5)}
        self.assertEqual(
            times, {5: [20_000], 10: [15_000], 15: [10_000], 20: [10_000], 25: [10_000], 30: [10_000], 35: [10_000]}
        )

    def test_settled_ones_are_forgotten(self) -> None:
        """Long before their lease is over; those that are held are not."""
        held = [self.leased(10 * number + 1) for number in range(20)]
        for leased in held:
            self.leasing.keep(leased, 0)
        for number in range(10 * LEAST_SWEPT):
            settled = self.leased(10 * number + 1)
            self.leasing.keep(settled, 0)
            settled.claim(0, 2)
        self.assertLess(len(self.leasing), 2 * LEAST_SWEPT)
        self.assertEqual(len(self.extend(5)), 20)

    def test_what_was_taken(self) -> None:
        """There is nothing to extend."""
        taken = self.leased(first=0)
        self.leasing.keep(taken, 0)
        self.assertEqual(self.leasing.next_due, NEVER)

    def test_the_end(self) -> None:
        """Nothing any more."""
        held = self.leased()
        self.leasing.keep(held, 0)
        self.leasing.forget()
        self.assertEqual(self.extend(5), [])
