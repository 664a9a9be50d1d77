"""What the code of a side is given: messages to publish until the time is up, and a check of what comes out.

A worker says "ready", waits for a line, and at the end says what it did as one line of JSON. A producer's last message
is the end mark: it says how many messages there were, itself included.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

PAYLOAD_BYTES = 100

BATCH = 1_000

DISTINCT_BATCHES = 100
"""Payloads are built before the clock starts, so many batches of them; then they come again."""

SILENCE_SECONDS = 10.0
"""A consumer that gets nothing for so long gives up."""

END = ord("e")
"""The first byte of the end mark; all other messages are digits."""

PAUSE_SECONDS = 0.001
"""Between the messages of a wake-up, so that the consumer waits again."""

WARM_UP = 100
"""Single round trips before the first that counts."""


class WrongWorkError(Exception):
    """What came out is not what was put in."""


def payload(number: int) -> bytes:
    """A message."""
    return b"%0*d" % (PAYLOAD_BYTES, number)


def end_mark(total: int) -> bytes:
    """The last message of a producer, which has sent so many."""
    return b"e%0*d" % (PAYLOAD_BYTES - 1, total)


class Work:
    """One worker's part of a measurement.

    seconds: that a producer publishes, or that round trips go on
    messages: that a queue is filled with, where its memory is measured
    """

    def __init__(self, seconds: float, messages: int) -> None:
        self.messages = messages
        self._seconds = seconds
        self._batches: list[list[bytes]] = []
        self._seen = 0
        self._said: dict[str, Any] = {}
        self._cpu = self._deadline = 0.0
        self._samples: list[int] = []

    # ---- both ----

    def prepare(self) -> None:
        """Build the payloads."""
        for first in range(0, BATCH * DISTINCT_BATCHES, BATCH):
            self._batches.append([payload(number) for number in range(first, first + BATCH)])

    def begin(self) -> None:
        """All is set up: wait until the others are too. The clock starts."""
        self.wait("ready")
        self._said["started"] = time.monotonic()
        self._deadline = self._said["started"] + self._seconds
        self._cpu = time.process_time()

    def wait(self, word: str) -> None:
        """Say it, and go on when told to."""
        print(word, flush=True)
        if not sys.stdin.readline():
            raise WrongWorkError("nobody is there any more")

    def finish(self) -> None:
        """All is confirmed, or acked: the clock stops."""
        self._said |= {"ended": time.monotonic(), "cpu": time.process_time() - self._cpu}

    def tell(self) -> None:
        """What was done."""
        print(json.dumps({**self._said, "samples": self._samples}), flush=True)

    # ---- producers ----

    def batches(self) -> Iterator[list[bytes]]:
        """Batches until the time is up, then the end mark alone."""
        count = 0
        while not count or time.monotonic() < self._deadline:
            batch = self._batches[count % DISTINCT_BATCHES]
            count += 1
            yield batch
        self._said["messages"] = count * BATCH + 1
        yield [end_mark(self._said["messages"])]

    def payloads(self) -> Iterator[bytes]:
        """The same one by one."""
        for batch in self.batches():
            yield from batch

    def stamps(self) -> Iterator[bytes]:
        """Messages that say when they were sent, until the time is up; the caller pauses after each."""
        count = 0
        while not count or time.monotonic() < self._deadline:
            count += 1
            yield payload(time.monotonic_ns())
        self._said["messages"] = count + 1
        yield end_mark(count + 1)

    def fill(self, messages: int | None = None) -> Iterator[list[bytes]]:
        """As many batches as the queue is to be filled with, or as are wanted."""
        for number in range((messages or self.messages) // BATCH):
            yield self._batches[number % DISTINCT_BATCHES]

    # ---- consumers ----

    def saw(self, payloads: Sequence[bytes]) -> bool:
        """A batch came out, in order; whether there is more to come."""
        if not payloads:
            raise WrongWorkError(f"nothing came for {SILENCE_SECONDS:g} s, after {self._seen:,} messages")
        self._check(payloads[0], self._seen)
        self._check(payloads[-1], self._seen + len(payloads) - 1)
        self._seen += len(payloads)
        return not self._is_end(payloads[-1])

    def saw_all(self, count: int, last: bytes) -> None:
        """So many came one by one, the end mark last."""
        self._seen = count
        if not self._is_end(last):
            raise WrongWorkError(f"the last message is {last!r}")

    def arrived(self, stamp: bytes) -> bool:
        """A message of `stamps` came out; whether there is more to come."""
        now = time.monotonic_ns()
        self._seen += 1
        if self._is_end(stamp):
            return False
        self._samples.append(now - int(stamp))
        return True

    def left(self, messages: int) -> None:
        """So many are still there after all was acked."""
        if messages:
            raise WrongWorkError(f"{messages:,} messages are still there")

    def _check(self, got: bytes, number: int) -> None:
        if got[0] == END:
            return
        due = self._batches[number // BATCH % DISTINCT_BATCHES][number % BATCH]
        if got != due:
            raise WrongWorkError(f"message {number:,} is {bytes(got)!r}")

    def _is_end(self, got: bytes) -> bool:
        if got[0] != END:
            return False
        self._said["messages"] = self._seen
        total = int(got[1:])
        if total != self._seen:
            raise WrongWorkError(f"{total:,} messages were sent, and {self._seen:,} came")
        return True

    # ---- one process that does both ----

    def rounds(self) -> Iterator[bytes]:
        """Messages, one for each round trip, until the time is up; each round is timed."""
        for _ in range(WARM_UP):
            yield self._batches[0][0]
        self._cpu = time.process_time()
        count = 0
        while not count or time.monotonic() < self._deadline:
            message = self._batches[count // BATCH % DISTINCT_BATCHES][count % BATCH]
            started = time.perf_counter_ns()
            yield message
            self._samples.append(time.perf_counter_ns() - started)
            count += 1
        self._said["messages"] = count
