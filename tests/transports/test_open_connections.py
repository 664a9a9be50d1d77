"""A listener's open connections, and their end, on a clock of the test's own."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.metrics.traffic import TransportCounts
from quickpulse.transports.open_connections import OpenConnections


class Listener(OpenConnections):
    """The least that a factory is."""

    def __init__(self) -> None:
        super().__init__()
        self.reactor = Clock()
        self.counts = TransportCounts()


class Connection:
    """Ends when it is cut."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        listener.opened(self)

    def abort(self) -> None:
        """Cut it."""
        self.listener.closed(self)


class OpenConnectionsTests(SynchronousTestCase):
    """Knowing and ending them."""

    def test_counted(self) -> None:
        """Open ones and all that there were."""
        listener = Listener()
        one, _other = Connection(listener), Connection(listener)
        listener.closed(one)
        self.assertEqual((listener.counts.connections_open, listener.counts.connections_total), (1, 2))

    def test_none(self) -> None:
        """Then the end is there at once."""
        self.assertIsNone(self.successResultOf(Listener().end_all(self.fail, 8.0)))

    def test_each_ends_by_itself(self) -> None:
        """It is told once, and when the last has gone no deadline is left."""
        listener, told = Listener(), []
        connections = [Connection(listener), Connection(listener)]
        done = listener.end_all(told.append, 8.0)
        self.assertEqual(set(told), set(connections))
        listener.closed(connections[0])
        self.assertNoResult(done)
        listener.closed(connections[1])
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(listener.reactor.getDelayedCalls(), [])

    def test_the_deadline(self) -> None:
        """Who has not ended by then is cut."""
        listener = Listener()
        Connection(listener)
        done = listener.end_all(lambda connection: None, 8.0)
        listener.reactor.advance(7.9)
        self.assertNoResult(done)
        listener.reactor.advance(0.1)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(listener.counts.connections_open, 0)
