"""Unique payloads, and what became of each: one ledger for all clients of a run. No sockets here."""

from __future__ import annotations

import os
import struct
import threading
from random import Random

PRODUCERS = CONSUMERS = 8

_HEADER = struct.Struct("!II")

_FILLER = Random(1).randbytes(1024)


def messages_of_a_run(usual: int) -> int:
    """How many messages a load has: QUICKPULSE_TEST_MESSAGES, or what is usual; a multiple of the producers."""
    wanted = int(os.environ.get("QUICKPULSE_TEST_MESSAGES") or usual)
    return max(wanted // PRODUCERS, 1) * PRODUCERS


def payload(producer: int, sequence: int) -> bytes:
    """One message: its name, and 0 to 400 bytes that follow from it."""
    start = (producer * 31 + sequence * 7) % 600
    return _HEADER.pack(producer, sequence) + _FILLER[start : start + sequence % 401]


class Ledger:
    """What was acknowledged, asked for and received.

    `faults` has a line for each message that was doubled, blank, damaged or out of order, and for each "queue is
    empty" that cannot have been true.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.received: set[tuple[int, int]] = set()
        self.acknowledged: set[tuple[int, int]] = set()
        self.told_empty = 0
        self._lock = threading.Lock()
        self._asking: dict[str, int] = {}
        self._latest: dict[tuple[str, int], int] = {}

    def accepted(self, producer: int, sequence: int) -> None:
        """The server said that it has this message."""
        with self._lock:
            self.acknowledged.add((producer, sequence))

    def asks(self, consumer: str) -> int:
        """A consumer is about to ask; gives what `was_empty` wants to know."""
        with self._lock:
            self._asking[consumer] = self._asking.get(consumer, 0) + 1
            return len(self.acknowledged)

    def got(self, consumer: str, data: bytes, *, is_ordered: bool = True) -> None:
        """A consumer was given this."""
        with self._lock:
            self._asking[consumer] = self._asking.get(consumer, 0) - 1
            if len(data) < _HEADER.size:
                self.faults.append(f"{consumer} got {data!r}")
                return
            producer, sequence = _HEADER.unpack_from(data)
            name = (producer, sequence)
            if data != payload(producer, sequence):
                self.faults.append(f"{consumer} got {name} damaged")
            if name in self.received:
                self.faults.append(f"{consumer} got {name} again")
            if is_ordered and self._latest.get((consumer, producer), -1) >= sequence:
                self.faults.append(f"{consumer} got {name} out of order")
            self._latest[consumer, producer] = sequence
            self.received.add(name)

    def was_empty(self, consumer: str, acknowledged_then: int) -> None:
        """A consumer was told that the queue is empty.

        All that had been acknowledged when it asked must have gone to somebody: it was received, or may be in an answer
        that another consumer awaits.

        :param acknowledged_then: what `asks` gave.
        """
        with self._lock:
            self._asking[consumer] -= 1
            self.told_empty += 1
            others = sum(asking for name, asking in self._asking.items() if name != consumer)
            if acknowledged_then > len(self.received) + others:
                self.faults.append(
                    f"{consumer} was told empty: {acknowledged_then} were in, {len(self.received)} were out, and"
                    f" {others} at most on their way"
                )

    @property
    def missing(self) -> set[tuple[int, int]]:
        """Acknowledged, and not received."""
        return self.acknowledged - self.received
