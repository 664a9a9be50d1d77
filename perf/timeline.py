"""The run in slices of time: what a graph is drawn from. Filled by the client's ticks."""

from __future__ import annotations

from dataclasses import dataclass

from perf.latency import IntervalLatency

SLICE_SECONDS = 0.1
"""Short enough to show a pause of the garbage collector, long enough that counting costs nothing."""


@dataclass(frozen=True)
class Slice:
    """One slice.

    at: its end, in seconds since the start
    published_per_second, received_per_second: acknowledged messages, and messages that came out
    publish, end_to_end: latencies of what was acknowledged, or came out, within it
    """

    at: float
    published_per_second: float
    received_per_second: float
    publish: IntervalLatency
    end_to_end: IntervalLatency


class Timeline:
    """The slices so far, made from counters that only rise."""

    def __init__(self) -> None:
        self.slices: list[Slice] = []
        self._at = 0.0
        self._published = 0
        self._received = 0

    def close_slice(
        self, at: float, published: int, received: int, publish: IntervalLatency, end_to_end: IntervalLatency
    ) -> None:
        """Ends a slice at `at` seconds, with the counters as they stand now."""
        width = at - self._at
        if width <= 0:
            return
        self.slices.append(
            Slice(
                at,
                (published - self._published) / width,
                (received - self._received) / width,
                publish,
                end_to_end,
            )
        )
        self._at, self._published, self._received = at, published, received
