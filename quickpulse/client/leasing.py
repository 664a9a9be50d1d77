"""Leases that are held: each is extended when half of it is over, for as long as somebody has its messages. No I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from math import ceil
from typing import Any
from weakref import ref

from quickpulse.client.settling import Leased
from quickpulse.errors import NotFound
from quickpulse.requests import Action, Range, Settle, SettleReply

NEVER = float("inf")

LEAST_WAIT_SECONDS = 0.001
"""For the reply, however short a lease is."""

LONGEST_MS = 12 * 3600 * 1000
"""Of a lease: no server gives more, whatever is asked for."""

LEAST_SWEPT = 1_000
"""So many may be remembered though nobody has them any more."""

Ask = Callable[[Settle, Callable[[Any], None], float], Any]
"""A request, what is called with the reply, and how many seconds that may take."""


class Leasing:
    """Who forgets what was leased forgets it here too: messages that nobody holds are left to run out.

    :param max_seconds: nothing is extended for longer.
    """

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        # Extend when; number; which; until when at most; until when its user has asked for it, at most.
        self._heap: list[tuple[float, int, ref[Leased], float, float]] = []
        self._sweep_at = LEAST_SWEPT
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float:
        """When there is something to extend; `NEVER`: nothing is held."""
        return self._heap[0][0] if self._heap else NEVER

    def keep(self, leased: Leased, now: float) -> None:
        """From now on."""
        if leased.deliveries.first_receipt:
            self._add(ref(leased), leased.deliveries.lease_ms, now, now + self._max_seconds, now)

    def extend(self, now: float, ask: Ask) -> None:
        """Each whose half is over and which is held still."""
        while self._heap and self._heap[0][0] <= now:
            _, _, reference, until, asked_until = heapq.heappop(self._heap)
            leased = reference()
            ranges = leased.open_ranges if leased is not None else []
            if leased is None or not ranges:
                continue
            lease_ms = leased.deliveries.lease_ms
            longer_ms, leased.longer_ms = leased.longer_ms, 0
            asked_until = max(asked_until, now + min(longer_ms, LONGEST_MS) / 1000)
            # What its user has asked for, of some of them, is not shortened: all have as long.
            own_ms = max(lease_ms, ceil((asked_until - now) * 1000))
            request = Settle(leased.deliveries.queue, ranges, Action.EXTEND, lease_ms=own_ms)

            def done(reply: Any, reference: ref[Leased] = reference, ranges: list[Range] = ranges) -> None:
                leased = reference()
                if leased is None:
                    return
                if isinstance(reply, SettleReply):
                    leased.lost(reply.unknown)
                elif isinstance(reply, NotFound):  # the queue is gone, with all that was leased of it
                    leased.lost(ranges)
                else:
                    pass  # it is asked again when another half is over

            ask(request, done, max(lease_ms / 1000, LEAST_WAIT_SECONDS))
            self._add(reference, lease_ms, now, until, asked_until)

    def forget(self) -> None:
        """All: nothing is extended any more."""
        self._heap.clear()

    def _add(self, reference: ref[Leased], lease_ms: int, now: float, until: float, asked_until: float) -> None:
        when = now + lease_ms / 2000
        if when < until:
            heapq.heappush(self._heap, (when, next(self._numbers), reference, until, asked_until))
            if len(self._heap) > self._sweep_at:
                self._sweep()

    def _sweep(self) -> None:
        self._heap = [each for each in self._heap if (leased := each[2]()) is not None and leased.is_open]
        heapq.heapify(self._heap)
        self._sweep_at = max(2 * len(self._heap), LEAST_SWEPT)
