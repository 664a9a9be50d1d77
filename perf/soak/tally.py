"""What a soak counts of its messages. Nothing here grows with their number."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from perf.load.faults import SHOWN_BYTES
from perf.load.numbered import alike
from perf.storm.numbered import BLOCK, read_numbers

PROBE = alike(5)
"""The message of the probe: too short to be one with a number."""

MOST_QUEUED = 100_000
"""Messages sent that have not come out: where that many are, the server is given no more."""

SHOWN_FAULTS = 10


class Tally:
    """The books of a soak; the same questions as an Account's, answered in sums.

    rate: messages a second that are given out; 0 is no such bound
    """

    killed_in_flight = 0

    def __init__(self) -> None:
        self.sent = self.acked = self.came = self.probes = 0
        self.sent_sum = self.came_sum = 0
        """Of the numbers, modulo 2^64: a message that came twice for one that did not come is seen here."""
        self.faults: Counter[str] = Counter()
        self.examples: list[str] = []
        self._rate = 0.0
        self._began, self._at_begin = 0.0, 0

    def hold(self, rate: float, now: float) -> None:
        """Give out so many messages a second from now on."""
        self._rate, self._began, self._at_begin = rate, now, self.sent

    def next_block(self, publisher: int) -> int | None:
        """A block, if it is time for one."""
        if self.sent - self.came > MOST_QUEUED:
            return None
        if self._rate and self.sent - self._at_begin >= (time.monotonic() - self._began) * self._rate:
            return None
        first = self.sent
        self.sent += BLOCK
        self.sent_sum += BLOCK * first + BLOCK * (BLOCK - 1) // 2
        return first

    def acknowledged(self, numbers: np.ndarray | slice) -> None:
        """The server said yes."""
        self.acked += numbers.stop - numbers.start if isinstance(numbers, slice) else len(numbers)

    def received(self, messages: Sequence[bytes], consumer: int, in_order: bool) -> None:
        """Messages that came out."""
        if PROBE in messages:
            before = len(messages)
            messages = [message for message in messages if message != PROBE]
            self.probes += before - len(messages)
        numbers, altered = read_numbers(messages)
        for message in altered:
            self.fault("altered", repr(message[:SHOWN_BYTES]))
        self.came += len(numbers)
        self.came_sum = (self.came_sum + int(numbers.sum())) % (1 << 64)

    def fault(self, kind: str, text: str, count: int = 1) -> None:
        """What the server must not do."""
        self.faults[kind] += count
        if len(self.examples) < SHOWN_FAULTS:
            self.examples.append(f"{kind}: {text}")

    @property
    def is_even(self) -> bool:
        """Whether what came out is what was sent."""
        return (self.sent, self.sent, self.sent_sum % (1 << 64)) == (self.acked, self.came, self.came_sum)
