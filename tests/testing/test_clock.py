"""Time that stands still."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.testing.clock import StillClock


class StillClockTests(SynchronousTestCase):
    """What is to be done at once is the reactor's, the rest waits for the test."""

    def setUp(self) -> None:
        """A reactor whose time is its own."""
        self.reactor = Clock()
        self.clock = StillClock(self.reactor)
        self.done: list[str] = []

    def test_at_once(self) -> None:
        """No time has to go by here."""
        self.clock.callLater(0, self.done.append, "now")
        self.reactor.advance(0)
        self.assertEqual(self.done, ["now"])
        self.assertEqual(self.clock.seconds(), 0)

    def test_later(self) -> None:
        """However late the reactor has it."""
        self.clock.callLater(5, self.done.append, "later")
        self.reactor.advance(1000)
        self.assertEqual(self.done, [])
        self.clock.advance(5)
        self.assertEqual(self.done, ["later"])
