"""Messages handed to a connection whose arrival is not confirmed, by their place in what was written to it."""

from __future__ import annotations

from collections import deque


class UnderWay:
    """The messages of one call, or of all short ones of a connection.

    Confirmed means that the peer's kernel acknowledged their bytes. What its program then does with them is out of a
    server's sight: delivery is at most once.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        """How many entries there are, each one write."""
        return len(self._entries)

    def add(self, position: int, messages: int) -> None:
        """`messages` are in what was written up to `position`, in bytes since the connection began."""
        self._entries.append((position, messages))

    def confirm(self, position: int) -> None:
        """All up to `position` has arrived."""
        entries = self._entries
        while entries and entries[0][0] <= position:
            entries.popleft()

    def merge(self, other: UnderWay) -> None:
        """Take over another's, which has ended."""
        self._entries = deque(sorted([*self._entries, *other._entries]))
        other._entries.clear()

    def messages(self) -> int:
        """How many may not have arrived."""
        return sum(messages for _, messages in self._entries)
