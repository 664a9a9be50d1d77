"""The judge of the loads: each kind of fault is seen, and a run without faults has none."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.ledger import Ledger, payload


class LedgerTests(SynchronousTestCase):
    """One consumer, a few messages of one producer."""

    def ledger(self, *messages: bytes, acknowledged: int = 3) -> Ledger:
        """A ledger of `acknowledged` messages, of which a consumer got these."""
        ledger = Ledger()
        for sequence in range(acknowledged):
            ledger.accepted(0, sequence)
        for message in messages:
            ledger.asks("a")
            ledger.got("a", message)
        return ledger

    def test_without_faults(self):
        """All three came, in order, and then the queue was empty."""
        ledger = self.ledger(*(payload(0, sequence) for sequence in range(3)))
        ledger.was_empty("a", ledger.asks("a"))
        self.assertEqual((ledger.faults, ledger.missing, ledger.told_empty), ([], set(), 1))

    def test_faults(self):
        """Again, blank, damaged, out of order, each with a line of its own."""
        first, second = payload(0, 1), payload(0, 2)
        for messages, word in (
            ((first, first), "again"),
            ((b"",), "b''"),
            ((first[:-1] + b"?",), "damaged"),
            ((first + b"?",), "damaged"),
            ((second, first), "out of order"),
        ):
            self.assertIn(word, "\n".join(self.ledger(*messages).faults))

    def test_lost(self):
        """Acknowledged, and never came."""
        self.assertEqual(self.ledger(payload(0, 0), payload(0, 2)).missing, {(0, 1)})

    def test_empty_that_was_not(self):
        """Three were in and one came: with nobody else asking, the queue cannot be empty."""
        ledger = self.ledger(payload(0, 0))
        ledger.was_empty("a", ledger.asks("a"))
        self.assertEqual(len(ledger.faults), 1)

    def test_empty_while_others_wait(self):
        """What another consumer has asked for may be on its way to it."""
        ledger = self.ledger(payload(0, 0))
        for _ in range(2):
            ledger.asks("b")
        ledger.was_empty("a", ledger.asks("a"))
        self.assertEqual(ledger.faults, [])

    def test_what_came_in_later_does_not_count(self):
        """Empty when it was asked, though something was put in before the answer was read."""
        ledger = self.ledger(*(payload(0, sequence) for sequence in range(3)))
        then = ledger.asks("a")
        ledger.accepted(0, 3)
        ledger.was_empty("a", then)
        self.assertEqual(ledger.faults, [])
