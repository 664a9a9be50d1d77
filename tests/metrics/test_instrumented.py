"""InstrumentedQueue over a queue that answers at once, later, or fails; and for a provider that takes no batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.memory import DefaultMetrics, MetricsSnapshot
from quickpulse.queues.memory import MessageQueue
from tests.contract import LateQueue

CALLS: dict[str, Callable[[Any], Any]] = {
    "enqueue": lambda queue: queue.enqueue(b"x"),
    "dequeue": lambda queue: queue.dequeue(),
    "enqueue_many": lambda queue: queue.enqueue_many([b"x", b"y"]),
    "dequeue_many": lambda queue: queue.dequeue_many(2),
    "exchange_many": lambda queue: queue.exchange_many([b"x", b"y"]),
}


class Broken:
    """A provider whose every call fails."""

    depth = 0
    capacity = None

    def __init__(self, fail: Callable[[], Any]) -> None:
        self.fail = fail

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.fail()


class SlowQueue(MessageQueue):
    """Takes a quarter of a second of the test's time to put in."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(4)
        self.clock = clock

    __slots__ = ("clock",)

    def enqueue(self, message: Any) -> None:
        self.clock.advance(0.25)
        super().enqueue(message)

    def enqueue_many(self, messages: Any) -> int:
        self.clock.advance(0.25)
        return super().enqueue_many(messages)

    def exchange_many(self, messages: Any) -> list[Any]:
        self.clock.advance(0.25)
        return super().exchange_many(messages)


class CountsTestCase(SynchronousTestCase):
    """A clock, metrics, and what they counted."""

    def setUp(self) -> None:
        """Nothing counted yet."""
        self.clock = Clock()
        self.metrics = DefaultMetrics(self.clock.seconds)

    def instrumented(self, queue: Any) -> InstrumentedQueue:
        """On the test's clock."""
        return InstrumentedQueue(queue, self.metrics, self.clock.seconds)

    def counted(self) -> tuple[int, int, int]:
        """Enqueued, dequeued, and messages in the histogram, which are the enqueued ones."""
        now: MetricsSnapshot = self.metrics.snapshot()
        self.assertEqual(sum(now.latency_counts), now.enqueued)
        return now.enqueued, now.dequeued, now.depth


class AtOnceTests(CountsTestCase):
    """The queue answers at once."""

    def test_each_call_is_reported(self) -> None:
        """What was done, once, with the depth after it."""
        queue = self.instrumented(MessageQueue(4))
        story = [(CALLS[name](queue), self.counted())[1] for name in CALLS if name != "dequeue"]
        self.assertEqual(story, [(1, 0, 1), (3, 0, 3), (3, 2, 1), (5, 4, 1)])
        queue.dequeue()
        self.assertEqual(self.counted(), (5, 5, 0))

    def test_only_what_was_done(self) -> None:
        """Refusals, and takes from nothing, count for nothing."""
        queue = self.instrumented(MessageQueue(1))
        self.assertEqual(queue.enqueue_many([b"a", b"b", b"c"]), 1)
        self.assertRaises(QueueFull, queue.enqueue, b"d")
        self.assertEqual(queue.dequeue_many(5), [b"a"])
        self.assertRaises(QueueEmpty, queue.dequeue)
        self.assertRaises(TypeError, queue.enqueue, "text")
        self.assertEqual(self.counted(), (1, 1, 0))
        self.assertIsNone(queue.last_failure)

    def test_latency(self) -> None:
        """The time of the batch, for each message that was accepted of it."""
        queue = self.instrumented(SlowQueue(self.clock))
        for name in ("enqueue", "enqueue_many", "exchange_many"):
            CALLS[name](queue)
        self.assertEqual(self.metrics.snapshot().latency_sum_seconds, 5 * 0.25)

    def test_the_queues_own_figures(self) -> None:
        """Depth, capacity and statistics are the queue's."""
        inner = MessageQueue(4, 100)
        queue = self.instrumented(inner)
        queue.enqueue(b"x")
        self.assertEqual((queue.depth, queue.capacity, queue.statistics()), (1, 4, inner.statistics()))

    def test_depth_is_read_when_it_is_looked_at(self) -> None:
        """Also what went by beside us."""
        inner = MessageQueue(4)
        self.instrumented(inner)
        inner.enqueue(b"x")
        self.assertEqual(self.metrics.snapshot().depth, 1)

    def test_no_metrics_provider(self) -> None:
        """Something else is refused when it is made."""
        self.assertRaises(TypeError, InstrumentedQueue, MessageQueue(), object())


