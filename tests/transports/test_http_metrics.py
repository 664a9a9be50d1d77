"""The page of metrics: one answer, however many turns it was written in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest

from quickpulse.transports.http_metrics import TURN_SAMPLES, MetricsPage, Writing

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Families(Collector):
    """Of every kind, with so many samples each."""

    def __init__(self, count: int) -> None:
        self.count = count

    def collect(self) -> Iterator[Metric]:
        """The same each time."""
        for kind in (GaugeMetricFamily, CounterMetricFamily):
            family = kind(f"some_{kind.__name__.lower()}", 'Help with "quotes".', labels=["of"])
            for number in range(self.count):
                family.add_metric([f"number-{number}\n"], number / 3)
            yield family
        yield HistogramMetricFamily("some_seconds", "Times.", buckets=[("0.1", 1), ("+Inf", 2)], sum_value=3)


def registry_of(count: int) -> CollectorRegistry:
    """Some families."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families(count))
    return registry


class WritingTests(SynchronousTestCase):
    """A page in pieces."""

    def test_it_is_the_encoders_page(self) -> None:
        """Byte for byte, in both forms; OpenMetrics' end is there once."""
        registry = registry_of(TURN_SAMPLES)
        for accept in ("", OPENMETRICS):
            encode, _ = choose_encoder(accept)
            writing = Writing(registry.collect(), encode)
            self.assertEqual([writing.go_on() for _ in range(3)], [False, False, True])
            self.assertTrue(writing.page == encode(registry))
        self.assertEqual(writing.page.count(b"# EOF"), 1)

    def test_a_long_family(self) -> None:
        """It is divided, and its head is written once."""
        registry = registry_of(2 * TURN_SAMPLES + 1)
        for accept in ("", OPENMETRICS):
            encode, _ = choose_encoder(accept)
            writing = Writing(registry.collect(), encode)
            self.assertEqual([writing.go_on() for _ in range(5)], [False] * 4 + [True])
            self.assertTrue(writing.page == encode(registry))

    def test_nothing(self) -> None:
        """An empty registry is a page too."""
        encode, _ = choose_encoder(OPENMETRICS)
        writing = Writing((), encode)
        self.assertTrue(writing.go_on())
        self.assertEqual(writing.page, b"# EOF\n")


class PageTests(SynchronousTestCase):
    """Answers."""

    def setUp(self) -> None:
        """Turns are a clock's."""
        self.clock = Clock()
        self.request: Any = DummyRequest([b"metrics"])

    def render(self, count: int) -> Any:
        """What a page of so many samples answers."""
        return MetricsPage(self.clock, registry_of(count)).render_GET(self.request)

    def test_little_is_answered_at_once(self) -> None:
        """As a page of its own, without a turn."""
        self.assertEqual(self.render(3), generate_latest(registry_of(3)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_much_takes_turns(self) -> None:
        """And then is one answer, whose length is told."""
        self.assertIs(self.render(TURN_SAMPLES), NOT_DONE_YET)
        self.assertEqual((self.request.written, self.request.finished), ([], 0))
        self.clock.advance(0)
        page = generate_latest(registry_of(TURN_SAMPLES))
        self.assertTrue(self.request.written == [page])
        self.assertEqual(self.request.finished, 1)
        headers = self.request.responseHeaders
        self.assertEqual(headers.getRawHeaders("Content-Length"), [str(len(page))])
        self.assertEqual(headers.getRawHeaders("Cache-Control"), ["no-store"])
        self.assertTrue(headers.getRawHeaders("Content-Type")[0].startswith("text/plain"))

    def test_a_client_that_goes_away(self) -> None:
        """Nothing more is written for it."""
        self.render(TURN_SAMPLES)
        self.request.processingFailed(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.request.written, [])
