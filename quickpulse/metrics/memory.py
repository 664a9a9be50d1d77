"""The plain provider of IMetricsCollector: integers in this process. No exposition format belongs here."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from zope.interface import implementer

from quickpulse.interfaces import IMetricsCollector

LATENCY_BOUNDS_SECONDS = tuple(0.0001 * 2**i for i in range(16))
"""Upper bounds of the latency buckets: 0.1 ms, each double the one before, up to 3.3 s; what is over has its own."""

WINDOW_SECONDS = 1.0
"""What "in the last second" means."""

SLOTS_PER_WINDOW = 20
"""50 ms each: the gauge is at most 5 % stale, and adding stays one addition."""


class ThroughputWindow:
    """How many messages went by in the last second, in a ring of slots. Not locked: its owner does that."""

    __slots__ = ("_counts", "_slot")

    def __init__(self) -> None:
        self._counts = [0] * (SLOTS_PER_WINDOW + 1)
        self._slot = 0

    def add(self, count: int, now: float) -> None:
        """Count `count` messages at `now`, seconds of a clock that never goes back."""
        slot = int(now * SLOTS_PER_WINDOW / WINDOW_SECONDS)
        if slot != self._slot:
            self._advance(slot)
        self._counts[slot % len(self._counts)] += count

    def total(self, now: float) -> int:
        """Messages in the window that ends at `now`: the running slot and the full ones before it."""
        self._advance(int(now * SLOTS_PER_WINDOW / WINDOW_SECONDS))
        return sum(self._counts)

    def _advance(self, slot: int) -> None:
        """Clear the slots between the last one used and `slot`."""
        for passed in range(max(self._slot + 1, slot - len(self._counts) + 1), slot + 1):
            self._counts[passed % len(self._counts)] = 0
        self._slot = max(slot, self._slot)


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


@implementer(IMetricsCollector)
class DefaultMetrics:
    """Counts in plain integers, under one lock, for any number of threads.

    :param clock: seconds that never go back; given by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._enqueued = self._dequeued = self._depth = 0
        self._enqueue_window = ThroughputWindow()
        self._dequeue_window = ThroughputWindow()
        self._latency_counts = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
        self._latency_sum_seconds = 0.0

    def increment_enqueue(self, count: int = 1) -> None:
        """Count accepted messages."""
        with self._lock:
            self._enqueued += count
            self._enqueue_window.add(count, self._clock())

    def increment_dequeue(self, count: int = 1) -> None:
        """Count messages taken out."""
        with self._lock:
            self._dequeued += count
            self._dequeue_window.add(count, self._clock())

    def observe_enqueue_latency(self, seconds: float, count: int = 1) -> None:
        """Count `count` messages in the bucket of `seconds`."""
        with self._lock:
            self._latency_counts[bisect_left(LATENCY_BOUNDS_SECONDS, seconds)] += count
            self._latency_sum_seconds += seconds * count

    def set_queue_depth(self, depth: int) -> None:
        """Remember the depth."""
        self._depth = depth

    def enqueue_throughput(self) -> float:
        """Messages accepted in the last second."""
        with self._lock:
            return self._enqueue_window.total(self._clock()) / WINDOW_SECONDS

    def dequeue_throughput(self) -> float:
        """Messages taken out in the last second."""
        with self._lock:
            return self._dequeue_window.total(self._clock()) / WINDOW_SECONDS

    def snapshot(self) -> MetricsSnapshot:
        """Everything at one moment."""
        with self._lock:
            return MetricsSnapshot(
                self._enqueued,
                self._dequeued,
                self._depth,
                tuple(self._latency_counts),
                self._latency_sum_seconds,
            )
