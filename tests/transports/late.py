"""A queue that answers when a test tells it to, as a provider that `--queue` loads."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from quickpulse.interfaces import IMessageQueue
from quickpulse.queues.memory import MessageQueue


def make_late_queue(*, capacity: int, capacity_bytes: int | None) -> LateProvider:
    """The factory."""
    return LateProvider(capacity, capacity_bytes)


LATE = "tests.transports.late:make_late_queue"
"""What `--queue` is given."""


@implementer(IMessageQueue)
class LateProvider:
    """A MessageQueue of which each call gives a Deferred; `waiting` holds those that have not fired."""

    def __init__(self, capacity: int = 100, capacity_bytes: int | None = None) -> None:
        self.inner = MessageQueue(capacity, capacity_bytes)
        self.capacity = capacity
        self.waiting: list[tuple[Deferred, Any, tuple[Any, ...]]] = []

    @property
    def depth(self) -> int:
        return self.inner.depth

    def statistics(self):
        return self.inner.statistics()

    def enqueue(self, message):
        return self._later(self.inner.enqueue, message)

    def dequeue(self):
        return self._later(self.inner.dequeue)

    def enqueue_many(self, messages):
        return self._later(self.inner.enqueue_many, messages)

    def dequeue_many(self, count):
        return self._later(self.inner.dequeue_many, count)

    def exchange_many(self, messages):
        return self._later(self.inner.exchange_many, messages)

    def _later(self, method, *arguments):
        result: Deferred = Deferred()
        self.waiting.append((result, method, arguments))
        return result

    def answer(self) -> None:
        """Do the oldest call, and fire its Deferred with what comes of it."""
        result, method, arguments = self.waiting.pop(0)
        try:
            value = method(*arguments)
        except Exception:
            result.errback()
        else:
            result.callback(value)

    def fail(self) -> None:
        """Fail the oldest call."""
        self.waiting.pop(0)[0].errback(RuntimeError("disk on fire"))
