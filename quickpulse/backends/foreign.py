"""Adapters that make a queue of somebody else's into an IMessageQueue. No store of our own belongs here.

Each adapter is a few methods over `_put` and `_get`; batches, exchanges and counts are shared. One lock makes a batch
atomic among the adapter's own callers; whoever else holds the adapted object works on it directly, beside the lock.
"""

from __future__ import annotations

import collections
import queue
import threading
from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.interfaces import IMessageQueue, QueueStatistics
from quickpulse.messages import Item, require_items


@implementer(IMessageQueue)
class _ForeignQueue:
    """The shared part. A subclass says how one message goes in and out.

    What was taken and cannot be handed over waits in `_pocket`, before all others, so that nothing is lost: the oldest,
    when the room it left was used up by somebody beside the lock, and the first ones of a batch whose rest failed.
    """

    def __init__(self, original: Any) -> None:
        self.original = original
        self._lock = threading.RLock()
        self._pocket: collections.deque[Item] = collections.deque()
        self._enqueued = self._dequeued = self._refused = 0

    @property
    def capacity(self) -> int | None:
        """Most messages it will hold, where the original says so."""
        raise NotImplementedError

    @property
    def depth(self) -> int:
        """Messages held now."""
        return len(self._pocket) + self._length()

    def enqueue(self, message: Item) -> None:
        """Put one message in."""
        if not self.enqueue_many((message,)):
            raise QueueFull

    def dequeue(self) -> Item:
        """Take the oldest message."""
        for item in self.dequeue_many(1):
            return item
        raise QueueEmpty

    def enqueue_many(self, messages: Sequence[Item]) -> int:
        """Put in the longest prefix that fits."""
        require_items(messages)
        accepted = 0
        with self._lock:
            try:
                for message in messages:
                    self._insert(message)
                    accepted += 1
            except QueueFull:
                self._refused += len(messages) - accepted
        return accepted

    def dequeue_many(self, count: int) -> list[Item]:
        """Take up to `count` of the oldest messages."""
        taken: list[Item] = []
        with self._lock:
            try:
                while len(taken) < count:
                    taken.append(self._take())
            except QueueEmpty:
                pass
            except Exception:
                self._give_back(taken)
                raise
        return taken

    def exchange_many(self, messages: Sequence[Item]) -> list[Item]:
        """Put each message in and take the oldest for it."""
        require_items(messages)
        taken: list[Item] = []
        with self._lock:
            try:
                for message in messages:
                    taken.append(self._exchange(message))
            except QueueFull:
                self._refused += 1
            except Exception:
                self._give_back(taken)
                raise
        return taken

    def statistics(self) -> QueueStatistics:
        """Depth, sizes, bounds and what went through this adapter."""
        with self._lock:
            return QueueStatistics(
                depth=self.depth,
                size_bytes=self._size_bytes(),
                capacity=self.capacity,
                capacity_bytes=None,
                enqueued=self._enqueued,
                dequeued=self._dequeued,
                refused=self._refused,
            )

    def _exchange(self, message: Item) -> Item:
        try:
            self._insert(message)
        except QueueFull:
            return self._exchange_taking_first(message)
        return self._take()

    def _exchange_taking_first(self, message: Item) -> Item:
        try:
            oldest = self._take()
        except QueueEmpty:
            raise QueueFull from None  # nothing is there to make room: it does not fit at all
        try:
            self._insert(message)
        except Exception:
            self._give_back([oldest])
            raise
        return oldest

    def _insert(self, message: Item) -> None:
        self._put(message)
        self._enqueued += 1

    def _take(self) -> Item:
        item = self._pocket.popleft() if self._pocket else self._get()
        self._dequeued += 1
        return item

    def _give_back(self, taken: list[Item]) -> None:
        self._pocket.extendleft(reversed(taken))
        self._dequeued -= len(taken)

    def _put(self, message: Item) -> None:
        raise NotImplementedError

    def _get(self) -> Item:
        raise NotImplementedError

    def _length(self) -> int:
        return len(self.original)

    def _size_bytes(self) -> int | None:
        return None


class DequeQueue(_ForeignQueue):
    """A `collections.deque`: in at the right, out at the left, `maxlen` as the capacity.

    A deque that is full would drop its oldest entry silently, so the bound is checked before.
    """

    original: collections.deque[Item]

    @property
    def capacity(self) -> int | None:
        """The deque's `maxlen`."""
        return self.original.maxlen

    def _put(self, message: Item) -> None:
        if self.original.maxlen is not None and len(self.original) >= self.original.maxlen:
            raise QueueFull
        self.original.append(message)

    def _get(self) -> Item:
        try:
            return self.original.popleft()
        except IndexError:
            raise QueueEmpty from None

    def _size_bytes(self) -> int:
        return sum(map(len, (*self._pocket, *self.original)))


class StandardQueue(_ForeignQueue):
    """A `queue.Queue` (or a subclass of it), by its non-blocking methods; `maxsize` as the capacity."""

    original: queue.Queue[Item]

    @property
    def capacity(self) -> int | None:
        """The queue's `maxsize`; 0 means unbounded there."""
        return self.original.maxsize or None

    def _put(self, message: Item) -> None:
        try:
            self.original.put_nowait(message)
        except queue.Full:
            raise QueueFull from None

    def _get(self) -> Item:
        try:
            return self.original.get_nowait()
        except queue.Empty:
            raise QueueEmpty from None

    def _length(self) -> int:
        return self.original.qsize()

    def _size_bytes(self) -> int:
        with self.original.mutex:
            return sum(map(len, (*self._pocket, *self.original.queue)))


class DuckQueue(_ForeignQueue):
    """An object with synchronous `enqueue(message)` and `dequeue()`, which raise `QueueFull` and `QueueEmpty`.

    Its `__len__`, `depth` and `capacity` are used where it has them; without any, depth is what went through here
    (never less than 0: there may have been messages in it before).
    """

    @property
    def capacity(self) -> int | None:
        """The object's own `capacity`, if it has one."""
        capacity: int | None = getattr(self.original, "capacity", None)
        return capacity

    def _put(self, message: Item) -> None:
        self._at_once(self.original.enqueue(message))

    def _get(self) -> Item:
        item: Item = self._at_once(self.original.dequeue())
        return item

    def _length(self) -> int:
        depth = getattr(self.original, "depth", None)
        if isinstance(depth, int):
            return depth
        if hasattr(self.original, "__len__"):
            return len(self.original)
        return max(0, self._enqueued - self._dequeued - len(self._pocket))

    def _at_once(self, result: Any) -> Any:
        """Refuse a Deferred or a coroutine: who answers later has to implement IMessageQueue itself."""
        if hasattr(result, "addCallback") or hasattr(result, "__await__"):
            kind = type(self.original).__name__
            raise TypeError(f"{kind} answers later; declare it @implementer(IMessageQueue) instead of adapting it")
        return result


def adapt_duck(original: Any) -> DuckQueue | None:
    """Adapt anything with `enqueue` and `dequeue`; None (which zope reports) for what has neither."""
    if callable(getattr(original, "enqueue", None)) and callable(getattr(original, "dequeue", None)):
        return DuckQueue(original)
    return None
