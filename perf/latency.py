"""Latencies, gathered cheaply and told as percentiles. The clock is the caller's.

All figures are of a closed loop: the next request waits for an answer to an earlier one, so a server that
stalls is also asked less often while it does. Compare runs of the same shape only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram

LONGEST_MICROSECONDS = 3_600_000_000
"""An hour; what is longer is booked as this."""

SIGNIFICANT_DIGITS = 3

_KEPT_BITS = 9
"""Of each value, before it is counted: finer than SIGNIFICANT_DIGITS is lost time, coarser would show."""

_COUNTED_AT_ONCE = 4096
"""Values that wait to be counted together: counting a few takes nearly as long."""


@dataclass(frozen=True)
class LatencySummary:
    """count of values, and percentiles in milliseconds; all 0 where there was nothing to measure."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True)
class IntervalLatency:
    """Percentiles of one interval in milliseconds; None where nothing was measured in it."""

    p50: float | None
    p99: float | None
    max: float | None


class LatencyRecorder:
    """The latencies of one kind, over the whole run and for the interval under way."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LONGEST_MICROSECONDS, SIGNIFICANT_DIGITS)
        self._interval: dict[int, int] = {}
        self._uncounted: list[np.ndarray] = []
        self._uncounted_values = 0
        self._longest_microseconds = 0

    def record(self, seconds: float) -> None:
        """One value."""
        microseconds = min(max(int(seconds * 1e6), 1), LONGEST_MICROSECONDS)
        self._interval[microseconds] = self._interval.get(microseconds, 0) + 1

    def record_many(self, seconds: np.ndarray) -> None:
        """Many values at once."""
        self._uncounted.append(seconds)
        self._uncounted_values += len(seconds)
        if self._uncounted_values >= _COUNTED_AT_ONCE:
            self._count()

    def close_interval(self) -> IntervalLatency:
        """The interval's percentiles; the next one begins."""
        self._count()
        counts = _rounded(self._interval)
        self._longest_microseconds = max(self._longest_microseconds, max(self._interval, default=0))
        longest = max(self._interval, default=None)
        self._interval = {}
        for value, count in counts:
            self._histogram.record_value(value, count)
        p50, p99 = _percentile(counts, 50), _percentile(counts, 99)
        return IntervalLatency(p50, p99, None if longest is None else longest / 1000)

    def _count(self) -> None:
        """What waits for it."""
        if not self._uncounted:
            return
        seconds = np.concatenate(self._uncounted)
        self._uncounted, self._uncounted_values = [], 0
        microseconds = np.clip((seconds * 1e6).astype(np.int64), 1, LONGEST_MICROSECONDS)
        for value, count in zip(*(part.tolist() for part in np.unique(microseconds, return_counts=True)), strict=True):
            self._interval[value] = self._interval.get(value, 0) + count

    def summary(self) -> LatencySummary:
        """Of everything up to the last closed interval."""
        histogram = self._histogram
        count = histogram.get_total_count()
        if not count:
            return LatencySummary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        percentiles = [histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 90, 99, 99.9)]
        longest = self._longest_microseconds / 1000
        p50, p90, p99, p999 = (min(value, longest) for value in percentiles)
        return LatencySummary(count, histogram.get_mean_value() / 1000, p50, p90, p99, p999, longest)


def _rounded(interval: dict[int, int]) -> list[tuple[int, int]]:
    """(microseconds, count) in rising order, with the bits dropped that the histogram would drop."""
    counts: dict[int, int] = {}
    for value, count in interval.items():
        dropped = max(0, value.bit_length() - _KEPT_BITS)
        value = value >> dropped << dropped
        counts[value] = counts.get(value, 0) + count
    return sorted(counts.items())


def _percentile(counts: list[tuple[int, int]], percent: float) -> float | None:
    """In milliseconds."""
    wanted = sum(count for _, count in counts) * percent / 100
    for value, count in counts:
        wanted -= count
        if wanted <= 0:
            return value / 1000
    return None
