"""The plain provider of IMetricsCollector: integers in this process. No exposition format belongs here."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from zope.interface import implementer

from quickpulse.interfaces import IBatchMetrics, IMetricsCollector

LATENCY_BOUNDS_SECONDS = tuple(0.0001 * 2**i for i in range(16))
"""Upper bounds of the latency buckets: 0.1 ms, each double the one before, up to 3.3 s; what is over has its own."""

FASTEST_SECONDS = LATENCY_BOUNDS_SECONDS[0]

WINDOW_SECONDS = 1.0
"""What "in the last second" means."""

SAMPLE_SECONDS = 0.05
"""How often the counts are remembered: the throughput gauges are at most 5 % off."""


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """What a DefaultMetrics knows at one moment.

    :param enqueued: messages accepted. :param dequeued: messages taken out. :param depth: messages held.
    :param latency_counts: accepted messages for each bucket of `LATENCY_BOUNDS_SECONDS`, then those over the last.
    :param latency_sum_seconds: sum of their latencies.
    """

    enqueued: int
    dequeued: int
    depth: int
    latency_counts: tuple[int, ...]
    latency_sum_seconds: float


@implementer(IMetricsCollector, IBatchMetrics)
class DefaultMetrics:
    """Counts in plain integers, under one lock, for any number of threads.

    For the throughput, the counts are remembered when something is counted and 50 ms have gone by since the last time;
    what was counted in the last second is what came after the oldest of these samples that is in it.

    :param clock: seconds that never go back; given by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._enqueued = self._dequeued = 0
        self._read_depth: Callable[[], int] = lambda: 0
        self._samples: deque[tuple[float, int, int]] = deque()
        self._next_sample = -math.inf
        self._latency_counts = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
        self._latency_sum_seconds = 0.0

    def record_batch(self, now: float, enqueued: int, dequeued: int, seconds: float) -> None:
        """Count a batch: one call and one lock, because this is on the way of every message."""
        with self._lock:
            if now >= self._next_sample:
                self._sample(now)
            self._dequeued += dequeued
            if enqueued:
                self._enqueued += enqueued
                bucket = bisect_left(LATENCY_BOUNDS_SECONDS, seconds) if seconds > FASTEST_SECONDS else 0
                self._latency_counts[bucket] += enqueued
                self._latency_sum_seconds += seconds * enqueued

    def increment_enqueue(self, count: int = 1) -> None:
        """Count accepted messages."""
        self._count(count, 0)

    def increment_dequeue(self, count: int = 1) -> None:
        """Count messages taken out."""
        self._count(0, count)

    def observe_enqueue_latency(self, seconds: float, count: int = 1) -> None:
        """Count `count` messages in the bucket of `seconds`."""
        with self._lock:
            self._latency_counts[bisect_left(LATENCY_BOUNDS_SECONDS, seconds)] += count
            self._latency_sum_seconds += seconds * count

    def set_queue_depth(self, depth: int) -> None:
        """Remember the depth."""
        self._read_depth = lambda: depth

    def watch_depth(self, read: Callable[[], int]) -> None:
        """Read the depth when it is looked at."""
        self._read_depth = read

    def enqueue_throughput(self) -> float:
        """Messages accepted in the last second."""
        with self._lock:
            return (self._enqueued - self._window_start()[1]) / WINDOW_SECONDS

    def dequeue_throughput(self) -> float:
        """Messages taken out in the last second."""
        with self._lock:
            return (self._dequeued - self._window_start()[2]) / WINDOW_SECONDS

    def snapshot(self) -> MetricsSnapshot:
        """Everything at one moment."""
        with self._lock:
            return MetricsSnapshot(
                self._enqueued,
                self._dequeued,
                self._read_depth(),
                tuple(self._latency_counts),
                self._latency_sum_seconds,
            )

    def _count(self, enqueued: int, dequeued: int) -> None:
        now = self._clock()
        with self._lock:
            if now >= self._next_sample:
                self._sample(now)
            self._enqueued += enqueued
            self._dequeued += dequeued

    def _sample(self, now: float) -> None:
        """Remember the counts as they are before what happens now."""
        self._next_sample = now + SAMPLE_SECONDS
        self._forget(now)
        self._samples.append((now, self._enqueued, self._dequeued))

    def _window_start(self) -> tuple[float, int, int]:
        """The counts as they were a second ago."""
        now = self._clock()
        self._forget(now)
        return self._samples[0] if self._samples else (now, self._enqueued, self._dequeued)

    def _forget(self, now: float) -> None:
        """Drop the samples that are no longer in the last second."""
        while self._samples and self._samples[0][0] <= now - WINDOW_SECONDS:
            self._samples.popleft()
