"""A queue that reports what goes through it. Only the reporting belongs here; the queue stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.interfaces import IBatchMetrics, IMessageQueue, IMetricsCollector, QueueStatistics
from quickpulse.messages import Item

T = TypeVar("T")


@implementer(IMessageQueue)
class InstrumentedQueue:
    """Any IMessageQueue, reporting to any IMetricsCollector: once a batch, and only what was done.

    Where the queue answers with a Deferred, so does this, and reports when it fires. What was done late is counted as
    well: a report goes with the message, not with the wait. (Plain answers are told by their type first: to Python,
    Deferred is an abstract class, and `isinstance` of such a one is slow.)

    :param queue: what is measured.
    :param metrics: who is told.
    :param clock: seconds, for the latency; given by tests.
    """

    def __init__(self, queue: Any, metrics: Any, clock: Callable[[], float] = perf_counter) -> None:
        self.queue = queue
        self.metrics = IMetricsCollector(metrics)
        self.last_failure: str | None = None
        """Why the queue failed last (not: was full or empty); None once it worked again. Read by /readyz."""
        self._clock = clock
        self._record: Callable[[float, int, int, float], None]
        if IBatchMetrics.providedBy(self.metrics):
            self._record = self.metrics.record_batch
            self.metrics.watch_depth(lambda: queue.depth)
        else:
            self._record = self._record_singly
            self.metrics.set_queue_depth(queue.depth)

    @property
    def depth(self) -> int:
        """The queue's."""
        depth: int = self.queue.depth
        return depth

    @property
    def capacity(self) -> int | None:
        """The queue's."""
        capacity: int | None = self.queue.capacity
        return capacity

    def statistics(self) -> QueueStatistics:
        """The queue's."""
        statistics: QueueStatistics = self.queue.statistics()
        return statistics

    def enqueue(self, message: Item) -> Any:
        """Put one message in, and report it.

        Not a batch of one: over gRPC this is the hot path, and each frame on it costs.
        """
        started = self._clock()
        try:
            result = self.queue.enqueue(message)
        except Exception as error:
            self._failed(error)
            raise
        if result is not None and isinstance(result, Deferred):
            return self._later(result, self._report_one_enqueued, started)
        now = self._clock()
        self._record(now, 1, 0, now - started)
        self.last_failure = None
        return None

    def dequeue(self) -> Any:
        """Take one message, and report it."""
        try:
            item = self.queue.dequeue()
        except Exception as error:
            self._failed(error)
            raise
        if type(item) is not bytes and isinstance(item, Deferred):
            return self._later(item, self._report_one_dequeued, 0.0)
        self._record(self._clock(), 0, 1, 0.0)
        self.last_failure = None
        return item

    def enqueue_many(self, messages: Sequence[Item]) -> Any:
        """Put messages in and report how many, and how long it took."""
        started = self._clock()
        try:
            accepted = self.queue.enqueue_many(messages)
        except Exception as error:
            self._failed(error)
            raise
        if type(accepted) is not int and isinstance(accepted, Deferred):
            return self._later(accepted, self._report_enqueued, started)
        now = self._clock()
        self._record(now, accepted, 0, now - started)
        self.last_failure = None
        return accepted

    def dequeue_many(self, count: int) -> Any:
        """Take messages and report how many."""
        try:
            taken = self.queue.dequeue_many(count)
        except Exception as error:
            self._failed(error)
            raise
        if type(taken) is not list and isinstance(taken, Deferred):
            return self._later(taken, self._report_dequeued, 0.0)
        self._record(self._clock(), 0, len(taken), 0.0)
        self.last_failure = None
        return taken

    def exchange_many(self, messages: Sequence[Item]) -> Any:
        """Exchange messages and report both ways."""
        started = self._clock()
        try:
            taken = self.queue.exchange_many(messages)
        except Exception as error:
            self._failed(error)
            raise
        if type(taken) is not list and isinstance(taken, Deferred):
            return self._later(taken, self._report_exchanged, started)
        now, count = self._clock(), len(taken)
        self._record(now, count, count, now - started)
        self.last_failure = None
        return taken

    def _report_one_enqueued(self, _: None, started: float) -> None:
        self._report_enqueued(1, started)

    def _report_one_dequeued(self, item: Item, started: float) -> Item:
        self._report_dequeued([item], started)
        return item

    def _report_enqueued(self, accepted: int, started: float) -> int:
        now = self._clock()
        self._record(now, accepted, 0, now - started)
        self.last_failure = None
        return accepted

    def _report_dequeued(self, taken: list[Item], _started: float) -> list[Item]:
        self._record(self._clock(), 0, len(taken), 0.0)
        self.last_failure = None
        return taken

    def _report_exchanged(self, taken: list[Item], started: float) -> list[Item]:
        now, count = self._clock(), len(taken)
        self._record(now, count, count, now - started)
        self.last_failure = None
        return taken

    def _record_singly(self, _now: float, enqueued: int, dequeued: int, seconds: float) -> None:
        """Report a batch to a provider that takes no batches."""
        metrics = self.metrics
        if enqueued:
            metrics.increment_enqueue(enqueued)
            metrics.observe_enqueue_latency(seconds, enqueued)
        if dequeued:
            metrics.increment_dequeue(dequeued)
        metrics.set_queue_depth(self.queue.depth)

    def _later(self, result: Deferred[T], report: Callable[[T, float], T], started: float) -> Deferred[T]:
        return result.addErrback(self._failed_later).addCallback(report, started)

    def _failed_later(self, failure: Failure) -> Failure:
        self._failed(failure.value)
        return failure

    def _failed(self, error: BaseException | None) -> None:
        """Remember a failure of the provider's; a refusal or a caller's mistake is none."""
        if not isinstance(error, (QueueFull, QueueEmpty, TypeError)):
            self.last_failure = f"{type(error).__name__}: {error}"
