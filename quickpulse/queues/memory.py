"""The bounded in-memory queue. Only the algorithm belongs here: no waiting, no metrics, no wire."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, repeat, starmap

from zope.interface import implementer

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.interfaces import IMessageQueue, QueueStatistics
from quickpulse.messages import ITEM_TYPES, Item, require_items

DEFAULT_CAPACITY = 1_000_000
"""Messages. About 60 MiB of short ones: a bound that a backlog reaches before the machine's memory does."""


@implementer(IMessageQueue)
class MessageQueue:
    """A first-in, first-out queue for any number of threads, bounded in messages and, if asked, in bytes.

    A message without an id is its `bytes` in a deque: no object of ours for each, nothing for the garbage collector
    to visit. Check and change happen under one lock, taken once a batch.

    :param capacity: most messages it holds, 1 or more.
    :param capacity_bytes: most payload bytes it holds; `None` is unbounded.
    """

    __slots__ = (
        "_dequeued",
        "_enqueued",
        "_items",
        "_lock",
        "_refused",
        "_size_bytes",
        "capacity",
        "capacity_bytes",
    )

    def __init__(self, capacity: int = DEFAULT_CAPACITY, capacity_bytes: int | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, the least is 1 message")
        if capacity_bytes is not None and capacity_bytes < 1:
            raise ValueError(f"capacity_bytes is {capacity_bytes}, the least is 1 byte (None: no bound)")
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self._items: deque[Item] = deque()
        self._size_bytes = self._enqueued = self._dequeued = self._refused = 0
        self._lock = threading.Lock()

    @property
    def depth(self) -> int:
        """Messages held now."""
        return len(self._items)

    def enqueue(self, message: Item) -> None:
        """Put one message in; `QueueFull` when a bound forbids it.

        Not a batch of one: over gRPC this is the hot path, and each frame on it costs.
        """
        if type(message) not in ITEM_TYPES:
            require_items((message,))
        with self._lock:
            items = self._items
            if len(items) >= self.capacity or (
                self.capacity_bytes is not None and self._size_bytes + len(message) > self.capacity_bytes
            ):
                self._refused += 1
                raise QueueFull
            items.append(message)
            self._size_bytes += len(message)
            self._enqueued += 1

    def dequeue(self) -> Item:
        """Take the oldest message; `QueueEmpty` when there is none."""
        with self._lock:
            if not self._items:
                raise QueueEmpty
            item = self._items.popleft()
            self._size_bytes -= len(item)
            self._dequeued += 1
            return item

    def enqueue_many(self, messages: Sequence[Item]) -> int:
        """Put in the longest prefix of `messages` that fits and return its length."""
        if len(messages) == 1 and self.capacity_bytes is None:  # a client that waits for each answer pays for each step
            message = messages[0]
            if type(message) not in ITEM_TYPES:
                require_items(messages)
            with self._lock:
                if len(self._items) >= self.capacity:
                    self._refused += 1
                    return 0
                self._items.append(message)
                self._size_bytes += len(message)
                self._enqueued += 1
            return 1
        require_items(messages)
        size_bytes = sum(map(len, messages))
        with self._lock:
            fitting = self._fitting(messages, size_bytes)
            if fitting < len(messages):
                self._refused += len(messages) - fitting
                messages = messages[:fitting]
                size_bytes = sum(map(len, messages))
            self._items.extend(messages)
            self._size_bytes += size_bytes
            self._enqueued += fitting
        return fitting

    def dequeue_many(self, count: int) -> list[Item]:
        """Take up to `count` of the oldest messages."""
        with self._lock:
            if count == 1 and self._items:  # as in enqueue_many
                item = self._items.popleft()
                self._size_bytes -= len(item)
                self._dequeued += 1
                return [item]
            return self._take(count)

    def exchange_many(self, messages: Sequence[Item]) -> list[Item]:
        """Put each message in and take the oldest for it; end before the first that a bound in bytes forbids."""
        if len(messages) == 1 and self.capacity_bytes is None:  # over gRPC this is the hot path
            message = messages[0]
            if type(message) not in ITEM_TYPES:
                require_items(messages)
            with self._lock:
                items = self._items
                items.append(message)  # one more than the capacity for a moment that nobody sees
                item = items.popleft()
                self._size_bytes += len(message) - len(item)
                self._enqueued += 1
                self._dequeued += 1
            return [item]
        require_items(messages)
        with self._lock:
            if self.capacity_bytes is None and len(self._items) + len(messages) <= self.capacity:
                self._put(messages)
                return self._take(len(messages))
            taken: list[Item] = []
            for message in messages:
                if not self._exchange_fits(message):
                    self._refused += 1
                    break
                self._put((message,))
                taken += self._take(1)
            return taken

    def statistics(self) -> QueueStatistics:
        """Depth, sizes, bounds and counts at this moment."""
        with self._lock:
            return QueueStatistics(
                depth=len(self._items),
                size_bytes=self._size_bytes,
                capacity=self.capacity,
                capacity_bytes=self.capacity_bytes,
                enqueued=self._enqueued,
                dequeued=self._dequeued,
                refused=self._refused,
            )

    def _fitting(self, messages: Sequence[Item], size_bytes: int) -> int:
        """How many of `messages`, together `size_bytes` long, fit from the first on."""
        room = self.capacity - len(self._items)
        fitting = len(messages) if len(messages) <= room else max(room, 0)
        if self.capacity_bytes is None or self._size_bytes + size_bytes <= self.capacity_bytes:
            return fitting
        room_bytes = self.capacity_bytes - self._size_bytes
        return min(fitting, sum(1 for total in accumulate(map(len, messages)) if total <= room_bytes))

    def _exchange_fits(self, message: Item) -> bool:
        """Whether `message` fits once the oldest has made room, where room is needed.

        With room for one more message, putting first and taking second is within every bound but the one in bytes;
        what counts there is the size after the exchange, or before it when the queue is empty.
        """
        if self.capacity_bytes is None:
            return True
        oldest = len(self._items[0]) if self._items else 0
        return self._size_bytes - oldest + len(message) <= self.capacity_bytes

    def _put(self, messages: Sequence[Item]) -> None:
        self._items.extend(messages)
        self._size_bytes += sum(map(len, messages))
        self._enqueued += len(messages)

    def _take(self, count: int) -> list[Item]:
        taken = list(starmap(self._items.popleft, repeat((), min(count, len(self._items)))))
        self._size_bytes -= sum(map(len, taken))
        self._dequeued += len(taken)
        return taken
