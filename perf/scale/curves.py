"""Curves: rows of one kind that differ in one number. What a point cost, and how the cost changes along the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perf.compare.figures import Figures
from perf.load.rows import Row

AXES = {
    "connections": "busy connections",
    "idle": "idle connections beside the busy ones",
    "depth": "messages queued",
    "payload": "payload bytes",
}
"""Field of a row -> what the axis is called."""

DEFAULT_POINTS = {
    "connections": (1, 10, 100, 1000, 10_000),
    "idle": (0, 100, 1000, 10_000),
    "depth": (0, 1000, 100_000, 1_000_000),
    "payload": (1, 16, 256, 4096, 65_536, 1_048_576),
}

CONNECTIONS, IN_FLIGHT = 10, 20
"""Of every point, unless it is what changes."""


@dataclass(frozen=True)
class Curve:
    """kind: of the rows; axis: a key of AXES."""

    kind: str
    axis: str
    points: tuple[int, ...]

    @property
    def name(self) -> str:
        """For titles and files."""
        return f"{self.kind}-{self.axis}"

    def rows(self, messages: int) -> list[Row]:
        """One for each point."""
        base = Row(self.kind, CONNECTIONS, IN_FLIGHT)
        return [replace(base, **{self.axis: point}).with_messages(messages) for point in self.points]


@dataclass(frozen=True)
class Point:
    """One place of a measured curve.

    at: where on the axis
    microseconds: of processor time that the server took for each message
    to_first: the same as a multiple of the first point's
    nanoseconds_a_byte: what each byte more than at the point before cost; None where the axis is another
    bytes_each: of memory that each connection or queued message took, above the first point; None for payloads
    """

    at: int
    figures: Figures
    microseconds: float | None
    to_first: float | None
    nanoseconds_a_byte: float | None
    bytes_each: float | None


def points(curve: Curve, measured: Sequence[Figures]) -> list[Point]:
    """The curve's arithmetic."""
    costs = [each.server_microseconds for each in measured]
    held = [each.server_bytes for each in measured]
    made = []
    for place, (at, each, cost) in enumerate(zip(curve.points, measured, costs, strict=True)):
        before = max(place - 1, 0)
        a_byte = _slope(at, cost, curve.points[before], costs[before]) if curve.axis == "payload" else None
        made.append(
            Point(
                at=at,
                figures=each,
                microseconds=cost,
                to_first=cost / costs[0] if cost is not None and costs[0] else None,
                nanoseconds_a_byte=None if a_byte is None else a_byte * 1000,
                bytes_each=None if curve.axis == "payload" else _slope(at, held[place], curve.points[0], held[0]),
            )
        )
    return made


def _slope(at: int, value: float | None, other_at: int, other: float | None) -> float | None:
    return None if value is None or other is None or at == other_at else (value - other) / (at - other_at)
