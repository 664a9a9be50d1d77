"""v1 as Prometheus sees it: the named queues, which are read when somebody scrapes, and the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from quickpulse.interfaces import QueueReading
from quickpulse.metrics.counted_broker import CountedBroker
from quickpulse.metrics.traffic import Traffic

PREFIX = "quickpulse_queue_"

GAUGES: tuple[tuple[str, str, Callable[[QueueReading], float]], ...] = (
    ("ready", "Messages that can be delivered now.", lambda each: each.ready),
    ("leased", "Messages that are delivered and not settled yet.", lambda each: each.leased),
    ("delayed", "Messages that wait for their delay or for a retry.", lambda each: each.delayed),
    (
        "dead_letters",
        "Messages in the queue's dead-letter queue; queues that share one show the same.",
        lambda each: each.dead_letters,
    ),
    ("size_bytes", "Payloads and properties of all messages.", lambda each: each.size_bytes),
    (
        "oldest_message_age_seconds",
        "Age of the oldest ready message since it was accepted; 0: none is ready.",
        lambda each: each.oldest_ms / 1000,
    ),
    ("waiters", "Pulls that wait for messages, and subscriptions.", lambda each: each.waiters),
)
"""Name, help, and how it is read. Only queues that are there have them."""

COUNTERS = (
    ("published", "Messages accepted."),
    ("delivered", "Deliveries, leased or taken; a message can have several."),
    ("acked", "Messages settled as done."),
    ("nacked", "Messages settled as failed."),
    ("released", "Messages given back, as if not delivered."),
    ("expired", "Leases that ran out, by message."),
    ("redelivered", "Deliveries that were not the message's first."),
    ("dead_lettered", "Messages moved to the dead-letter queue."),
    ("dropped", "Messages dropped to make room for newer ones."),
    ("void", "Messages whose time to live was up."),
    ("purged", "Messages thrown away by a purge, or with the queue."),
)
"""Names in `QueueReading.counts`, and help."""


class QueueCollector(Collector):
    """The queues of a broker.

    :param read: gives their readings, as `IQueueReadings.read_queues`.
    """

    def __init__(self, read: Callable[[], Sequence[QueueReading]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """All families, of one moment."""
        readings = self._read()
        present = [each for each in readings if each.queues]
        for name, text, value_of in GAUGES:
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=["queue"])
            for each in present:
                gauge.add_metric([each.name], value_of(each))
            yield gauge
        for name, text in COUNTERS:
            counter = CounterMetricFamily(PREFIX + name, text, labels=["queue"])
            for each in readings:
                counter.add_metric([each.name], each.counts[name])
            yield counter
        rejected = CounterMetricFamily(
            PREFIX + "rejected", "Messages that were not accepted, by reason.", labels=["queue", "reason"]
        )
        for each in readings:
            for code, count in each.rejected.items():
                rejected.add_metric([each.name, code.lower()], count)
        yield rejected


class RequestCollector(Collector):
    """The requests of v1, over whichever transport.

    :param broker: where they are counted.
    :param traffic: where errors are, as not all requests get as far as the broker.
    """

    def __init__(self, broker: CountedBroker, traffic: Traffic) -> None:
        self._broker = broker
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        """By kind, and errors by reason."""
        requests = CounterMetricFamily("quickpulse_v1_requests", "Requests of v1, by kind.", labels=["request"])
        for name, count in self._broker.requests_total.items():
            requests.add_metric([name], count)
        yield requests
        errors = CounterMetricFamily(
            "quickpulse_v1_errors", "Requests of v1 that were answered with an error, by reason.", labels=["reason"]
        )
        for code, count in self._traffic.errors_total.items():
            errors.add_metric([code.lower()], count)
        yield errors
