"""The traffic of a run: what comes is booked together, and counts as if it had been booked one by one."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from perf import exchange as module
from perf.exchange import BOOKED_AT_ONCE, Exchange
from perf.options import Options


class ArrivalTests(SynchronousTestCase):
    """One producer, two receivers, and a clock that is set."""

    def setUp(self) -> None:
        """Messages were sent at 0 and acknowledged."""
        self.now = 0.0
        self.exchange = Exchange(Options("ws", producers=1, messages=2000), 7, 2, lambda: self.now)
        self.exchange.start()
        self.exchange.allot(0, 2000)
        self.exchange.accepted(0, 0, 2000)
        self.now = 1.0

    def block(self, *sequences: int) -> np.ndarray:
        """Messages, one a row."""
        size = self.exchange.payloads.payload_bytes
        joined = b"".join(self.exchange.payloads.make(0, sequence) for sequence in sequences)
        return np.frombuffer(joined, np.uint8).reshape(-1, size)

    def test_many_at_once(self) -> None:
        """A few wait for others."""
        for first in range(0, BOOKED_AT_ONCE, 64):
            self.assertEqual(self.exchange.ledger.received_count, 0)
            self.exchange.arrived_block(0, self.block(*range(first, first + 64)))
        self.assertEqual(self.exchange.ledger.received_count, BOOKED_AT_ONCE)

    def test_large_ones_do_not_wait(self) -> None:
        """What waits takes little memory."""
        self.patch(module, "UNBOOKED_BYTES", 100)
        self.exchange.arrived_block(0, self.block(0))
        self.assertEqual(self.exchange.ledger.received_count, 0)
        self.exchange.arrived_block(0, self.block(1))
        self.assertEqual(self.exchange.ledger.received_count, 2)

    def test_order_is_kept(self) -> None:
        """Between blocks and single messages of a receiver; another receiver has an order of its own."""
        self.exchange.arrived_block(0, self.block(1, 2))
        self.exchange.arrived(0, self.exchange.payloads.make(0, 3))
        self.exchange.arrived_block(1, self.block(0, 5))
        self.exchange.book_all()
        totals = self.exchange.ledger.totals()
        self.assertEqual((totals.delivered, totals.out_of_order), (5, 0))
        self.exchange.arrived_block(0, self.block(6))
        self.exchange.arrived(1, self.exchange.payloads.make(0, 6))
        self.exchange.book_all()
        totals = self.exchange.ledger.totals()
        self.assertEqual((totals.delivered, totals.duplicated, totals.out_of_order), (6, 1, 0))

    def test_oddities_in_a_block(self) -> None:
        """Each row is looked at by itself."""
        damaged = self.block(0, 1, 2).copy()
        damaged[1, -1] ^= 1
        self.exchange.arrived_block(0, damaged)
        self.exchange.arrived_block(0, self.block(5, 4, 2))
        self.exchange.book_all()
        totals = self.exchange.ledger.totals()
        self.assertEqual((totals.received, totals.delivered, totals.damaged, totals.duplicated), (6, 4, 1, 1))
        self.assertEqual(totals.out_of_order, 1)

    def test_latency_is_to_the_arrival(self) -> None:
        """And not to the booking."""
        self.exchange.arrived_block(0, self.block(0, 1))
        self.now = 3.0
        self.exchange.arrived_block(0, self.block(2))
        self.now = 50.0
        self.exchange.book_all()
        self.exchange.end_to_end_latency.close_interval()
        summary = self.exchange.end_to_end_latency.summary()
        self.assertEqual((summary.count, summary.max), (3, 3000.0))

    def test_consumers_stop_when_all_is_there(self) -> None:
        """What waits to be booked is there."""
        self.exchange.producing = False
        for first in range(0, 2000, 100):
            self.assertFalse(self.exchange.may_stop())
            self.exchange.arrived_block(0, self.block(*range(first, first + 100)))
        self.assertTrue(self.exchange.may_stop())
