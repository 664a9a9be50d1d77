"""What the connections of one run share: who may send what, what was answered, and when it is over.

The transports call this and nothing else. It knows no sockets; the clock is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from perf.latency import LatencyRecorder
from perf.ledger import Ledger
from perf.options import MAX_MESSAGES, Options
from perf.payloads import PayloadFormat

QUEUE_IS_FULL = "queue is full"
QUEUE_IS_EMPTY = "queue is empty"

SILENCE = "no answer in time"

MAX_ERROR_KINDS = 50
"""Different errors that are counted apart; a server that errs ever differently may not fill the memory."""

MAX_KIND_LENGTH = 100

TIMED_CAPACITY = 1 << 24
"""Messages that a timed run has room for from the start. Memory that is not used is not taken."""

BOOKED_AT_ONCE = 512
"""Messages of a receiver that wait to be booked together: booking a few takes nearly as long."""

UNBOOKED_BYTES = 1024 * 1024
"""The most that a receiver's messages take up until then."""

FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.02
"""How long a consumer waits before it asks an empty queue again: the first time, and at most."""


class Exchange:
    """One run's traffic.

    run_tag: tells this run's messages from others'
    receivers: streams of deliveries; each gets a number below this
    clock: a monotonic time in seconds
    """

    def __init__(self, options: Options, run_tag: int, receivers: int, clock: Callable[[], float]) -> None:
        self.options = options
        self.clock = clock
        self.payloads = PayloadFormat(run_tag, options.payload_bytes)
        self._quota = _shares(options.messages, options.producers)
        capacity = max(self._quota) if self._quota else TIMED_CAPACITY // options.producers
        self.ledger = Ledger(self.payloads, options.producers, receivers, capacity)
        self.publish_latency = LatencyRecorder()
        self.end_to_end_latency = LatencyRecorder()
        self.errors: Counter[str] = Counter()
        self.empty_count = 0
        self.producing = True
        self.started_at = self.publish_ended_at = self.receive_ended_at = clock()
        self.receive_started_at: float | None = None
        self._deadline = 0.0
        self._next = [0] * options.producers
        self._answered_at: dict[object, float] = {}
        self._unbooked = [_Unbooked() for _ in range(receivers)]

    def start(self) -> None:
        """The connections stand; the time runs from now."""
        self.started_at = self.publish_ended_at = self.receive_ended_at = self.clock()
        if self.options.seconds is not None:
            self._deadline = self.started_at + self.options.seconds

    def allot(self, producer: int, wanted: int) -> tuple[int, int]:
        """(first sequence, count) that this producer sends now, booked as sent; count 0 at its end."""
        first, now = self._next[producer], self.clock()
        if self._quota is not None:
            wanted = min(wanted, self._quota[producer] - first)
        elif now >= self._deadline or self.ledger.sent_count >= MAX_MESSAGES:
            wanted = 0
        if wanted > 0:
            self._next[producer] = first + wanted
            self.ledger.sent(producer, first, wanted, now)
        return first, wanted

    def accepted(self, producer: int, first: int, count: int) -> None:
        """The server acknowledged `count` messages from `first` on."""
        self.ledger.acknowledged(producer, first, count)
        self.publish_ended_at = now = self.clock()
        self.publish_latency.record_many(now - self.ledger.sent_times(producer, first, count))

    def refused(self, producer: int, first: int, count: int) -> None:
        """The queue was full for them."""
        self.ledger.refused(producer, first, count)
        self.errors[QUEUE_IS_FULL] += count

    def error(self, kind: str, count: int = 1) -> None:
        """Something else came than what was asked for; messages it concerned stay unanswered."""
        kind = kind[:MAX_KIND_LENGTH]
        if kind not in self.errors and len(self.errors) >= MAX_ERROR_KINDS:
            kind = "others"
        self.errors[kind] += count

    def arrived(self, receiver: int, payload: bytes) -> None:
        """A message came out."""
        self._book(receiver)
        self._receive(receiver, payload, self._note_arrival())

    def arrived_block(self, receiver: int, block: np.ndarray) -> None:
        """Many messages of the expected size came out, one a row. They are booked by and by."""
        unbooked = self._unbooked[receiver]
        unbooked.add(block, self._note_arrival())
        if unbooked.count >= BOOKED_AT_ONCE or unbooked.count * block.shape[1] >= UNBOOKED_BYTES:
            self._book(receiver)

    def book_all(self) -> None:
        """The ledger and the latencies know of everything that came, from here on."""
        for receiver in range(len(self._unbooked)):
            self._book(receiver)

    def empty(self, count: int = 1) -> None:
        """A consumer was told that the queue is empty."""
        self.empty_count += count

    def may_stop(self) -> bool:
        """Whether a consumer that was just told `queue is empty` is done."""
        if self.producing:
            return False
        self.book_all()
        if self.ledger.outstanding <= 0:
            return True
        return self.clock() - max(self.receive_ended_at, self.publish_ended_at) > self.options.idle_seconds

    def waiting(self, connection: object) -> None:
        """This connection has asked, or was answered with more to come: its silence counts from now."""
        self._answered_at[connection] = self.clock()

    def resting(self, connection: object) -> None:
        """This connection waits for no answer."""
        self._answered_at.pop(connection, None)

    def silent(self) -> list[object]:
        """The connections that have left a request unanswered for too long."""
        limit = self.clock() - self.options.timeout_seconds
        return [connection for connection, at in self._answered_at.items() if at < limit]

    @property
    def heard(self) -> bool:
        """Whether the server answered anything at all that makes sense."""
        self.book_all()
        refused = self.errors[QUEUE_IS_FULL]
        return bool(self.ledger.acknowledged_count or self.ledger.received_count or self.empty_count or refused)

    def _book(self, receiver: int) -> None:
        """What waits of this receiver, in the order in which it came."""
        unbooked = self._unbooked[receiver]
        if not unbooked.count:
            return
        block, times = unbooked.take()
        sent_at = self.ledger.receive_block(receiver, block)
        if sent_at is not None:
            self.end_to_end_latency.record_many(times - sent_at)
            return
        for row, at in zip(block, times.tolist(), strict=True):
            self._receive(receiver, row.tobytes(), at)

    def _receive(self, receiver: int, payload: bytes, at: float) -> None:
        sent_at = self.ledger.receive(receiver, payload)
        if sent_at is not None:
            self.end_to_end_latency.record(at - sent_at)

    def _note_arrival(self) -> float:
        self.receive_ended_at = now = self.clock()
        if self.receive_started_at is None:
            self.receive_started_at = now
        return now


class _Unbooked:
    """Blocks of messages that came to one receiver, and when.

    count: of their messages
    """

    def __init__(self) -> None:
        self.count = 0
        self._blocks: list[np.ndarray] = []
        self._times: list[float] = []

    def add(self, block: np.ndarray, at: float) -> None:
        """A block more."""
        self.count += len(block)
        self._blocks.append(block)
        self._times.append(at)

    def take(self) -> tuple[np.ndarray, np.ndarray]:
        """All messages, one a row, and the time of each; it is empty from then on."""
        blocks, times = self._blocks, self._times
        self.count, self._blocks, self._times = 0, [], []
        return np.concatenate(blocks), np.repeat(times, list(map(len, blocks)))


def _shares(messages: int | None, producers: int) -> list[int] | None:
    if messages is None:
        return None
    each, rest = divmod(messages, producers)
    return [each + (number < rest) for number in range(producers)]
