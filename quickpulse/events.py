"""One small thing that listeners and the lifecycle share: an event that any number of parties may wait for."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Event:
    """Happens once, or fails once. Who asks before is told then, who asks after is told at once."""

    def __init__(self) -> None:
        self._waiters: list[Deferred[None]] = []
        self._outcome: list[Failure | None] = []

    def happened(self, _result: object = None) -> None:
        """Tell all who wait."""
        self._settle(None)

    def failed(self, failure: Failure) -> None:
        """Tell all who wait that it will not happen, and why."""
        self._settle(failure)

    def wait(self) -> Deferred[None]:
        """A Deferred of the caller's own, which fires with None, or with the failure."""
        waiter: Deferred[None] = Deferred()
        if self._outcome:
            _tell(waiter, self._outcome[0])
        else:
            self._waiters.append(waiter)
        return waiter

    def _settle(self, outcome: Failure | None) -> None:
        if self._outcome:
            return
        self._outcome.append(outcome)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            _tell(waiter, outcome)


def _tell(waiter: Deferred[None], outcome: Failure | None) -> None:
    if outcome is None:
        waiter.callback(None)
    else:
        waiter.errback(outcome)
