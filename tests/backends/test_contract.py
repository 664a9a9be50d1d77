"""Adapted objects keep the contract: a deque, a queue.Queue, and a user's own class."""

from __future__ import annotations

import queue
from collections import deque
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse import IMessageQueue, QueueEmpty, QueueFull
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
