"""What a queue counts: plain integers, added once a batch."""

from __future__ import annotations


class Counts:
    """Since the queue was made. The names are those of `life.Event`."""

    __slots__ = (
        "acked",
        "dead_lettered",
        "dropped",
        "expired",
        "leased",
        "nacked",
        "purged",
        "redelivered",
        "rejected",
        "released",
        "taken",
        "void",
    )

    def __init__(self) -> None:
        self.leased = self.taken = self.redelivered = 0
        self.acked = self.nacked = self.released = self.expired = 0
        self.dead_lettered = self.dropped = self.void = self.purged = 0
        self.rejected: dict[str, int] = {}

    def reject(self, code: str, count: int) -> None:
        """So many were not accepted, for this reason."""
        self.rejected[code] = self.rejected.get(code, 0) + count

    def as_dict(self, published: int) -> dict[str, int]:
        """By the names of `QueueInfo`."""
        return {
            "published": published,
            "delivered": self.leased + self.taken,
            "acked": self.acked,
            "nacked": self.nacked,
            "released": self.released,
            "expired": self.expired,
            "redelivered": self.redelivered,
            "dead_lettered": self.dead_lettered,
            "dropped": self.dropped,
            "void": self.void,
            "purged": self.purged,
            **{f"rejected:{code}": count for code, count in self.rejected.items()},
        }
