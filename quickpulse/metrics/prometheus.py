"""What Prometheus sees: collectors that read plain numbers at scrape time. Counting itself is done elsewhere."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from zope.interface import implementer

from quickpulse.interfaces import IMetricsSource
from quickpulse.metrics.memory import LATENCY_BOUNDS_SECONDS, DefaultMetrics, MetricsSnapshot
from quickpulse.metrics.traffic import Traffic

PREFIX = "quickpulse_"
LEGACY_PREFIX = "unnamedmq_"
"""The earlier system's prefix, for its dashboards (--legacy-metric-names)."""


@implementer(IMetricsSource)
class PrometheusMetrics(DefaultMetrics):
    """DefaultMetrics that can be scraped: the six metrics of the contract.

    :param legacy_names: serve them under the earlier system's prefix too.
    """

    def __init__(self, *, legacy_names: bool = False, **defaults: object) -> None:
        super().__init__(**defaults)  # type: ignore[arg-type]
        self._prefixes = (PREFIX, LEGACY_PREFIX) if legacy_names else (PREFIX,)

    def collect(self) -> Iterator[Metric]:
        """The six families, for each prefix."""
        now = self.snapshot()
        for prefix in self._prefixes:
            yield CounterMetricFamily(prefix + "enqueue", "Messages accepted.", value=now.enqueued)
            yield CounterMetricFamily(prefix + "dequeue", "Messages taken out.", value=now.dequeued)
            yield GaugeMetricFamily(prefix + "queue_depth", "Messages held now.", value=now.depth)
            yield GaugeMetricFamily(
                prefix + "enqueue_throughput",
                "Messages accepted in the last second.",
                value=self.enqueue_throughput(),
            )
            yield GaugeMetricFamily(
                prefix + "dequeue_throughput",
                "Messages taken out in the last second.",
                value=self.dequeue_throughput(),
            )
            yield _latency_family(prefix, now)


def _latency_family(prefix: str, now: MetricsSnapshot) -> HistogramMetricFamily:
    bounds = [*map(floatToGoString, LATENCY_BOUNDS_SECONDS), "+Inf"]
    return HistogramMetricFamily(
        prefix + "enqueue_latency_seconds",
        "Time from a message's handing over to the queue until it was accepted.",
        buckets=list(zip(bounds, accumulate(now.latency_counts), strict=True)),
        sum_value=now.latency_sum_seconds,
    )


_TRANSPORT_FAMILIES: tuple[tuple[type[CounterMetricFamily | GaugeMetricFamily], str, str, str], ...] = (
    (GaugeMetricFamily, "connections_open", "Connections open now.", "connections_open"),
    (CounterMetricFamily, "connections", "Connections accepted.", "connections_total"),
    (CounterMetricFamily, "received_bytes", "Bytes in; with grpcio's server of payloads only.", "received_bytes"),
    (CounterMetricFamily, "sent_bytes", "Bytes out; with grpcio's server of payloads only.", "sent_bytes"),
)


UNKNOWN_TO_GRPCIO = ("connections_open", "connections_total")
"""grpcio's server does not show its connections: no number is better than a wrong one."""


class TrafficCollector(Collector):
    """The transports' counts as metric families.

    :param traffic: where the transports count.
    :param version: the package's version, for quickpulse_build_info.
    :param mode: the mode that is served, likewise.
    :param capacity: most messages that the queue holds; `None` is unbounded, and shows as +Inf.
    :param is_grpcio: whether the gRPC server is grpcio's.
    """

    def __init__(
        self, traffic: Traffic, version: str, mode: str, capacity: int | None, *, is_grpcio: bool = False
    ) -> None:
        self._is_grpcio = is_grpcio
        self._traffic = traffic
        self._capacity = math.inf if capacity is None else capacity
        self._build = {"version": version, "mode": mode, "python": platform.python_version()}

    def collect(self) -> Iterator[Metric]:
        """Connections, bytes, refusals, undelivered messages and the build."""
        traffic = self._traffic
        for family, name, text, attribute in _TRANSPORT_FAMILIES:
            values = {transport: getattr(counts, attribute) for transport, counts in traffic.transports.items()}
            if self._is_grpcio and attribute in UNKNOWN_TO_GRPCIO:
                del values["grpc"]
            yield _labelled(family, name, text, "transport", values)
        yield _labelled(
            CounterMetricFamily,
            "requests_refused",
            "Requests refused, by reason.",
            "reason",
            traffic.refused_total,
        )
        yield GaugeMetricFamily(PREFIX + "queue_capacity", "Most messages that the queue holds.", value=self._capacity)
        yield CounterMetricFamily(
            PREFIX + "undelivered",
            "Messages taken for a connection that ended before they were on their way.",
            value=traffic.undelivered_total,
        )
        yield InfoMetricFamily(PREFIX + "build", "What runs here.", value=self._build)


def _labelled(
    family: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    text: str,
    label: str,
    values: dict[str, int],
) -> Metric:
    """A family with one label, a sample for each of `values`."""
    metric = family(PREFIX + name, text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric


def make_registry(*sources: object) -> CollectorRegistry:
    """A registry of its own with the usual process_* and python_* metrics and the given collectors.

    Not prometheus_client's global one: two services in one process must not see each other's numbers.
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for source in sources:
        registry.register(source)  # type: ignore[arg-type]
    return registry
