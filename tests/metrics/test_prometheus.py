"""The text that Prometheus reads: samples, buckets, labels. Names and labels are an interface."""

from __future__ import annotations

import sys
import threading
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.metrics.prometheus import PrometheusMetrics, TrafficCollector, make_registry
from quickpulse.metrics.traffic import REFUSALS, TRANSPORTS, Traffic

QUEUE_SAMPLES = {
    "enqueue_total": "counter",
    "dequeue_total": "counter",
    "queue_depth": "gauge",
    "enqueue_throughput": "gauge",
    "dequeue_throughput": "gauge",
    "enqueue_latency_seconds": "histogram",
}
"""The contract's six."""

BOUNDS = [
    *("0.0001", "0.0002", "0.0004", "0.0008", "0.0016", "0.0032", "0.0064", "0.0128"),
    *("0.0256", "0.0512", "0.1024", "0.2048", "0.4096", "0.8192", "1.6384", "3.2768", "+Inf"),
]
"""As they are written: the label le is part of the interface too."""


def samples(*sources: object) -> dict[str, list[Any]]:
    """Every sample of a scrape by its name, read by prometheus_client's own parser."""
    text = generate_latest(make_registry(*sources)).decode()
    by_name: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            by_name.setdefault(sample.name, []).append(sample)
    return by_name


class QueueFamilyTests(SynchronousTestCase):
    """PrometheusMetrics.collect."""

    def setUp(self) -> None:
        """Three messages in, one out, two held."""
        self.now = 50.0
        self.metrics = PrometheusMetrics(clock=lambda: self.now)
        self.metrics.record_batch(self.now, 2, 0, 0.0003)
        self.metrics.record_batch(self.now, 1, 1, 9.0)
        self.metrics.watch_depth(lambda: 2)

    def test_types(self) -> None:
        """The six, each of its kind."""
        text = generate_latest(make_registry(self.metrics)).decode()
        for name, kind in QUEUE_SAMPLES.items():
            self.assertIn(f"# TYPE quickpulse_{name} {kind}\n", text)

    def test_values(self) -> None:
        """What was counted."""
        read = samples(self.metrics)
        values = {name: read[f"quickpulse_{name}"][0].value for name in QUEUE_SAMPLES if "latency" not in name}
        self.assertEqual(
            values,
            {
                "enqueue_total": 3,
                "dequeue_total": 1,
                "queue_depth": 2,
                "enqueue_throughput": 3,
                "dequeue_throughput": 1,
            },
        )

    def test_buckets(self) -> None:
        """Cumulative, by these bounds; +Inf, the count and the counter are one number."""
        read = samples(self.metrics)
        buckets = read["quickpulse_enqueue_latency_seconds_bucket"]
        self.assertEqual([bucket.labels["le"] for bucket in buckets], BOUNDS)
        self.assertEqual([bucket.value for bucket in buckets], [0, 0, *[2] * 14, 3])
        self.assertEqual(read["quickpulse_enqueue_latency_seconds_count"][0].value, 3)
        self.assertAlmostEqual(read["quickpulse_enqueue_latency_seconds_sum"][0].value, 9.0006)

    def test_legacy_names(self) -> None:
        """The same six numbers under the earlier prefix, beside the new ones; without the switch, none."""
        legacy = PrometheusMetrics(legacy_names=True, clock=lambda: self.now)
        legacy.record_batch(self.now, 3, 1, 0.001)
        read = samples(legacy)
        ours = {name.removeprefix("quickpulse_"): name for name in read if name.startswith("quickpulse_")}
        theirs = {name.removeprefix("unnamedmq_"): name for name in read if name.startswith("unnamedmq_")}
        self.assertEqual(set(ours), set(theirs))
        for suffix, name in ours.items():
            values = [sample.value for sample in read[name]]
            self.assertEqual([sample.value for sample in read[theirs[suffix]]], values, suffix)
        self.assertEqual([name for name in samples(self.metrics) if name.startswith("unnamedmq_")], [])

    def test_the_usual_ones(self) -> None:
        """process_* and python_* are beside ours, and two servers in one process do not share numbers."""
        read = samples(self.metrics)
        self.assertIn("python_info", read)
        if sys.platform == "linux":
            self.assertIn("process_resident_memory_bytes", read)
        self.assertEqual(samples(PrometheusMetrics())["quickpulse_enqueue_total"][0].value, 0)


