"""From a setting to a metrics provider: `prometheus`, `memory`, or `package.module:factory` of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quickpulse.errors import SettingsError
from quickpulse.interfaces import IMetricsCollector
from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.metrics.prometheus import PrometheusMetrics


def make_metrics(provider: str, load: Callable[[str, str], Callable[[], Any]], *, legacy_names: bool) -> Any:
    """An IMetricsCollector of the named provider.

    :param provider: `prometheus`, `memory`, or `package.module:factory`; the factory is called without arguments.
    :param load: finds the factory of a path; `quickpulse.backends.loading.load` in the service.
    :raises SettingsError: it does not load, or gives something that is no IMetricsCollector.
    """
    if provider == "prometheus":
        return PrometheusMetrics(legacy_names=legacy_names)
    if provider == "memory":
        return DefaultMetrics()
    made = load(provider, "--metrics")()
    metrics = IMetricsCollector(made, None)
    if metrics is None:
        raise SettingsError(f"--metrics {provider!r}: {type(made).__name__} does not provide IMetricsCollector")
    return metrics
