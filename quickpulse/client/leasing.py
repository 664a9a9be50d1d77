"""Leases that are held: each is extended when half of it is over, for as long as somebody has its messages. No I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import ref

from quickpulse.client.settling import Leased
from quickpulse.requests import Action, Settle, SettleReply

NEVER = float("inf")

LEAST_WAIT_SECONDS = 0.001
"""For the reply, however short a lease is."""

Ask = Callable[[Settle, Callable[[Any], None], float], Any]
"""A request, what is called with the reply, and how many seconds that may take."""


class Leasing:
    """Who forgets what was leased forgets it here too: messages that nobody holds are left to run out.

    :param max_seconds: nothing is extended for longer.
    """

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._heap: list[tuple[float, int, ref[Leased], float]] = []  # extend when, number, which, until when at most
        self._numbers = count()

    @property
    def next_due(self) -> float:
        """When there is something to extend; `NEVER`: nothing is held."""
        return self._heap[0][0] if self._heap else NEVER

    def keep(self, leased: Leased, now: float) -> None:
        """From now on."""
        if leased.deliveries.first_receipt:
            self._add(ref(leased), leased.deliveries.lease_ms, now, now + self._max_seconds)

    def extend(self, now: float, ask: Ask) -> None:
        """Each whose half is over and which is held still."""
        while self._heap and self._heap[0][0] <= now:
            _, _, reference, until = heapq.heappop(self._heap)
            leased = reference()
            ranges = leased.open_ranges if leased is not None else []
            if leased is None or not ranges:
                continue
            lease_ms = leased.deliveries.lease_ms
            request = Settle(leased.deliveries.queue, ranges, Action.EXTEND, lease_ms=lease_ms)

            def done(reply: Any, reference: ref[Leased] = reference) -> None:
                leased = reference()
                if leased is not None and isinstance(reply, SettleReply) and reply.unknown:
                    leased.lost(reply.unknown)

            ask(request, done, max(lease_ms / 1000, LEAST_WAIT_SECONDS))
            self._add(reference, lease_ms, now, until)

    def forget(self) -> None:
        """All: nothing is extended any more."""
        self._heap.clear()

    def _add(self, reference: ref[Leased], lease_ms: int, now: float, until: float) -> None:
        when = now + lease_ms / 2000
        if when < until:
            heapq.heappush(self._heap, (when, next(self._numbers), reference, until))
