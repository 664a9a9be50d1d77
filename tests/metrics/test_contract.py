"""Our own providers of IMetricsCollector keep its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.metrics.prometheus import PrometheusMetrics
from tests.contract import MetricsContract


class DefaultMetricsTests(MetricsContract, SynchronousTestCase):
    """The one in memory."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """On the clock of the test."""
        return DefaultMetrics(clock)


class PrometheusMetricsTests(MetricsContract, SynchronousTestCase):
    """The one that is scraped."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """On the clock of the test."""
        return PrometheusMetrics(clock=clock)
