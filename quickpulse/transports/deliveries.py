"""Which messages were written to a connection, until it is known that they have arrived.

Confirmed means that the peer's kernel acknowledged their bytes. What its program then does with them is out of a
server's sight: delivery is at most once.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from quickpulse.transports.flow import knows_arrivals, unacknowledged_bytes

CONFIRM_EVERY = 64
"""Writes with messages after which the kernel is asked what has arrived; to ask costs as much as to answer."""


class UnderWay:
    """Messages by their place in what was written: of one call, or of a whole connection."""

    __slots__ = ("_entries", "next")

    def __init__(self) -> None:
        self.next = 0
        """Messages that go out with the next write."""
        self._entries: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        """How many writes are not confirmed."""
        return len(self._entries)

    def wrote(self, position: int) -> None:
        """The next ones are in what was written up to `position`, in bytes since the connection began."""
        self._entries.append((position, self.next))
        self.next = 0

    def confirm(self, position: int) -> None:
        """All up to `position` has arrived."""
        entries = self._entries
        while entries and entries[0][0] <= position:
            entries.popleft()

    def merge(self, other: UnderWay) -> None:
        """Take over another's."""
        self.next += other.next
        if other._entries:
            self._entries = deque(sorted([*self._entries, *other._entries]))
        other.next = 0
        other._entries.clear()

    def messages(self) -> int:
        """How many may not have arrived."""
        return self.next + sum(messages for _, messages in self._entries)


class Deliveries(UnderWay):
    """The messages of one connection, and its transport, which is asked.

    A transport of ours can still be asked when the connection has ended, so it is asked seldom; of any other it must be
    known before.

    :param transport: what is written to.
    """

    __slots__ = ("_confirm_every", "_transport", "_unasked", "written_bytes")

    def __init__(self, transport: Any) -> None:
        super().__init__()
        self.written_bytes = 0
        """Since the connection began."""
        self._transport = transport
        self._confirm_every = CONFIRM_EVERY if knows_arrivals(transport) else 1
        self._unasked = 0

    def add(self, messages: int) -> None:
        """Messages go out with the next write."""
        self.next += messages

    def writes(self, size_bytes: int) -> None:
        """The next write is about to be done."""
        if not self.next:
            self.written_bytes += size_bytes
            return
        if self._unasked >= self._confirm_every:
            self.confirm_arrived()
        self._unasked += 1
        self.written_bytes = position = self.written_bytes + size_bytes
        self._entries.append((position, self.next))
        self.next = 0

    def arrived_bytes(self) -> int:
        """How much of what was written has arrived, as far as the transport knows."""
        return self.written_bytes - unacknowledged_bytes(self._transport, self.written_bytes)

    def confirm_arrived(self) -> None:
        """Find out what has arrived, and forget it."""
        self._unasked = 0
        if self._entries:
            self.confirm(self.arrived_bytes())

    def confirm_all(self) -> None:
        """The peer has said that it read everything."""
        self._entries.clear()
