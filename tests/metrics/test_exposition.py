"""What is scraped, as Prometheus reads it. Names, types and labels are API: dashboards depend on them."""

from __future__ import annotations

from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.loading import load
from quickpulse.errors import SettingsError
from quickpulse.metrics.loading import make_metrics
from quickpulse.metrics.memory import LATENCY_BOUNDS_SECONDS
from quickpulse.metrics.prometheus import PrometheusMetrics, TrafficCollector, make_registry
from quickpulse.metrics.traffic import REFUSALS, Traffic

OF_THE_QUEUE = {
    "dequeue_total": "counter",
    "dequeue_throughput": "gauge",
    "enqueue_latency_seconds": "histogram",
    "enqueue_throughput": "gauge",
    "enqueue_total": "counter",
    "queue_depth": "gauge",
}
"""The contract's six, under both prefixes."""

OF_THE_SERVICE = {
    "build_info": "gauge",
    "connections_open": "gauge",
    "connections_total": "counter",
    "queue_capacity": "gauge",
    "received_bytes_total": "counter",
    "requests_refused_total": "counter",
    "sent_bytes_total": "counter",
    "undelivered_total": "counter",
}
"""Under our own prefix only."""

REASONS = {
    "bad_request",
    "flood",
    "forbidden_origin",
    "header_too_large",
    "idle",
    "message_too_large",
    "not_found",
    "queue_full",
    "queue_unavailable",
    "stalled",
    "timeout",
    "too_many_connections",
    "too_many_streams",
    "unauthenticated",
    "unimplemented",
}

OUTLIER_SECONDS = 60.0
"""Over the last bound."""


class Page:
    """A scrape, taken apart."""

    def __init__(self, *sources: object) -> None:
        self.text = generate_latest(make_registry(*sources)).decode()
        self.types = dict(line.split()[2:4] for line in self.text.splitlines() if line.startswith("# TYPE "))
        self.samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def labels_of(self, name: str) -> set[str]:
        """The values of a family's one label."""
        return {key[1] for key in self.samples if key[0] == name}

    def named(self, prefix: str) -> dict[str, str]:
        """The types of the families with a prefix, by the rest of their names."""
        return {name.removeprefix(prefix): kind for name, kind in self.types.items() if name.startswith(prefix)}


class QueueFamiliesTests(SynchronousTestCase):
    """PrometheusMetrics."""

    def setUp(self) -> None:
        """A provider on a clock."""
        self.clock = Clock()
        self.metrics = PrometheusMetrics(clock=self.clock.seconds)

    def test_names_and_types(self) -> None:
        """Exactly the contract's six, without a second prefix unless it was asked for."""
        page = Page(self.metrics)
        self.assertEqual(page.named("quickpulse_"), OF_THE_QUEUE)
        self.assertEqual(page.named("unnamedmq_"), {})

    def test_legacy_names(self) -> None:
        """The same six under the earlier prefix too, with the same values."""
        metrics = PrometheusMetrics(legacy_names=True)
        metrics.increment_enqueue(3)
        metrics.set_queue_depth(2)
        page = Page(metrics)
        self.assertEqual((page.named("quickpulse_"), page.named("unnamedmq_")), (OF_THE_QUEUE, OF_THE_QUEUE))
        for name, value in (("enqueue_total", 3), ("queue_depth", 2)):
            self.assertEqual(page.samples["quickpulse_" + name,], value)
            self.assertEqual(page.samples["unnamedmq_" + name,], value)

    def test_the_page_of_a_fresh_server(self) -> None:
        """Each value is there from the start, as 0."""
        page = Page(self.metrics)
        for name in OF_THE_QUEUE:
            if name != "enqueue_latency_seconds":
                self.assertEqual(page.samples["quickpulse_" + name,], 0, name)
        self.assertEqual(page.samples["quickpulse_enqueue_latency_seconds_count",], 0)

    def test_values(self) -> None:
        """Counters, the depth as it is read at this moment, and throughputs of the last second."""
        self.metrics.record_batch(self.clock.seconds(), 5, 2, 0.25)
        depth = 3
        self.metrics.watch_depth(lambda: depth)
        names = ("enqueue_total", "dequeue_total", "queue_depth", "enqueue_throughput", "dequeue_throughput")
        page = Page(self.metrics)
        self.assertEqual([page.samples["quickpulse_" + name,] for name in names], [5, 2, 3, 5, 2])
        self.clock.advance(1.5)
        depth = 7
        page = Page(self.metrics)
        self.assertEqual([page.samples["quickpulse_" + name,] for name in names], [5, 2, 7, 0, 0])

    def test_the_histogram(self) -> None:
        """Count, +Inf and the counter of accepted messages agree; buckets add up; the sum is of the seconds."""
        for place, bound in enumerate(LATENCY_BOUNDS_SECONDS):
            self.metrics.record_batch(0.0, place + 1, 0, bound)
        self.metrics.record_batch(0.0, 4, 0, OUTLIER_SECONDS)
        self.metrics.record_batch(0.0, 0, 9, 0.0)
        page = Page(self.metrics)
        buckets = [value for key, value in page.samples.items() if key[0].endswith("latency_seconds_bucket")]
        self.assertEqual(buckets, [sum(range(1, place + 2)) for place in range(16)] + [136 + 4])
        snapshot = self.metrics.snapshot()
        total = page.samples["quickpulse_enqueue_total",]
        self.assertEqual(
            (total, total, total),
            (buckets[-1], sum(snapshot.latency_counts), page.samples["quickpulse_enqueue_latency_seconds_count",]),
        )
        seconds = sum((place + 1) * bound for place, bound in enumerate(LATENCY_BOUNDS_SECONDS)) + 4 * OUTLIER_SECONDS
        self.assertAlmostEqual(page.samples["quickpulse_enqueue_latency_seconds_sum",], seconds)

    def test_the_bounds_as_labels(self) -> None:
        """16 of them from 0.0001, each double the one before, and +Inf."""
        labels = Page(self.metrics).labels_of("quickpulse_enqueue_latency_seconds_bucket")
        self.assertEqual(sorted(map(float, labels)), [*(0.0001 * 2**i for i in range(16)), float("inf")])

    def test_around_a_bound(self) -> None:
        """A value on a bound is within it, one a little longer is in the next, by either way of telling."""
        for place, bound in enumerate(LATENCY_BOUNDS_SECONDS):
            for seconds, bucket in ((bound, place), (bound * 1.000001, place + 1)):
                metrics = PrometheusMetrics()
                metrics.record_batch(0.0, 1, 0, seconds)
                metrics.observe_enqueue_latency(seconds)
                self.assertEqual(metrics.snapshot().latency_counts[bucket], 2, seconds)


