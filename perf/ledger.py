"""What became of every message of a run: sent, acknowledged or refused, and how often and how it came out.

No sockets and no clocks: times are handed in. `receive` is the plain form; `receive_block` does the same for
many payloads at once and says no, having changed nothing, as soon as one of them is anything but a first,
intact, ordered delivery.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perf.payloads import PayloadFormat

SENT, ACKNOWLEDGED, REFUSED, HARMED = 1, 2, 4, 8
"""Bits of a message's status. HARMED: it came out under its own header with a damaged body."""

MIN_CAPACITY = 1024
"""Messages of each producer that the tables hold at least; they double where it is not enough."""


@dataclass(frozen=True)
class Totals:
    """The counts of a run.

    sent: requests to publish that went out
    acknowledged, refused: how they were answered
    unanswered: sent, and neither acknowledged nor refused
    received: answers to consumers that carried a message, whatever its state: the sum of the seven below
    delivered: intact messages of this run that were acknowledged or unanswered, each counted once
    duplicated: intact copies beyond a message's first
    damaged: not what was sent, or of the wrong size
    blank: empty, where no message is empty
    foreign: well-formed, but of another run: the queue was not empty before this one
    unsent: well-formed and of this run, but never sent
    refused_delivered: refused, and yet it came out
    lost: acknowledged, and nothing that came out can have been it
    missing: acknowledged, and not come out intact: lost, or among the damaged and the blank
    out_of_order: came to a consumer after a later message of the same producer
    """

    sent: int
    acknowledged: int
    refused: int
    unanswered: int
    received: int
    delivered: int
    duplicated: int
    damaged: int
    blank: int
    foreign: int
    unsent: int
    refused_delivered: int
    lost: int
    missing: int
    out_of_order: int


