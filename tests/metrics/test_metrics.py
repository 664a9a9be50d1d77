"""Metrics: what is counted, and under which names it is shown."""

from __future__ import annotations

import math
import threading

from prometheus_client import generate_latest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from quickpulse.backends.loading import load
from quickpulse.errors import QueueFull, SettingsError
from quickpulse.interfaces import IBatchMetrics, IMetricsCollector, IMetricsSource
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.loading import make_metrics
from quickpulse.metrics.memory import LATENCY_BOUNDS_SECONDS, DefaultMetrics
from quickpulse.metrics.prometheus import PrometheusMetrics, TrafficCollector, make_registry
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue

NAMES = {
    "quickpulse_build_info",
    "quickpulse_connections_open",
    "quickpulse_connections_total",
    "quickpulse_dequeue_throughput",
    "quickpulse_dequeue_total",
    "quickpulse_enqueue_latency_seconds",
    "quickpulse_enqueue_throughput",
    "quickpulse_enqueue_total",
    "quickpulse_queue_capacity",
    "quickpulse_queue_depth",
    "quickpulse_received_bytes_total",
    "quickpulse_requests_refused_total",
    "quickpulse_sent_bytes_total",
    "quickpulse_undelivered_total",
}
"""Names are API: dashboards of users depend on them."""


