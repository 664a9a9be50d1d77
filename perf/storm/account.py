"""The books: what was sent, what the server said yes to, and what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perf.load.faults import SHOWN_BYTES
from perf.storm.numbered import BLOCK, read_numbers

_SENT, _ACKNOWLEDGED, _RECEIVED = 1, 2, 4

SHOWN_FAULTS = 10


@dataclass(frozen=True)
class Counts:
    """The sum of an account.

    unknown: sent and not acknowledged: the connection or call ended before
    received: came out, each counted once
    received_unknown: of those that are unknown
    missing: acknowledged and never received
    """

    sent: int
    acknowledged: int
    unknown: int
    received: int
    received_unknown: int
    missing: int


class Account:
    """Every message by its number.

    total: how many are given out, a multiple of BLOCK
    queued: the first so many were in the queue before
    """

    def __init__(self, total: int, queued: int = 0) -> None:
        self.total = total + queued
        self.killed_in_flight = 0
        """Messages that may have been under way to connections and calls that we ended: the window of each."""
        self.fault_counts: Counter[str] = Counter()
        self.examples: list[str] = []
        self.queued = queued
        self._next = queued
        self._state = np.zeros(self.total, np.uint8)
        self._state[:queued] = _SENT | _ACKNOWLEDGED
        self._publisher_of = np.zeros(self.total // BLOCK + 1, np.int32)
        self._latest: dict[tuple[int, int], int] = {}

    @property
    def is_given_out(self) -> bool:
        """Whether there is nothing more to send."""
        return self._next >= self.total

    @property
    def given_out(self) -> int:
        """Messages so far."""
        return self._next - self.queued

    def next_block(self, publisher: int) -> int | None:
        """The first number of a block to be sent, or None where there is none now."""
        if self.is_given_out:
            return None
        first = self._next
        self._next += BLOCK
        self._state[first : self._next] |= _SENT
        self._publisher_of[first // BLOCK] = publisher
        return first

    def acknowledged(self, numbers: np.ndarray | slice) -> None:
        """The server said yes to these."""
        if (self._state[numbers] & _ACKNOWLEDGED).any():
            self.fault("acknowledged twice", str(numbers))
        self._state[numbers] |= _ACKNOWLEDGED

    def received(self, messages: Sequence[bytes], consumer: int, in_order: bool) -> None:
        """These came out on one connection, in this order.

        in_order: whether those of one publisher must be in the order in which they were sent
        """
        coded, altered = read_numbers(messages)
        for message in altered:
            self.fault("altered", repr(message[:SHOWN_BYTES]))
        if len(coded) and coded.max() >= np.uint64(self._next):
            is_known = coded < np.uint64(self._next)
            for number in coded[~is_known].tolist():
                self.fault("never sent", hex(number))
            coded = coded[is_known]
        numbers = coded.astype(np.int64)
        is_double = (self._state[numbers] & _RECEIVED) != 0
        if is_double.any() or len(np.unique(numbers)) != len(numbers):
            again = numbers[is_double].tolist()
            self.fault("doubled", f"{again[:3]}", len(again) or len(numbers) - len(np.unique(numbers)))
        self._state[numbers] |= _RECEIVED
        if in_order and len(numbers):
            self._check_order(numbers, consumer)

    def fault(self, kind: str, text: str, count: int = 1) -> None:
        """The server did what it must not."""
        self.fault_counts[kind] += count
        if len(self.examples) < SHOWN_FAULTS:
            self.examples.append(f"{kind}: {text}")

    def counts(self) -> Counts:
        """The sum; those queued before count as sent and acknowledged."""
        state = self._state[: self._next]
        is_acknowledged, is_received = (state & _ACKNOWLEDGED) != 0, (state & _RECEIVED) != 0
        return Counts(
            sent=len(state),
            acknowledged=int(is_acknowledged.sum()),
            unknown=int((~is_acknowledged).sum()),
            received=int(is_received.sum()),
            received_unknown=int((is_received & ~is_acknowledged).sum()),
            missing=int((is_acknowledged & ~is_received).sum()),
        )

    def _check_order(self, numbers: np.ndarray, consumer: int) -> None:
        """Each consumer sees a part of what each publisher sent, in its order."""
        publishers = self._publisher_of[numbers // BLOCK]
        by_publisher = np.argsort(publishers, kind="stable")
        numbers, publishers = numbers[by_publisher], publishers[by_publisher]
        is_first = np.concatenate(([True], publishers[1:] != publishers[:-1]))
        wrong = int((~is_first[1:] & (numbers[1:] < numbers[:-1])).sum())
        starts = np.flatnonzero(is_first)
        ends = np.concatenate((starts[1:], [len(numbers)])) - 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            key = (consumer, int(publishers[start]))
            wrong += int(numbers[start]) < self._latest.get(key, -1)
            self._latest[key] = int(numbers[end])
        if wrong:
            self.fault("out of order", f"of {len(numbers)} received at once", wrong)
