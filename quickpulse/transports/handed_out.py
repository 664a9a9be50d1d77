"""Which of the queue's messages one connection was handed, until it is known that they have arrived.

Confirmed means that the peer's kernel acknowledged their bytes. What its program then does with them is out of a
server's sight: delivery is at most once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

RECENT_BATCHES = 64
"""Answers whose streams are remembered, so that a reset after the answer is known for a loss."""


UNCONFIRMED_WRITES = 4
"""Writes after which the kernel is asked again what has arrived: each question costs as much as a message."""


class UnderWay:
    """Messages by their place in what was written: of one call, or of all that have no call any more."""

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


class HandedOut:
    """The messages of one connection.

    :param unacknowledged: bytes that were written and that the peer has not confirmed.
    """

    __slots__ = ("_calls", "_recent", "_short", "_unacknowledged", "written")

    def __init__(self, unacknowledged: Callable[[], int]) -> None:
        self._unacknowledged = unacknowledged
        self.written = 0
        """Bytes, since the connection began."""
        self._short = UnderWay()
        self._calls: list[UnderWay] = []  # those with messages in the next write
        self._recent: deque[Sequence[int]] = deque(maxlen=RECENT_BATCHES)

    def add(self, messages: int) -> None:
        """Messages in answers to unary calls go out with the next write."""
        self._short.next += messages

    def add_to(self, call: UnderWay, messages: int) -> None:
        """Messages of a streaming call do."""
        call.next += messages
        self._calls.append(call)

    def answered(self, stream_ids: Sequence[int]) -> None:
        """Each of these unary calls was answered with one."""
        self._recent.append(stream_ids)

    def was_answered(self, stream_id: int) -> bool:
        """Whether it was one of those, not long ago."""
        return any(stream_id in batch for batch in self._recent)

    def wrote(self, size_bytes: int) -> None:
        """The next write was done."""
        if len(self._short) >= UNCONFIRMED_WRITES:
            self.confirm()
        self.written += size_bytes
        if self._short.next:
            self._short.wrote(self.written)
        if self._calls:
            for call in self._calls:
                if len(call) >= RECENT_BATCHES:
                    self.confirm_of(call)
                if call.next:
                    call.wrote(self.written)
            self._calls.clear()

    def confirm(self) -> None:
        """Find out what has arrived."""
        if self._short:
            self._short.confirm(self.written - self._unacknowledged())

    def confirm_of(self, call: UnderWay, most: int | None = None) -> None:
        """Find out what of one call has arrived.

        :param most: nothing behind this position counts, whatever the peer's kernel says.
        """
        arrived = self.written - self._unacknowledged()
        call.confirm(arrived if most is None else min(arrived, most))

    def ended(self, call: UnderWay) -> None:
        """A streaming call is over in order: what it had under way stays to be confirmed."""
        self._short.merge(call)

    def messages(self) -> int:
        """How many may not have arrived, but for those of calls that are not over."""
        return self._short.messages()
