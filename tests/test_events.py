"""Event: any number of parties wait for one thing."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.events import Event


class EventTests(SynchronousTestCase):
    """Happened, failed, waited for before and after."""

    def test_before_and_after(self) -> None:
        """Who waits before is told then, who comes after is told at once."""
        event = Event()
        early = [event.wait(), event.wait()]
        for waiter in early:
            self.assertNoResult(waiter)
        event.happened("a result that nobody needs")
        for waiter in (*early, event.wait()):
            self.assertIsNone(self.successResultOf(waiter))

    def test_failure(self) -> None:
        """Everybody gets the failure, in a Deferred of their own."""
        event = Event()
        early = event.wait()
        event.failed(Failure(OSError("taken")))
        for waiter in (early, event.wait()):
            self.assertEqual(str(self.failureResultOf(waiter, OSError).value), "taken")

    def test_once_only(self) -> None:
        """What comes second changes nothing."""
        event = Event()
        event.happened()
        event.failed(Failure(OSError("too late")))
        event.happened()
        self.assertIsNone(self.successResultOf(event.wait()))

    def test_a_waiter_may_wait_again_from_its_callback(self) -> None:
        """It is told at once, and nobody is told twice."""
        event = Event()
        told: list[Deferred] = []
        event.wait().addCallback(lambda _: told.append(event.wait()))
        event.happened()
        self.assertEqual(len(told), 1)
        self.assertIsNone(self.successResultOf(told[0]))
