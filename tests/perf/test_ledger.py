"""The ledger: every fate of a message has its own count, whichever way it is booked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from twisted.trial import unittest

from perf.ledger import Ledger
from perf.payloads import PayloadFormat

RUN_TAG = 12345

SIZE = 32


class LedgerCase(unittest.TestCase):
    """Two producers, two receivers."""

    def setUp(self) -> None:
        """An empty ledger."""
        self.payloads = PayloadFormat(RUN_TAG, SIZE)
        self.ledger = Ledger(self.payloads, producers=2, receivers=2)

    def publish(self, producer: int, count: int, first: int = 0) -> None:
        """Sent at the time `first`, and acknowledged."""
        self.ledger.sent(producer, first, count, float(first))
        self.ledger.acknowledged(producer, first, count)

    def receive(self, receiver: int, *messages: tuple[int, int]) -> None:
        """One by one."""
        for producer, sequence in messages:
            self.ledger.receive(receiver, self.payloads.make(producer, sequence))

    def block(self, messages: Sequence[tuple[int, int]]) -> np.ndarray:
        """As the rows of a block."""
        joined = b"".join(self.payloads.make(*message) for message in messages)
        return np.frombuffer(joined, np.uint8).reshape(len(messages), SIZE)


class LedgerTests(LedgerCase):
    """Messages booked one by one."""

    def test_all_is_well(self) -> None:
        """What was acknowledged came out once."""
        self.publish(0, 10)
        self.receive(0, *((0, sequence) for sequence in range(10)))
        totals = self.ledger.totals()
        self.assertEqual((totals.sent, totals.acknowledged, totals.received, totals.delivered), (10,) * 4)
        self.assertEqual((totals.lost, totals.duplicated, totals.out_of_order, totals.unanswered), (0,) * 4)

    def test_lost(self) -> None:
        """Acknowledged and never seen; not so what was refused."""
        self.publish(0, 3)
        self.ledger.sent(0, 3, 2, 0.0)
        self.ledger.refused(0, 3, 2)
        self.receive(0, (0, 0))
        totals = self.ledger.totals()
        self.assertEqual((totals.lost, totals.refused, totals.acknowledged), (2, 2, 3))

    def test_duplicated_is_not_out_of_order(self) -> None:
        """A copy counts as a copy only."""
        self.publish(0, 3)
        self.receive(0, (0, 0), (0, 1), (0, 0), (0, 2), (0, 2))
        totals = self.ledger.totals()
        self.assertEqual((totals.duplicated, totals.out_of_order, totals.delivered, totals.received), (2, 0, 3, 5))

    def test_order_is_of_one_producer_at_one_receiver(self) -> None:
        """Producers may interleave, and receivers run beside each other."""
        self.publish(0, 4)
        self.publish(1, 2)
        self.receive(0, (0, 1), (1, 0), (0, 3))
        self.receive(1, (0, 0), (1, 1), (0, 2))
        self.assertEqual(self.ledger.totals().out_of_order, 0)

    def test_out_of_order(self) -> None:
        """Later than a later one."""
        self.publish(0, 4)
        self.receive(0, (0, 2), (0, 0), (0, 1), (0, 3))
        totals = self.ledger.totals()
        self.assertEqual((totals.out_of_order, totals.lost, totals.duplicated), (2, 0, 0))

    def test_damaged_body_is_not_lost(self) -> None:
        """Its header says which it was."""
        self.publish(0, 1)
        self.ledger.receive(0, self.payloads.make(0, 0)[:-1] + b"?")
        totals = self.ledger.totals()
        self.assertEqual((totals.damaged, totals.lost, totals.missing), (1, 0, 1))

    def test_blank_and_damaged_header_stand_for_a_missing_one(self) -> None:
        """Of three that are missing, two came in a bad state, and one is lost."""
        self.publish(0, 3)
        self.ledger.receive(0, b"")
        self.ledger.receive(0, b"nonsense")
        totals = self.ledger.totals()
        self.assertEqual((totals.blank, totals.damaged, totals.lost, totals.missing), (1, 1, 1, 3))

    def test_foreign_and_unsent(self) -> None:
        """Of another run; of this run, but from nowhere."""
        self.publish(0, 1)
        self.ledger.receive(0, PayloadFormat(RUN_TAG + 1, SIZE).make(0, 0))
        self.receive(0, (0, 1), (9, 0), (0, 10**6))
        totals = self.ledger.totals()
        self.assertEqual((totals.foreign, totals.unsent, totals.lost), (1, 3, 1))

    def test_refused_and_delivered(self) -> None:
        """It was refused, so it must not come out."""
        self.ledger.sent(0, 0, 1, 0.0)
        self.ledger.refused(0, 0, 1)
        self.receive(0, (0, 0))
        totals = self.ledger.totals()
        self.assertEqual((totals.refused_delivered, totals.delivered), (1, 0))

    def test_unanswered_may_come_out(self) -> None:
        """Nobody knows whether the server had it: delivered or not, it is unanswered and not lost."""
        self.ledger.sent(0, 0, 2, 0.0)
        self.receive(0, (0, 0))
        totals = self.ledger.totals()
        self.assertEqual((totals.unanswered, totals.delivered, totals.lost), (2, 1, 0))

    def test_before_its_acknowledgement(self) -> None:
        """A consumer may be faster than the answer to the producer."""
        self.ledger.sent(0, 0, 1, 0.0)
        self.receive(0, (0, 0))
        self.ledger.acknowledged(0, 0, 1)
        totals = self.ledger.totals()
        self.assertEqual((totals.delivered, totals.lost, totals.unanswered), (1, 0, 0))

    def test_grows(self) -> None:
        """Far more messages than the tables hold at first."""
        self.publish(1, 10_000)
        self.receive(0, (1, 9_999))
        totals = self.ledger.totals()
        self.assertEqual((totals.acknowledged, totals.lost, totals.delivered), (10_000, 9_999, 1))

    def test_tells_when_it_was_sent(self) -> None:
        """For the latency; nothing for a copy."""
        self.publish(0, 5, first=0)
        self.publish(0, 5, first=5)
        payload = self.payloads.make(0, 7)
        self.assertEqual(self.ledger.receive(0, payload), 5.0)
        self.assertIsNone(self.ledger.receive(0, payload))


class BlockTests(LedgerCase):
    """The fast form books the plain case, and leaves every other one alone."""

    def setUp(self) -> None:
        """Fifty messages of each producer are on their way."""
        super().setUp()
        self.publish(0, 50)
        self.publish(1, 50)

    def assertLeftAlone(self, messages: Sequence[tuple[int, int]], message: str) -> None:
        """Refused, and nothing booked."""
        before = self.ledger.totals()
        self.assertIsNone(self.ledger.receive_block(0, self.block(messages)), message)
        self.assertEqual(self.ledger.totals(), before, message)

    def test_books_as_the_plain_form_does(self) -> None:
        """Producers interleaved, across several blocks."""
        messages = [(sequence % 2, sequence // 2) for sequence in range(100)]
        plain = Ledger(self.payloads, 2, 2)
        for producer in (0, 1):
            plain.sent(producer, 0, 50, 0.0)
            plain.acknowledged(producer, 0, 50)
        for first in range(0, 100, 20):
            part = messages[first : first + 20]
            self.assertIsNotNone(self.ledger.receive_block(0, self.block(part)))
            for message in part:
                plain.receive(0, self.payloads.make(*message))
        self.assertEqual(self.ledger.totals(), plain.totals())
        self.assertEqual(self.ledger.totals().delivered, 100)

    def test_leaves_oddities_to_the_plain_form(self) -> None:
        """A repeat inside, a repeat of earlier, a step back, an unknown producer or sequence."""
        self.assertIsNotNone(self.ledger.receive_block(0, self.block([(0, 5), (0, 6), (1, 3)])))
        self.assertLeftAlone([(0, 7), (0, 7)], "repeat inside")
        self.assertLeftAlone([(0, 7), (0, 6)], "repeat of earlier")
        self.assertLeftAlone([(0, 4), (0, 7)], "back behind the last")
        self.assertLeftAlone([(1, 9), (0, 9), (0, 8)], "step back inside")
        self.assertLeftAlone([(0, 7), (5, 0)], "unknown producer")
        self.assertLeftAlone([(0, 7), (0, 50)], "not sent")
        self.assertLeftAlone([(0, 7), (0, 10**6)], "beyond the tables")

    def test_leaves_damage_to_the_plain_form(self) -> None:
        """One bit in one row."""
        block = self.block([(0, 1), (0, 2)]).copy()
        block[1, -1] ^= 1
        self.assertIsNone(self.ledger.receive_block(0, block))
        self.assertEqual(self.ledger.totals().received, 0)

    def test_receivers_are_apart(self) -> None:
        """Another receiver's last sequence does not matter."""
        self.assertIsNotNone(self.ledger.receive_block(0, self.block([(0, 8), (0, 9)])))
        self.assertIsNotNone(self.ledger.receive_block(1, self.block([(0, 1), (0, 2)])))
        self.assertEqual(self.ledger.totals().out_of_order, 0)
