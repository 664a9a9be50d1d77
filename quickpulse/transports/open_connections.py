"""Which connections of a listener are open, counted, and how they all come to an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred


class OpenConnections:
    """A factory's half that knows its connections; each has an `abort`. A subclass has `reactor` and `counts`."""

    reactor: Any
    counts: Any

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self._all_closed: Deferred[None] | None = None

    def opened(self, connection: Any) -> None:
        """Remember a connection."""
        self.connections.add(connection)
        self.counts.opened()

    def closed(self, connection: Any) -> None:
        """Forget it."""
        self.connections.discard(connection)
        self.counts.closed()
        if self._all_closed is not None and not self.connections:
            waiter, self._all_closed = self._all_closed, None
            waiter.callback(None)

    def end_all(self, end: Callable[[Any], object], seconds: float) -> Deferred[None]:
        """Call `end` for each connection; the Deferred fires when the last has ended, cut after `seconds`."""
        done: Deferred[None] = Deferred()
        if not self.connections:
            done.callback(None)
            return done
        self._all_closed = done
        for connection in list(self.connections):
            end(connection)
        deadline = self.reactor.callLater(seconds, self.abort_all)
        return done.addBoth(lambda _: (deadline.active() and deadline.cancel()) or None)

    def abort_all(self) -> None:
        """Cut what is still open."""
        for connection in list(self.connections):
            connection.abort()
