"""A queue in an SQLite file: what is in it survives a restart.

Start it from the project's root:

    SQLITE_QUEUE_PATH=queue.sqlite PYTHONPATH=. twistd --pidfile= -n quickpulse --mode ws \
        --queue examples.sqlite_queue:make_queue

It shows what a provider that answers later has to do: each method but `statistics` gives a Deferred, one thread does
the work in the order of the calls, and each call is one transaction. Each answer has been written to the disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from quickpulse.errors import QueueEmpty, QueueFull, SettingsError
from quickpulse.interfaces import IMessageQueue, QueueStatistics
from quickpulse.messages import Item, Message, payload_of, require_items

PATH_VARIABLE = "SQLITE_QUEUE_PATH"

DEFAULT_PATH = "quickpulse.sqlite"

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    position INTEGER PRIMARY KEY,  -- the oldest has the lowest
    payload BLOB NOT NULL,
    is_message INTEGER NOT NULL,   -- 0: it was put in as bytes
    id TEXT
)
"""


class SqliteStore:
    """The file, and the algorithm of a bounded queue on it. Used by one thread at a time.

    An exclusive lock keeps other processes out, so that the counts in memory are the file's.

    :param path: the file; it is made when it is not there.
    :param capacity: most messages it holds.
    :param capacity_bytes: most payload bytes it holds; `None` is unbounded.
    :raises sqlite3.Error: the file cannot be used.
    """

    def __init__(self, path: str, capacity: int, capacity_bytes: int | None) -> None:
        self._bounds = (capacity, capacity_bytes)
        # Transactions are begun and ended here; any thread, as it may be opened by one and used by another.
        self._file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                self._file.execute(SCHEMA)
                depth, size = self._file.execute(
                    "SELECT COUNT(*), COALESCE(SUM(LENGTH(payload)), 0) FROM messages"
                ).fetchone()
        except sqlite3.Error:
            self._file.close()
            raise
        self.statistics = QueueStatistics(depth, size, capacity, capacity_bytes, 0, 0, 0)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def enqueue_many(self, messages: Sequence[Item]) -> int:
        """Put in the longest prefix that fits."""
        fitting = self._fitting(messages)
        with self._transaction():
            self._insert(messages[:fitting])
        self._changed(messages[:fitting], [], refused=len(messages) - fitting)
        return fitting

    def dequeue_many(self, count: int) -> list[Item]:
        """Take up to `count` of the oldest."""
        with self._transaction():
            taken = self._take(count)
        self._changed([], taken)
        return taken

    def exchange_many(self, messages: Sequence[Item]) -> list[Item]:
        """Put each in and take the oldest for it, up to the first that the bound in bytes forbids."""
        capacity_bytes = self._bounds[1]
        size = self.statistics.size_bytes
        taken: list[Item] = []
        with self._transaction():
            for message in messages:
                oldest = sum(len(payload) for _, payload, *_ in self._oldest(1))
                if capacity_bytes is not None and size - oldest + len(message) > capacity_bytes:
                    break
                self._insert([message])
                taken += self._take(1)
                size += len(message) - len(taken[-1])
        done = messages[: len(taken)]
        self._changed(done, taken, refused=1 if len(done) < len(messages) else 0)
        return taken

    def _insert(self, messages: Sequence[Item]) -> None:
        rows = [(payload_of(item), isinstance(item, Message), getattr(item, "id", None)) for item in messages]
        self._file.executemany("INSERT INTO messages (payload, is_message, id) VALUES (?, ?, ?)", rows)

    def _take(self, count: int) -> list[Item]:
        rows = self._oldest(max(count, 0))  # a negative one means all of them to SQLite
        if rows:
            self._file.execute("DELETE FROM messages WHERE position <= ?", [rows[-1][0]])
        return [Message(payload, name) if is_message else payload for _, payload, is_message, name in rows]

    def _oldest(self, count: int) -> list[tuple[int, bytes, int, str | None]]:
        return self._file.execute(
            "SELECT position, payload, is_message, id FROM messages ORDER BY position LIMIT ?", [count]
        ).fetchall()

    def _fitting(self, messages: Sequence[Item]) -> int:
        """How many of `messages` fit, from the first on."""
        now = self.statistics
        capacity, capacity_bytes = self._bounds
        fitting, size = 0, now.size_bytes
        for message in messages:
            size += len(message)
            if now.depth + fitting >= capacity or (capacity_bytes is not None and size > capacity_bytes):
                break
            fitting += 1
        return fitting

    def _changed(self, put: Sequence[Item], taken: Sequence[Item], refused: int = 0) -> None:
        """Count what was committed. The new snapshot replaces the old one at once, for whoever looks."""
        now = self.statistics
        self.statistics = QueueStatistics(
            now.depth + len(put) - len(taken),
            now.size_bytes + sum(map(len, put)) - sum(map(len, taken)),
            *self._bounds,
            now.enqueued + len(put),
            now.dequeued + len(taken),
            now.refused + refused,
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise


@implementer(IMessageQueue)
class SqliteQueue:
    """An IMessageQueue that answers when its thread has done what was asked.

    Nothing runs before `start`: what is asked earlier waits.

    :param open_store: makes the SqliteStore; called at once, to find out whether the file is usable and what is in
        it, and again by the thread.
    :param reactor: where the Deferreds fire.
    """

    def __init__(self, open_store: Callable[[], SqliteStore], reactor: Any) -> None:
        self._open_store = open_store
        self._reactor = reactor
        self._store: SqliteStore | None = None
        self._pool = ThreadPool(0, 1, "sqlite")  # one thread: one order
        probe = open_store()
        self._statistics = probe.statistics
        probe.close()  # a daemon forks before the queue is used, and an open SQLite file must not be taken along

    def start(self) -> None:
        """Let the thread run."""
        self._pool.start()

    def stop(self) -> None:
        """Do what was asked so far, then close the file. Blocks until that is done; a second call does nothing."""
        if self._pool.joined:
            return
        self._pool.callInThread(self._close)
        self._pool.stop()

    @property
    def depth(self) -> int:
        """Messages held after the last call that was done."""
        return self._statistics.depth

    @property
    def capacity(self) -> int | None:
        """Most messages it holds."""
        return self._statistics.capacity

    def statistics(self) -> QueueStatistics:
        """As of the last call that was done."""
        return self._statistics

    def enqueue(self, message: Item) -> Deferred[None]:
        """Put one message in."""
        return self.enqueue_many([message]).addCallback(_require_one)

    def dequeue(self) -> Deferred[Item]:
        """Take the oldest message."""
        return self.dequeue_many(1).addCallback(_first)

    def enqueue_many(self, messages: Sequence[Item]) -> Deferred[int]:
        """Put in as many as fit."""
        require_items(messages)
        return self._ask("enqueue_many", list(messages))

    def dequeue_many(self, count: int) -> Deferred[list[Item]]:
        """Take up to `count`."""
        return self._ask("dequeue_many", count)

    def exchange_many(self, messages: Sequence[Item]) -> Deferred[list[Item]]:
        """Put each in, take the oldest for it."""
        require_items(messages)
        return self._ask("exchange_many", list(messages))

    def _ask(self, name: str, argument: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, self._do, name, argument)

    def _do(self, name: str, argument: Any) -> Any:
        """In the thread: one call of the store."""
        if self._store is None:
            self._store = self._open_store()
        result = getattr(self._store, name)(argument)
        self._statistics = self._store.statistics
        return result

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _require_one(accepted: int) -> None:
    if not accepted:
        raise QueueFull


def _first(taken: list[Item]) -> Item:
    if not taken:
        raise QueueEmpty
    return taken[0]


def make_queue(*, capacity: int, capacity_bytes: int | None) -> SqliteQueue:
    """The factory for --queue; the file's path is in the environment variable SQLITE_QUEUE_PATH.

    :raises SettingsError: the file cannot be used; the server ends with this one line.
    """
    from twisted.internet import reactor

    path = os.path.abspath(os.environ.get(PATH_VARIABLE, DEFAULT_PATH))
    try:
        queue = SqliteQueue(lambda: SqliteStore(path, capacity, capacity_bytes), reactor)
    except sqlite3.Error as error:
        raise SettingsError(f"{PATH_VARIABLE} {path!r}: {error}") from error
    reactor.callWhenRunning(queue.start)  # not before: a daemon forks, and threads do not come along
    reactor.addSystemEventTrigger("during", "shutdown", queue.stop)
    return queue
