"""The reports of an instrumented queue, call by call, as a provider of batches and one of single calls get them."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.interfaces import IBatchMetrics, IMetricsCollector
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.queues.memory import MessageQueue
from tests.contract import LateQueue


@implementer(IMetricsCollector)
class Singles:
    """A user's collector that takes no batches, and writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def increment_enqueue(self, count: int = 1) -> None:
        self.told.append(("in", count))

    def increment_dequeue(self, count: int = 1) -> None:
        self.told.append(("out", count))

    def observe_enqueue_latency(self, seconds: float, count: int = 1) -> None:
        self.told.append(("latency", seconds, count))

    def set_queue_depth(self, depth: int) -> None:
        self.told.append(("depth", depth))

    def enqueue_throughput(self) -> float:
        return 0.0

    def dequeue_throughput(self) -> float:
        return 0.0


@implementer(IBatchMetrics)
class Batches(Singles):
    """A user's collector that takes a batch in one call."""

    def record_batch(self, now: float, enqueued: int, dequeued: int, seconds: float) -> None:
        self.told.append((now, enqueued, dequeued, seconds))

    def watch_depth(self, read: Any) -> None:
        self.read_depth = read


class Ticking:
    """A clock on which each look costs a second: 1.0, 2.0, 3.0."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class AtOnceTests(SynchronousTestCase):
    """Around a queue that answers at once."""

    def test_to_a_provider_of_batches(self) -> None:
        """One report for each call that did something: when, how many in, how many out, how long it took."""
        metrics = Batches()
        queue = InstrumentedQueue(MessageQueue(3), metrics, Ticking())
        queue.enqueue(b"a")
        queue.enqueue_many([b"b", b"c", b"d"])
        queue.exchange_many([b"e", b"f"])
        queue.dequeue()
        queue.dequeue_many(9)
        self.assertEqual(
            metrics.told, [(2.0, 1, 0, 1.0), (4.0, 2, 0, 1.0), (6.0, 2, 2, 1.0), (7.0, 0, 1, 0.0), (8.0, 0, 2, 0.0)]
        )

    def test_to_a_provider_of_single_calls(self) -> None:
        """The same by the four calls of IMetricsCollector, the depth last; a batch has one latency with its count."""
        metrics = Singles()
        queue = InstrumentedQueue(MessageQueue(3), metrics, Ticking())
        self.assertEqual(metrics.told, [("depth", 0)])
        for call, argument, told in (
            (queue.enqueue_many, [b"a", b"b"], [("in", 2), ("latency", 1.0, 2), ("depth", 2)]),
            (queue.enqueue, b"c", [("in", 1), ("latency", 1.0, 1), ("depth", 3)]),
            (queue.exchange_many, [b"d"], [("in", 1), ("latency", 1.0, 1), ("out", 1), ("depth", 3)]),
            (queue.enqueue_many, [b"e"], [("depth", 3)]),
            (queue.dequeue_many, 2, [("out", 2), ("depth", 1)]),
            (queue.dequeue_many, 2, [("out", 1), ("depth", 0)]),
            (queue.dequeue_many, 2, [("depth", 0)]),
        ):
            metrics.told.clear()
            call(argument)
            self.assertEqual(metrics.told, told)

    def test_the_depth_is_read_when_it_is_looked_at(self) -> None:
        """A provider of batches gets a way to read it, and sees messages that went by another way as well."""
        metrics, inner = Batches(), MessageQueue(3)
        InstrumentedQueue(inner, metrics)
        inner.enqueue_many([b"a", b"b"])
        self.assertEqual(metrics.read_depth(), 2)
        self.assertEqual(metrics.told, [])

    def test_what_was_not_done_is_not_reported(self) -> None:
        """Refusals and mistakes raise what the queue raised; the figures stay, and it is no failure."""
        metrics = Batches()
        queue = InstrumentedQueue(MessageQueue(1), metrics)
        self.assertRaises(QueueEmpty, queue.dequeue)
        self.assertRaises(TypeError, queue.enqueue, "text")
        self.assertRaises(TypeError, queue.enqueue_many, [None])
        self.assertRaises(TypeError, queue.exchange_many, [None])
        self.assertEqual(metrics.told, [])
        queue.enqueue(b"a")
        self.assertRaises(QueueFull, queue.enqueue, b"b")
        self.assertEqual(len(metrics.told), 1)
        self.assertIsNone(queue.last_failure)


class LateTests(SynchronousTestCase):
    """Around a queue that answers with Deferreds."""

    def setUp(self) -> None:
        """A queue for two messages that answers after a second."""
        self.clock, self.metrics = Clock(), Batches()
        self.queue = InstrumentedQueue(LateQueue(MessageQueue(2), self.clock), self.metrics, self.clock.seconds)

    def test_reported_when_it_is_done(self) -> None:
        """Nothing is told before the answer; the latency is the wait for it."""
        for call, arguments, answer, report in (
            (self.queue.enqueue, (b"a",), None, (1, 0, 1.0)),
            (self.queue.enqueue_many, ([b"b", b"c"],), 1, (1, 0, 1.0)),
            (self.queue.exchange_many, ([b"d"],), [b"a"], (1, 1, 1.0)),
            (self.queue.dequeue, (), b"b", (0, 1, 0.0)),
            (self.queue.dequeue_many, (9,), [b"d"], (0, 1, 0.0)),
        ):
            self.metrics.told.clear()
            result = call(*arguments)
            self.assertNoResult(result)
            self.assertEqual(self.metrics.told, [])
            self.clock.advance(1)
            self.assertEqual(self.successResultOf(result), answer)
            self.assertEqual(self.metrics.told, [(self.clock.seconds(), *report)])

    def test_to_a_provider_of_single_calls(self) -> None:
        """The depth that is told is the one after the batch."""
        metrics = Singles()
        queue = InstrumentedQueue(LateQueue(MessageQueue(2), self.clock), metrics, self.clock.seconds)
        queue.enqueue_many([b"a", b"b", b"c"])
        self.clock.advance(1)
        self.assertEqual(metrics.told, [("depth", 0), ("in", 2), ("latency", 1.0, 2), ("depth", 2)])