@implementer(IMetricsCollector)
class Events:
    """A user's own collector, which writes everything down."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []

    def increment_enqueue(self, count=1):
        self.seen.append(("enqueue", count))

    def increment_dequeue(self, count=1):
        self.seen.append(("dequeue", count))

    def observe_enqueue_latency(self, seconds, count=1):
        self.seen.append(("latency", count))

    def set_queue_depth(self, depth):
        self.seen.append(("depth", depth))

    def enqueue_throughput(self):
        return 0.0

    def dequeue_throughput(self):
        return 0.0


class DefaultMetricsTests(SynchronousTestCase):
    """Plain integers."""

    def setUp(self) -> None:
        self.now = 100.0
        self.metrics = DefaultMetrics(lambda: self.now)

    def test_ports(self) -> None:
        """Both providers are what they say."""
        for metrics in (DefaultMetrics(), PrometheusMetrics()):
            self.assertTrue(verifyObject(IMetricsCollector, metrics))
            self.assertTrue(verifyObject(IBatchMetrics, metrics))
        self.assertTrue(verifyObject(IMetricsSource, PrometheusMetrics()))
        self.assertTrue(verifyObject(IMetricsCollector, Events()))

    def test_bounds(self) -> None:
        """16 buckets from 0.1 ms, each double the one before; a value on a bound is in its bucket."""
        self.assertEqual(len(LATENCY_BOUNDS_SECONDS), 16)
        for i, bound in enumerate(LATENCY_BOUNDS_SECONDS):
            self.assertEqual(bound, 0.0001 * 2**i)
            self.metrics.record_batch(self.now, 1, 0, bound)
            self.metrics.observe_enqueue_latency(bound)
        self.metrics.observe_enqueue_latency(99.0, 5)
        self.assertEqual(self.metrics.snapshot().latency_counts, (*[2] * 16, 5))

    def test_throughput_is_of_the_last_second(self) -> None:
        """What was counted leaves the gauge after a second."""
        self.metrics.increment_enqueue(5)
        self.metrics.increment_dequeue(3)
        self.now += 0.5
        self.metrics.record_batch(self.now, 2, 1, 0.0)
        self.assertEqual((self.metrics.enqueue_throughput(), self.metrics.dequeue_throughput()), (7, 4))
        self.now += 0.6
        self.assertEqual((self.metrics.enqueue_throughput(), self.metrics.dequeue_throughput()), (2, 1))
        self.now += 1
        self.assertEqual((self.metrics.enqueue_throughput(), self.metrics.dequeue_throughput()), (0, 0))
        self.assertEqual(self.metrics.snapshot().enqueued, 7)

    def test_depth(self) -> None:
        """Told, or read when it is looked at."""
        self.metrics.set_queue_depth(4)
        self.assertEqual(self.metrics.snapshot().depth, 4)
        self.metrics.watch_depth(lambda: 9)
        self.assertEqual(self.metrics.snapshot().depth, 9)

    def test_threads(self) -> None:
        """No count is lost between threads."""
        threads = [
            threading.Thread(target=lambda: [self.metrics.record_batch(0.0, 1, 1, 0.0) for _ in range(5000)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((self.metrics.snapshot().enqueued, self.metrics.snapshot().dequeued), (20_000, 20_000))


class ExpositionTests(SynchronousTestCase):
    """What Prometheus reads."""

    def text(self, legacy_names: bool = False, capacity: int | None = 10) -> str:
        """The page of a fresh server."""
        metrics = PrometheusMetrics(legacy_names=legacy_names)
        metrics.record_batch(0.0, 3, 1, 0.001)
        return generate_latest(make_registry(metrics, TrafficCollector(Traffic(), "1", "ws", capacity))).decode()

    def test_names(self) -> None:
        """Exactly these; with the legacy prefix the six of the queue too."""
        names = {line.split()[2] for line in self.text().splitlines() if line.startswith("# TYPE quickpulse_")}
        self.assertEqual(names, NAMES)
        legacy = {line.split()[2] for line in self.text(True).splitlines() if line.startswith("# TYPE unnamedmq_")}
        self.assertEqual(len(legacy), 6)

    def test_the_histogram_counts_what_was_enqueued(self) -> None:
        """Its count equals the counter."""
        text = self.text()
        self.assertIn("quickpulse_enqueue_total 3.0", text)
        self.assertIn("quickpulse_enqueue_latency_seconds_count 3.0", text)

    def test_capacity(self) -> None:
        """No bound is +Inf."""
        text = self.text(capacity=None)
        self.assertIn("quickpulse_queue_capacity +Inf", text)
        self.assertEqual(TrafficCollector(Traffic(), "1", "ws", None)._capacity, math.inf)

    def test_labels_are_closed_sets(self) -> None:
        """An unknown reason or transport is a mistake, not a new time series."""
        self.assertRaises(KeyError, Traffic().refused, "whim")
        self.assertRaises(KeyError, Traffic().of, "carrier pigeon")


class InstrumentedQueueTests(SynchronousTestCase):
    """What is reported, and to whom."""

    def test_every_event_reaches_a_users_collector(self) -> None:
        """Batches, single messages and exchanges, each with its depth."""
        events = Events()
        queue = InstrumentedQueue(MessageQueue(3), events)
        queue.enqueue_many([b"a", b"b"])
        queue.enqueue(b"c")
        self.assertRaises(QueueFull, queue.enqueue, b"d")
        queue.exchange_many([b"d"])
        queue.dequeue()
        queue.dequeue_many(5)
        counts = {kind: sum(n for k, n in events.seen if k == kind) for kind in ("enqueue", "dequeue", "latency")}
        self.assertEqual(counts, {"enqueue": 4, "dequeue": 4, "latency": 4})
        self.assertEqual([n for k, n in events.seen if k == "depth"], [0, 2, 3, 3, 2, 0])

    def test_failures_of_the_provider_are_remembered(self) -> None:
        """Until it works again; a refusal is none."""
        inner = MessageQueue(1)
        queue = InstrumentedQueue(inner, DefaultMetrics())

        class Failing:
            depth = capacity = 0

            def enqueue_many(self, messages):
                raise OSError("disk on fire")

            dequeue_many = exchange_many = enqueue = enqueue_many

            def dequeue(self):
                return Deferred()

        queue.queue = Failing()
        for method in (queue.enqueue_many, queue.dequeue_many, queue.exchange_many, queue.enqueue):
            queue.last_failure = None
            self.assertRaises(OSError, method, [b"a"])
            self.assertEqual(queue.last_failure, "OSError: disk on fire")
        late = queue.dequeue()
        queue.queue = inner
        late.callback(b"x")
        self.assertIsNone(queue.last_failure)


class LoadingTests(SynchronousTestCase):
    """--metrics."""

    def test_providers(self) -> None:
        """By word, or by the path of a factory."""
        self.assertIsInstance(make_metrics("prometheus", load, legacy_names=False), PrometheusMetrics)
        self.assertIs(type(make_metrics("memory", load, legacy_names=False)), DefaultMetrics)
        self.assertIsInstance(make_metrics(f"{__name__}:Events", load, legacy_names=False), Events)

    def test_what_is_no_collector(self) -> None:
        """One line that names the option."""
        error = self.assertRaises(SettingsError, make_metrics, "builtins:dict", load, legacy_names=False)
        self.assertIn("--metrics", str(error))