class Ledger:
    """The messages of one run.

    producers: how many number their messages
    receivers: how many streams of deliveries there are, each with an order of its own
    capacity: messages of each producer to make room for, so that doubling does not show in the latencies
    """

    def __init__(self, payloads: PayloadFormat, producers: int, receivers: int, capacity: int = 0) -> None:
        self.payloads = payloads
        shape = (producers, max(capacity, MIN_CAPACITY))
        self._status = np.zeros(shape, np.uint8)
        self._arrivals = np.zeros(shape, np.bool_)
        self._sent_at = np.zeros(shape, np.float64)
        self._used = 0
        self._last_seen = np.full((receivers, producers), -1, np.int64)
        self.sent_count = 0
        self.acknowledged_count = 0
        self.received_count = 0
        self.first_deliveries = 0
        self._duplicated = self._damaged = self._blank = self._foreign = self._unsent = self._out_of_order = 0
        self._unattributed = 0

    @property
    def outstanding(self) -> int:
        """Acknowledged messages that have not come out intact, as far as the running counts tell."""
        return self.acknowledged_count - self.first_deliveries

    def sent(self, producer: int, first: int, count: int, at: float) -> None:
        """`count` messages from `first` on go out at the time `at`, in seconds."""
        end = first + count
        while end > self._status.shape[1]:
            self._grow()
        self._used = max(self._used, end)
        self._status[producer, first:end] = SENT
        self._sent_at[producer, first:end] = at
        self.sent_count += count

    def acknowledged(self, producer: int, first: int, count: int) -> None:
        """The server took them."""
        self._status[producer, first : first + count] |= ACKNOWLEDGED
        self.acknowledged_count += count

    def refused(self, producer: int, first: int, count: int) -> None:
        """The server would not take them."""
        self._status[producer, first : first + count] |= REFUSED

    def sent_times(self, producer: int, first: int, count: int) -> np.ndarray:
        """When they went out, in seconds."""
        return self._sent_at[producer, first : first + count]

    def receive(self, receiver: int, payload: bytes) -> float | None:
        """Books one payload; the time it was sent at, in seconds, where it is a first, intact delivery."""
        self.received_count += 1
        if not payload:
            self._blank += 1
            self._unattributed += 1
            return None
        read = self.payloads.read(payload)
        if read is None:
            self._damaged += 1
            self._unattributed += 1
            return None
        run_tag, producer, sequence, intact = read
        if run_tag != self.payloads.run_tag:
            self._foreign += 1
            return None
        if not self._was_sent(producer, sequence):
            self._unsent += 1
            return None
        if not intact:
            self._damaged += 1
            self._status[producer, sequence] |= HARMED
            return None
        return self._first_delivery(receiver, producer, sequence)

    def receive_block(self, receiver: int, block: np.ndarray) -> np.ndarray | None:
        """Books the rows; when each was sent, in seconds; None, and nothing booked, at any oddity."""
        read = self.payloads.read_block(block)
        if read is None:
            return None
        producers, sequences = read
        if producers.max() >= self._status.shape[0] or sequences.max() >= self._status.shape[1]:
            return None
        if self._arrivals[producers, sequences].any() or not self._status[producers, sequences].all():
            return None
        if not self._advance(receiver, producers, sequences):
            return None
        self._arrivals[producers, sequences] = True
        self.received_count += len(producers)
        self.first_deliveries += len(producers)
        return self._sent_at[producers, sequences]

    def totals(self) -> Totals:
        """The counts as they stand."""
        status, came = self._status[:, : self._used], self._arrivals[:, : self._used]
        acknowledged = (status & ACKNOWLEDGED) > 0
        refused = (status & REFUSED) > 0
        absent = acknowledged & ~came
        harmed = absent & ((status & HARMED) > 0)
        missing = int(absent.sum())
        return Totals(
            sent=self.sent_count,
            acknowledged=self.acknowledged_count,
            refused=int(refused.sum()),
            unanswered=int((status == SENT).sum() + (status == SENT | HARMED).sum()),
            received=self.received_count,
            delivered=int((came & ~refused).sum()),
            duplicated=self._duplicated,
            damaged=self._damaged,
            blank=self._blank,
            foreign=self._foreign,
            unsent=self._unsent,
            refused_delivered=int((came & refused).sum()),
            lost=max(0, missing - int(harmed.sum()) - self._unattributed),
            missing=missing,
            out_of_order=self._out_of_order,
        )

    def _was_sent(self, producer: int, sequence: int) -> bool:
        producers, capacity = self._status.shape
        return producer < producers and sequence < capacity and bool(self._status[producer, sequence])

    def _first_delivery(self, receiver: int, producer: int, sequence: int) -> float | None:
        before = self._arrivals[producer, sequence]
        self._arrivals[producer, sequence] = True
        if before:
            self._duplicated += 1
            return None
        self.first_deliveries += 1
        if sequence < self._last_seen[receiver, producer]:
            self._out_of_order += 1
        else:
            self._last_seen[receiver, producer] = sequence
        return float(self._sent_at[producer, sequence])

    def _advance(self, receiver: int, producers: np.ndarray, sequences: np.ndarray) -> bool:
        """Moves the receiver's last sequences on, if each producer's rows only go up from there."""
        order = np.argsort(producers, kind="stable")
        by_producer, of_each = producers[order], sequences[order].astype(np.int64)
        changes = np.flatnonzero(by_producer[1:] != by_producer[:-1])
        rises = of_each[1:] > of_each[:-1]
        rises[changes] = True
        if not rises.all():
            return False
        starts = np.concatenate(([0], changes + 1))
        ends = np.concatenate((changes, [len(order) - 1]))
        last_seen = self._last_seen[receiver]
        if (of_each[starts] <= last_seen[by_producer[starts]]).any():
            return False
        last_seen[by_producer[ends]] = of_each[ends]
        return True

    def _grow(self) -> None:
        self._status = np.concatenate((self._status, np.zeros_like(self._status)), axis=1)
        self._arrivals = np.concatenate((self._arrivals, np.zeros_like(self._arrivals)), axis=1)
        self._sent_at = np.concatenate((self._sent_at, np.zeros_like(self._sent_at)), axis=1)
