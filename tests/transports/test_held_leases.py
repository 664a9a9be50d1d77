"""How many messages a connection holds, by what it was told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.requests import Action, Batch, Count, Deliveries, Peek, Pull, Purge, Settle, SettleReply
from quickpulse.transports.held_leases import HeldLeases


class HeldTests(SynchronousTestCase):
    """HeldLeases."""

    def setUp(self) -> None:
        """Three messages of a pull."""
        self.held = HeldLeases()
        self.held.note(Pull(("q",)), Deliveries("q", Batch([b"a", b"b", b"c"]), 7))
        self.told: list[int] = []

    def settle(self, settled: int, action: Action = Action.ACK) -> None:
        """So many were settled."""
        self.held.note(Settle("q", ((7, 9),), action), SettleReply(settled))

    def test_what_counts(self) -> None:
        """Leases, and what ends them; not what was taken, looked at or extended."""
        self.held.note(Pull(("q",)), Deliveries("q", Batch([b"d"]), 0))
        self.held.note(Peek("q"), Deliveries("q", Batch([b"d"])))
        self.held.note(Purge("q"), Count(1))
        self.settle(3, Action.EXTEND)
        self.assertEqual(self.held.count, 3)
        self.settle(1, Action.NACK)
        self.settle(1, Action.RELEASE)
        self.assertEqual(self.held.count, 1)
        self.settle(100)
        self.assertEqual(self.held.count, 0)

    def test_what_goes_back(self) -> None:
        """By itself, settled by nobody: it is held no more either."""
        self.held.when_none(lambda: self.told.append(1))
        self.held.gone(2)
        self.assertEqual((self.held.count, self.told), (1, []))
        self.held.gone(1)
        self.assertEqual(self.told, [1])

    def test_when_none(self) -> None:
        """Told once, with the last; at once where there is none; not where nobody wants to know any more."""
        self.held.when_none(lambda: self.told.append(1))
        self.settle(2)
        self.assertEqual(self.told, [])
        self.settle(1)
        self.settle(1)
        self.assertEqual(self.told, [1])
        self.held.when_none(lambda: self.told.append(2))
        self.assertEqual(self.told, [1, 2])
        self.held.note(Pull(("q",)), Deliveries("q", Batch([b"a"]), 10))
        self.held.when_none(lambda: self.told.append(3))
        self.held.when_none(None)
        self.settle(1)
        self.assertEqual(self.told, [1, 2])