class TrafficTests(SynchronousTestCase):
    """Traffic, and how it is shown."""

    def setUp(self) -> None:
        """Something of everything."""
        self.traffic = Traffic()
        ws = self.traffic.of("ws")
        ws.opened()
        ws.opened()
        ws.closed()
        ws.received_bytes += 100
        ws.sent_bytes += 50
        self.traffic.refused("queue_full", 3)
        self.traffic.refused("not_found")
        self.traffic.undelivered(7)
        self.read = samples(TrafficCollector(self.traffic, "1.2.3", "ws", 10))

    def values(self, name: str, label: str) -> dict[str, float]:
        """A labelled metric."""
        return {sample.labels[label]: sample.value for sample in self.read[f"quickpulse_{name}"]}

    def test_transports(self) -> None:
        """Each from the start, with zeros."""
        self.assertEqual(self.values("received_bytes_total", "transport"), {"grpc": 0, "http": 0, "ws": 100})
        self.assertEqual(self.values("sent_bytes_total", "transport"), {"grpc": 0, "http": 0, "ws": 50})
        self.assertEqual(self.values("connections_open", "transport"), {"grpc": 0, "http": 0, "ws": 1})
        self.assertEqual(self.values("connections_total", "transport"), {"grpc": 0, "http": 0, "ws": 2})

    def test_grpcio(self) -> None:
        """The connections of grpcio's server are not known and not shown."""
        self.read = samples(TrafficCollector(self.traffic, "1.2.3", "grpc", 10, is_grpcio=True))
        self.assertEqual(self.values("connections_open", "transport"), {"http": 0, "ws": 1})
        self.assertEqual(self.values("connections_total", "transport"), {"http": 0, "ws": 2})
        self.assertEqual(set(self.values("received_bytes_total", "transport")), {"grpc", "http", "ws"})

    def test_refusals(self) -> None:
        """Each reason from the start, so that a rate has something to start from."""
        expected = {**dict.fromkeys(REFUSALS, 0), "queue_full": 3, "not_found": 1}
        self.assertEqual(self.values("requests_refused_total", "reason"), expected)

    def test_single_values(self) -> None:
        """Undelivered messages, the capacity, and what runs here."""
        self.assertEqual(self.read["quickpulse_undelivered_total"][0].value, 7)
        self.assertEqual(self.read["quickpulse_queue_capacity"][0].value, 10)
        build = self.read["quickpulse_build_info"][0].labels
        self.assertEqual((build["version"], build["mode"]), ("1.2.3", "ws"))

    def test_closed_sets(self) -> None:
        """The sets of words are fixed: a new one is a change of the interface."""
        self.assertEqual(TRANSPORTS, ("grpc", "http", "ws"))
        self.assertRaises(KeyError, self.traffic.refused, "whim")
        self.assertRaises(KeyError, self.traffic.of, "carrier pigeon")
        self.assertRaises(AttributeError, setattr, self.traffic.of("ws"), "connections_lost", 1)


class ThroughputTests(SynchronousTestCase):
    """The window of the last second, from samples of the counts."""

    def setUp(self) -> None:
        """Metrics on a clock of the test's."""
        self.now = 0.0
        self.metrics = DefaultMetrics(lambda: self.now)

    def test_a_steady_rate(self) -> None:
        """1,000 messages a second, one each millisecond: never more than 5 % off, once a second has gone by."""
        for millisecond in range(3000):
            self.now = millisecond / 1000
            self.metrics.record_batch(self.now, 1, 1, 0.0)
            if millisecond >= 1000:
                self.assertTrue(950 <= self.metrics.enqueue_throughput() <= 1001, (self.now, millisecond))
                self.assertTrue(950 <= self.metrics.dequeue_throughput() <= 1001, (self.now, millisecond))

    def test_the_samples_are_bounded(self) -> None:
        """However many batches: about twenty samples are kept."""
        for number in range(10_000):
            self.now = number / 1000
            self.metrics.record_batch(self.now, 1, 0, 0.0)
        self.assertLessEqual(len(self.metrics._samples), 21)

    def test_one_burst(self) -> None:
        """It is there at once, stays for its second, and is gone after it, though nobody counts any more."""
        self.now = 10.0
        self.metrics.increment_enqueue(500)
        self.assertEqual(self.metrics.enqueue_throughput(), 500)
        self.now = 10.99
        self.assertEqual(self.metrics.enqueue_throughput(), 500)
        self.now = 11.0
        self.assertEqual(self.metrics.enqueue_throughput(), 0)


class ThreadTests(SynchronousTestCase):
    """Metrics are a library too: any number of threads may use one."""

    def test_no_count_is_lost(self) -> None:
        """All ways of counting at once, with readers between, switching as often as the interpreter can."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)
        metrics = PrometheusMetrics()

        def count() -> None:
            for _ in range(500):
                metrics.record_batch(0.0, 1, 2, 0.001)
                metrics.increment_enqueue()
                metrics.observe_enqueue_latency(0.001)
                metrics.increment_dequeue(2)
                metrics.enqueue_throughput()

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        now = metrics.snapshot()
        self.assertEqual((now.enqueued, now.dequeued, sum(now.latency_counts)), (8000, 16_000, 8000))