class LaterTests(CountsTestCase):
    """The queue answers a second later."""

    def test_reported_when_it_is_done(self) -> None:
        """Not before; the caller gets what the queue gave, and the latency is the whole second."""
        inner = MessageQueue(4)
        queue = self.instrumented(LateQueue(inner, self.clock))
        for name, outcome, counted in (
            ("enqueue", None, (1, 0, 1)),
            ("enqueue_many", 2, (3, 0, 3)),
            ("exchange_many", [b"x", b"x"], (5, 2, 3)),
            ("dequeue", b"y", (5, 3, 2)),
            ("dequeue_many", [b"x", b"y"], (5, 5, 0)),
        ):
            before = self.counted()
            result = CALLS[name](queue)
            self.assertEqual(self.counted(), before)
            self.clock.advance(1)
            self.assertEqual(self.successResultOf(result), outcome, name)
            self.assertEqual(self.counted(), counted, name)
        self.assertEqual(self.metrics.snapshot().latency_sum_seconds, 5.0)

    def test_a_refusal(self) -> None:
        """It reaches the caller, is not counted, and is no failure of the provider's."""
        queue = self.instrumented(LateQueue(MessageQueue(1), self.clock))
        empty = queue.dequeue()
        queue.enqueue(b"x")
        full = queue.enqueue(b"y")
        self.clock.advance(1)
        self.failureResultOf(empty, QueueEmpty)
        self.failureResultOf(full, QueueFull)
        self.assertEqual(self.counted(), (1, 0, 1))
        self.assertIsNone(queue.last_failure)


class FailureTests(CountsTestCase):
    """The provider fails: it is remembered for /readyz until a call works."""

    def test_at_once(self) -> None:
        """By whichever call; the error reaches the caller, and nothing is counted."""

        def fail() -> Any:
            raise OSError("disk on fire")

        for name, call in CALLS.items():
            queue = self.instrumented(Broken(fail))
            self.assertRaises(OSError, call, queue)
            self.assertEqual(queue.last_failure, "OSError: disk on fire", name)
        self.assertEqual(self.counted(), (0, 0, 0))

    def test_later(self) -> None:
        """When the Deferred fails, and not before."""
        for name, call in CALLS.items():
            asked: Deferred[None] = Deferred()
            queue = self.instrumented(Broken(lambda asked=asked: asked))
            result = call(queue)
            self.assertIsNone(queue.last_failure)
            asked.errback(OSError("disk on fire"))
            self.failureResultOf(result, OSError)
            self.assertEqual(queue.last_failure, "OSError: disk on fire", name)

    def test_forgotten_when_a_call_works(self) -> None:
        """By whichever call, at once or later."""
        for name, call in CALLS.items():
            for is_late in (False, True):
                inner = MessageQueue(9)
                inner.enqueue_many([b"a", b"b", b"c"])
                queue = self.instrumented(LateQueue(inner, self.clock) if is_late else inner)
                queue.last_failure = "OSError: disk on fire"
                call(queue)
                self.clock.advance(1)
                self.assertIsNone(queue.last_failure, (name, is_late))

    def test_a_refusal_does_not_prove_that_it_works(self) -> None:
        """Nor does it count as a failure: what was remembered stays."""
        queue = self.instrumented(MessageQueue(1))
        queue.last_failure = "OSError: disk on fire"
        self.assertRaises(QueueEmpty, queue.dequeue)
        self.assertEqual(queue.last_failure, "OSError: disk on fire")