class ServiceFamiliesTests(SynchronousTestCase):
    """TrafficCollector."""

    def setUp(self) -> None:
        """Fresh counts."""
        self.traffic = Traffic()

    def page(self, capacity: int | None = 10) -> Page:
        """A scrape of them."""
        return Page(TrafficCollector(self.traffic, "1.2.3", "websocket", capacity))

    def test_names_and_types(self) -> None:
        """Exactly these."""
        self.assertEqual(self.page().named("quickpulse_"), OF_THE_SERVICE)

    def test_labels(self) -> None:
        """Closed sets, complete from the start."""
        page = self.page()
        self.assertEqual(set(REFUSALS), REASONS)
        self.assertEqual(page.labels_of("quickpulse_requests_refused_total"), REASONS)
        for name in ("connections_open", "connections_total", "received_bytes_total", "sent_bytes_total"):
            self.assertEqual(page.labels_of("quickpulse_" + name), {"grpc", "http", "ws"})

    def test_capacity(self) -> None:
        """The number, or +Inf where there is no bound."""
        self.assertEqual(self.page(10).samples["quickpulse_queue_capacity",], 10)
        self.assertIn("quickpulse_queue_capacity +Inf\n", self.page(None).text)

    def test_build(self) -> None:
        """The version, the mode and the Python that run here."""
        text = self.page().text
        line = next(line for line in text.splitlines() if line.startswith("quickpulse_build_info{"))
        for label in ('version="1.2.3"', 'mode="websocket"', 'python="3.'):
            self.assertIn(label, line)
        self.assertTrue(line.endswith(" 1.0"))


def make_no_collector() -> Any:
    """A user's factory that gives something else."""
    return []


class LoadingTests(SynchronousTestCase):
    """--metrics."""

    def test_legacy_names_are_passed_on(self) -> None:
        """The flag reaches the provider for Prometheus."""
        for flag in (False, True):
            page = Page(make_metrics("prometheus", load, legacy_names=flag))
            self.assertEqual(bool(page.named("unnamedmq_")), flag)

    def test_each_mistake_is_one_line_with_the_flag(self) -> None:
        """What was given and what is wrong with it."""
        for path, problem in (
            ("promtheus", "expected package.module:factory"),
            ("no_such_module_here:factory", "No module named 'no_such_module_here'"),
            (f"{__name__}:nothing", "has no attribute 'nothing'"),
            (f"{__name__}:REASONS", "REASONS is not callable"),
            (f"{__name__}:make_no_collector", "list does not provide IMetricsCollector"),
        ):
            error = self.assertRaises(SettingsError, make_metrics, path, load, legacy_names=False)
            self.assertTrue(str(error).startswith(f"--metrics {path!r}: "), error)
            self.assertIn(problem, str(error))
            self.assertNotIn("\n", str(error))
