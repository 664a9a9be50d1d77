"""The plain provider of IMetricsCollector: integers in this process. No exposition format belongs here."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from zope.interface import implementer

from quickpulse.interfaces import IBatchMetrics, IMetricsCollector

LATENCY_BOUNDS_SECONDS = tuple(0.0001 * 2**i for i in range(16))
"""Upper bounds of the latency buckets: 0.1 ms, each double the one before, up to 3.3 s; what is over has its own."""

WINDOW_SECONDS = 1.0
"""What "in the last second" means."""

SLOTS_PER_SECOND = 20
"""50 ms each: the gauge is at most 5 % stale, and counting stays one addition."""

RING_SLOTS = int(WINDOW_SECONDS * SLOTS_PER_SECOND) + 1


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

    Throughput is kept in a ring of slots, each the messages of 50 ms: the running one and a full window before it.

    :param clock: seconds that never go back; given by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._enqueued = self._dequeued = self._slot = 0
        self._read_depth: Callable[[], int] = lambda: 0
        self._enqueued_in_slot = [0] * RING_SLOTS
        self._dequeued_in_slot = [0] * RING_SLOTS
        self._latency_counts = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
        self._latency_sum_seconds = 0.0

    def record_batch(self, now: float, enqueued: int, dequeued: int, seconds: float) -> None:
        """Count a batch: one call and one lock, because this is on the way of every message."""
        slot = int(now * SLOTS_PER_SECOND)
        with self._lock:
            if slot > self._slot:
                self._advance(slot)
            if enqueued:
                self._enqueued += enqueued
                self._enqueued_in_slot[slot % RING_SLOTS] += enqueued
                self._latency_counts[bisect_left(LATENCY_BOUNDS_SECONDS, seconds)] += enqueued
                self._latency_sum_seconds += seconds * enqueued
            if dequeued:
                self._dequeued += dequeued
                self._dequeued_in_slot[slot % RING_SLOTS] += dequeued

    def increment_enqueue(self, count: int = 1) -> None:
        """Count accepted messages."""
        with self._lock:
            self._enqueued += count
            self._enqueued_in_slot[self._now()] += count

    def increment_dequeue(self, count: int = 1) -> None:
        """Count messages taken out."""
        with self._lock:
            self._dequeued += count
            self._dequeued_in_slot[self._now()] += count

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
            self._now()
            return sum(self._enqueued_in_slot) / WINDOW_SECONDS

    def dequeue_throughput(self) -> float:
        """Messages taken out in the last second."""
        with self._lock:
            self._now()
            return sum(self._dequeued_in_slot) / WINDOW_SECONDS

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

    def _now(self) -> int:
        """Move the ring on to the present and give its place there."""
        slot = int(self._clock() * SLOTS_PER_SECOND)
        if slot > self._slot:
            self._advance(slot)
        return slot % RING_SLOTS

    def _advance(self, slot: int) -> None:
        """Clear the places between the last slot used and `slot`."""
        for passed in range(max(self._slot + 1, slot - RING_SLOTS + 1), slot + 1):
            self._enqueued_in_slot[passed % RING_SLOTS] = self._dequeued_in_slot[passed % RING_SLOTS] = 0
        self._slot = slot
