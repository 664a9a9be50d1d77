"""The SQLite example keeps the contract, with its own thread."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from examples.sqlite_queue import SqliteQueue, SqliteStore
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.memory import DefaultMetrics
from tests.contract import ByteBoundContract, ThreadsReactor


class SqliteQueueTests(ByteBoundContract, SynchronousTestCase):
    """A queue in a file."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """A queue in a file of its own."""
        path = self.mktemp()
        self.threads = ThreadsReactor()
        made = SqliteQueue(lambda: SqliteStore(path, capacity, capacity_bytes), self.threads)
        made.start()
        self.addCleanup(made.stop)
        return made

    def wait(self, deferred: Deferred) -> None:
        """The thread works."""
        self.threads.run_until(deferred)


class InstrumentedSqliteQueueTests(SqliteQueueTests):
    """The same, reported on."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """An InstrumentedQueue around it."""
        return InstrumentedQueue(super().make_queue(capacity, capacity_bytes), DefaultMetrics())
