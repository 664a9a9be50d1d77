"""How much of what costs us and moves nothing a peer may send in a second, by kind; then ENHANCE_YOUR_CALM."""

from __future__ import annotations

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode

A_SECOND = {
    "reset": 5_000,  # a client may cancel all its calls at once, and open them anew
    "ping": 1_000,
    "settings": 200,
    "priority": 5_000,  # browsers send a few for each request
    "empty frame": 1_000,  # DATA or CONTINUATION that carries nothing and ends nothing
    "refused stream": 5_000,
    "unknown frame": 1_000,
    "window update": 200_000,  # each DATA frame of ours may be answered by two
}
"""Frames of one connection in one second. Each is far above what a real client sends, and costs less than 10 ms."""


class FloodGate:
    """Counts by kind within a second, for one connection."""

    __slots__ = ("_counts", "_second")

    def __init__(self) -> None:
        self._second = 0.0
        self._counts: dict[str, int] = {}

    def passes(self, kind: str, now: float) -> None:
        """Count one.

        :param now: seconds on any clock that does not go back.
        :raises ConnectionFault: one too many.
        """
        if now - self._second >= 1.0:
            self._second = now
            self._counts.clear()
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count > A_SECOND[kind]:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"{kind} flood")
