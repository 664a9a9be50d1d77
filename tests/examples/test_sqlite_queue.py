"""The SQLite example: what survives, what a broken file says, and that it serves over a real server."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from examples.sqlite_queue import PATH_VARIABLE, SqliteQueue, SqliteStore, make_queue
from quickpulse.errors import QueueEmpty, SettingsError
from quickpulse.messages import Message
from tests.contract import ThreadsReactor


class SurvivalTests(SynchronousTestCase):
    """The file is the queue."""

    def setUp(self) -> None:
        """A path."""
        self.path = self.mktemp()
        self.threads = ThreadsReactor()

    def opened(self, capacity: int = 10, capacity_bytes: int | None = None) -> SqliteQueue:
        """The queue in the file, running."""
        queue = SqliteQueue(lambda: SqliteStore(self.path, capacity, capacity_bytes), self.threads)
        queue.start()
        return queue

    def outcome(self, deferred: Any) -> Any:
        """What the thread gave."""
        self.threads.run_until(deferred)
        return self.successResultOf(deferred)

    def test_messages_survive_a_restart(self) -> None:
        """Order, ids and types are as they were; what was taken stays gone."""
        before = self.opened()
        items = [b"taken", b"first", Message(b"second", "2"), Message(b"third"), b""]
        self.outcome(before.enqueue_many(items))
        self.outcome(before.dequeue())
        before.stop()
        after = self.opened()
        self.addCleanup(after.stop)
        now = after.statistics()
        self.assertEqual((now.depth, now.size_bytes, now.enqueued), (4, 16, 0))
        self.assertEqual(self.outcome(after.dequeue_many(9)), items[1:])

    def test_a_smaller_bound_after_a_restart(self) -> None:
        """More is there than fits now: nothing is dropped, and nothing is accepted until there is room."""
        before = self.opened()
        self.outcome(before.enqueue_many([b"1", b"2", b"3"]))
        before.stop()
        after = self.opened(capacity=2)
        self.addCleanup(after.stop)
        self.assertEqual(self.outcome(after.enqueue_many([b"4"])), 0)
        self.assertEqual(self.outcome(after.exchange_many([b"4"])), [b"1"])
        self.assertEqual(self.outcome(after.dequeue_many(2)), [b"2", b"3"])
        self.assertEqual(self.outcome(after.enqueue_many([b"5", b"6"])), 1)

    def test_stop_does_what_was_asked(self) -> None:
        """Calls that wait for the thread are done before the file is closed."""
        queue = self.opened(capacity=1000)
        asked = [queue.enqueue(b"%d" % number) for number in range(100)]
        queue.stop()
        queue.stop()  # the server's end after the user's own
        for deferred in asked:
            self.outcome(deferred)
        with sqlite3.connect(self.path) as file:
            self.assertEqual(file.execute("SELECT COUNT(*) FROM messages").fetchone(), (100,))
        file.close()

    def test_one_owner(self) -> None:
        """A second process would make depth wrong: the file is locked while the queue uses it."""
        queue = self.opened()
        self.outcome(queue.enqueue(b"x"))
        error = self.assertRaises(sqlite3.OperationalError, self.opened)
        self.assertIn("locked", str(error))
        queue.stop()
        self.opened().stop()

    def test_asked_before_the_start(self) -> None:
        """Nothing is lost between the making of the queue and its start."""
        queue = SqliteQueue(lambda: SqliteStore(self.path, 10, None), self.threads)
        early = queue.enqueue(b"early")
        self.assertNoResult(early)
        queue.start()
        self.addCleanup(queue.stop)
        self.outcome(early)
        self.assertEqual(queue.depth, 1)

    def test_a_failed_transaction_changes_nothing(self) -> None:
        """The file refuses the second row of a batch: neither is in, and the counts are as before."""
        store = SqliteStore(self.path, 10, None)
        self.addCleanup(store.close)
        store.enqueue_many([b"before"])
        unstorable = Message(b"x", "\ud800")  # no UTF-8 for half a surrogate pair
        self.assertRaises(UnicodeEncodeError, store.enqueue_many, [b"fine", unstorable])
        self.assertEqual((store.statistics.depth, store.statistics.enqueued), (1, 1))
        self.assertEqual(store.dequeue_many(9), [b"before"])

    def test_the_thread_opens_again_after_a_failure(self) -> None:
        """The file could not be opened by the thread: a failure for that call, and the next one tries again."""
        queue = self.opened()
        other = SqliteStore(self.path, 10, None)
        refused = queue.enqueue(b"x")
        self.threads.run_until(refused)
        self.failureResultOf(refused, sqlite3.OperationalError)
        other.close()
        self.addCleanup(queue.stop)
        self.outcome(queue.enqueue(b"y"))
        self.assertEqual(queue.depth, 1)


class FactoryTests(TestCase):
    """make_queue, on the real reactor."""

    def use_path(self, path: str) -> None:
        """Set the variable for this test."""
        self.patch(os, "environ", {**os.environ, PATH_VARIABLE: path})

    @inlineCallbacks
    def test_order_under_concurrency(self) -> Any:
        """Many calls at once, in and out: one thread, so one order."""
        self.use_path(self.mktemp())
        queue = make_queue(capacity=1000, capacity_bytes=None)
        self.addCleanup(queue.stop)
        payloads = [b"%d" % number for number in range(50)]
        puts = [queue.enqueue(payload) for payload in payloads]
        takes = [queue.dequeue() for _ in payloads]
        yield gatherResults(puts)
        taken = yield gatherResults(takes)
        self.assertEqual(taken, payloads)
        yield self.assertFailure(queue.dequeue(), QueueEmpty)
        self.assertEqual(queue.depth, 0)

    def test_a_file_that_cannot_be_used(self) -> None:
        """A directory that is not there, a file that is no database: one line with the variable and the path."""
        text = Path(self.mktemp())
        text.write_text("this is no database, and it is long enough to be seen as none " * 30)
        for path in ("/nowhere/at/all/queue.sqlite", str(text.resolve())):
            self.use_path(path)
            error = self.assertRaises(SettingsError, make_queue, capacity=1, capacity_bytes=None)
            self.assertTrue(str(error).startswith(f"{PATH_VARIABLE} {path!r}: "), str(error))
            self.assertNotIn("\n", str(error))
