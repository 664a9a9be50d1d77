"""Other people's queues keep the contract: a deque, a queue.Queue, a user's own class, adapted or a provider itself."""

from __future__ import annotations

import queue
from collections import deque
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from quickpulse import IMessageQueue, QueueEmpty, QueueFull
from quickpulse.interfaces import QueueStatistics
from quickpulse.messages import require_items
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.memory import DefaultMetrics
from tests.contract import QueueContract


class Duck:
    """A user's own queue: two methods, two errors, and a capacity."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: list[Any] = []

    def enqueue(self, message: Any) -> None:
        if len(self.items) >= self.capacity:
            raise QueueFull
        self.items.append(message)

    def dequeue(self) -> Any:
        if not self.items:
            raise QueueEmpty
        return self.items.pop(0)


@implementer(IMessageQueue)
class Own:
    """A user's own provider, as short as one can be: a list, one message at a time."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: list[Any] = []
        self.enqueued = self.dequeued = self.refused = 0

    @property
    def depth(self) -> int:
        return len(self.items)

    def enqueue(self, message: Any) -> None:
        require_items((message,))
        if self.depth >= self.capacity:
            self.refused += 1
            raise QueueFull
        self.items.append(message)
        self.enqueued += 1

    def dequeue(self) -> Any:
        if not self.items:
            raise QueueEmpty
        self.dequeued += 1
        return self.items.pop(0)

    def enqueue_many(self, messages: Any) -> int:
        require_items(messages)
        fitting = messages[: self.capacity - self.depth]
        self.items += fitting
        self.enqueued += len(fitting)
        self.refused += len(messages) - len(fitting)
        return len(fitting)

    def dequeue_many(self, count: int) -> list[Any]:
        return [self.dequeue() for _ in range(min(count, self.depth))]

    def exchange_many(self, messages: Any) -> list[Any]:
        require_items(messages)
        taken = []
        for message in messages:
            self.items.append(message)
            self.enqueued += 1
            taken.append(self.dequeue())
        return taken

    def statistics(self) -> QueueStatistics:
        return QueueStatistics(
            depth=self.depth,
            size_bytes=sum(map(len, self.items)),
            capacity=self.capacity,
            capacity_bytes=None,
            enqueued=self.enqueued,
            dequeued=self.dequeued,
            refused=self.refused,
        )


class DequeTests(QueueContract, SynchronousTestCase):
    """A collections.deque with maxlen."""

    def make_queue(self, capacity: int) -> Any:
        """Adapted."""
        return IMessageQueue(deque(maxlen=capacity))


class StandardQueueTests(QueueContract, SynchronousTestCase):
    """A queue.Queue with maxsize."""

    def make_queue(self, capacity: int) -> Any:
        """Adapted."""
        return IMessageQueue(queue.Queue(capacity))


class DuckTests(QueueContract, SynchronousTestCase):
    """A user's own class that knows nothing of QuickPulse but its errors."""

    knows_size = False

    def make_queue(self, capacity: int) -> Any:
        """Adapted."""
        return IMessageQueue(Duck(capacity))


class OwnTests(QueueContract, SynchronousTestCase):
    """A user's own class that is declared an IMessageQueue."""

    def make_queue(self, capacity: int) -> Any:
        """Itself, not wrapped."""
        own = Own(capacity)
        self.assertIs(IMessageQueue(own), own)
        return own


class InstrumentedTests(QueueContract, SynchronousTestCase):
    """An adapted queue, reported on."""

    def make_queue(self, capacity: int) -> Any:
        """Around a deque's adapter."""
        return InstrumentedQueue(IMessageQueue(deque(maxlen=capacity)), DefaultMetrics())
