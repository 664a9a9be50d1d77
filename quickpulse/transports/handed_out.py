"""Which of the queue's messages a gRPC connection was handed: those of unary calls, and of each stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from quickpulse.transports.deliveries import Deliveries, UnderWay

RECENT_BATCHES = 64
"""Answers whose streams are remembered, so that a reset after the answer is known for a loss. Also the writes of a
stream after which the kernel is asked what has arrived."""


class _Several:
    """One call's id, several times over. A reply may have 100,000 messages, and is remembered for long.

    :param stream_id: the call's.
    :param messages: how often.
    """

    __slots__ = ("_messages", "_stream_id")

    def __init__(self, stream_id: int, messages: int) -> None:
        self._stream_id = stream_id
        self._messages = messages

    def count(self, stream_id: int) -> int:
        """As of a list."""
        return self._messages if stream_id == self._stream_id else 0


class HandedOut(Deliveries):
    """The messages of one connection. Those of streaming calls are theirs until the call is over.

    :param transport: what is written to.
    """

    __slots__ = ("_calls", "_recent")

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self._calls: list[UnderWay] = []  # those with messages in the next write
        self._recent: deque[Sequence[int] | _Several] = deque(maxlen=RECENT_BATCHES)

    def add_to(self, call: UnderWay, messages: int) -> None:
        """Messages of a streaming call go out with the next write."""
        call.next += messages
        self._calls.append(call)

    def answered(self, stream_ids: Sequence[int]) -> None:
        """Each of these unary calls was answered with one."""
        self._recent.append(stream_ids)

    def answered_with_several(self, stream_id: int, messages: int) -> None:
        """One was answered with so many."""
        self._recent.append(_Several(stream_id, messages))

    def answered_with(self, stream_id: int) -> int:
        """How many a call was answered with, not long ago."""
        return sum(batch.count(stream_id) for batch in self._recent)

    def writes(self, size_bytes: int) -> None:
        """The next write is about to be done."""
        if self._calls:
            for call in self._calls:
                if len(call) >= RECENT_BATCHES:
                    self.confirm_of(call)
                if call.next:
                    call.wrote(self.written_bytes + size_bytes)
            self._calls.clear()
        if self.next:
            Deliveries.writes(self, size_bytes)  # super() takes longer, and this is on the way of every answer
        else:
            self.written_bytes += size_bytes

    def confirm_of(self, call: UnderWay, most: int | None = None) -> None:
        """Find out what of one call has arrived.

        :param most: nothing behind this position counts, whatever the peer's kernel says.
        """
        arrived = self.arrived_bytes()
        call.confirm(arrived if most is None else min(arrived, most))

    def ended(self, call: UnderWay) -> None:
        """A streaming call is over in order: what it had under way stays to be confirmed."""
        self.merge(call)
