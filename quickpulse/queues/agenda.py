"""What will be due, in the order of time. Nothing here knows what it is that becomes due.

One heap serves all queues of a broker, so that one call tells the next deadline. What was settled before its time
stays in the heap as a stale entry. When those may be half of it the heap is swept, so a removal is O(1) on average.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

DUE, LEASE_END, VOID, FORGET, IDLE = range(5)
"""Of what is due in the same millisecond, the order in which it happens."""

LEAST_SWEPT = 64
"""A heap below this is not worth a sweep."""


class Happening(Protocol):
    """Something that becomes due."""

    def is_pending(self, moment: int) -> bool:
        """Whether there is still something to do at that moment."""

    def happen(self, moment: int) -> None:
        """The moment has come."""


class Agenda:
    """Happenings by their moment, in ms."""

    __slots__ = ("_heap", "_serial", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, int, Happening]] = []
        self._serial = count()
        self._sweep_at = LEAST_SWEPT

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_moment(self) -> int | None:
        """The next moment at which something is due; None: nothing is."""
        heap = self._heap
        while heap and not heap[0][4].is_pending(heap[0][0]):
            heappop(heap)
        return heap[0][0] if heap else None

    def has_before(self, moment: int) -> bool:
        """Whether anything may be due before that moment; stale entries count, as that they are stale costs a look."""
        return bool(self._heap) and self._heap[0][0] < moment

    def add(self, moment: int, kind: int, number: int, happening: Happening) -> None:
        """Let `happening` happen then; at the same moment by kind, and within it by number."""
        heappush(self._heap, (moment, kind, number, next(self._serial), happening))
        if len(self._heap) > self._sweep_at:
            self._sweep()

    def run(self, now_ms: int) -> None:
        """Let happen what is due by now, each as of its own moment, with what it makes due meanwhile."""
        heap = self._heap
        while heap and heap[0][0] <= now_ms:
            moment, _, _, _, happening = heappop(heap)
            if happening.is_pending(moment):
                happening.happen(moment)

    def _sweep(self) -> None:
        heap = self._heap
        heap[:] = [entry for entry in heap if entry[4].is_pending(entry[0])]
        heapify(heap)
        self._sweep_at = 2 * len(heap) + LEAST_SWEPT
