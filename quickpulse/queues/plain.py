"""A queue of the broker as v0 uses it: an IMessageQueue, at most once, without a time in its calls.

A queue that holds fresh plain messages only, which is what v0 puts in, is worked on directly, as `memory.py` does
with its deque. Where v1 did something to it that the short ways do not look at, `is_slow` says so, and the messages are
taken as a pull would. A `Message` is kept with its id, and comes back as it was put in. What is due (a lease that v1
took, a delay) happens in the broker's tick; the short ways do not look for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, repeat, starmap

from zope.interface import implementer

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.interfaces import IMessageQueue, QueueStatistics
from quickpulse.messages import Item, Message, payload_of, require_items
from quickpulse.queues.named import MESSAGE_BYTES, NamedQueue
from quickpulse.queues.room import fits, make_room
from quickpulse.queues.runs import Extra
from quickpulse.requests import UNBOUNDED, Overflow

_BYTES = frozenset({bytes})


@implementer(IMessageQueue)
class PlainQueue:
    """One queue; belongs to the broker's thread.

    :param open_queue: given the time in ms, the queue, made on need.
    :param seconds: since 1970.
    :param advance: given the time in ms, lets happen what is due.
    :param wake: tells those who wait.
    """

    __slots__ = ("_advance", "_lane", "_open", "_payloads", "_queue", "_seconds", "_usage", "_wake")

    def __init__(
        self,
        open_queue: Callable[[int], NamedQueue],
        seconds: Callable[[], float],
        advance: Callable[[int], int],
        wake: Callable[[], None],
    ) -> None:
        self._open = open_queue
        self._bind(open_queue(advance(int(seconds() * 1000))))
        self._seconds = seconds
        self._advance = advance
        self._wake = wake

    def _bind(self, queue: NamedQueue) -> None:
        """Work on this queue; to be done again when it was deleted, or forgotten, and is made anew."""
        self._queue = queue
        self._lane = queue.lane
        self._payloads = queue.lane.payloads
        self._usage = queue.usage

    @property
    def depth(self) -> int:
        """Messages held now, also those that v1 delayed or leased."""
        return len(self._current())

    @property
    def capacity(self) -> int:
        """Most messages that it holds."""
        return self._current().capacity

    def enqueue(self, message: Item) -> None:
        """Put one message in; `QueueFull` when a bound forbids it."""
        if not self.enqueue_many((message,)):
            raise QueueFull

    def dequeue(self) -> Item:
        """Take the oldest message; `QueueEmpty` when there is none."""
        taken = self.dequeue_many(1)
        if not taken:
            raise QueueEmpty
        return taken[0]

    def enqueue_many(self, messages: Sequence[Item]) -> int:
        """Put in the longest prefix of `messages` that fits and return its length."""
        queue = self._queue
        if queue.is_slow:
            return self._put(messages)
        if len(messages) != 1:
            return self._put_batch(messages)
        message, usage = messages[0], self._usage  # a client that waits for each answer pays for each step
        if type(message) is not bytes:
            return self._put(messages)
        size_bytes = len(message)
        if (
            len(self._payloads) + queue.held >= queue.capacity
            or queue.size_bytes + size_bytes > queue.capacity_bytes
            or usage.used + size_bytes + MESSAGE_BYTES > usage.limit
            or (self._seconds() >= self._lane.until and self._is_slow_now())
        ):
            return self._put(messages)
        self._payloads.append(message)
        self._lane.stored += 1
        queue.size_bytes += size_bytes
        usage.used += size_bytes + MESSAGE_BYTES
        return 1

    def dequeue_many(self, count: int) -> list[Item]:
        """Take up to `count` of the oldest messages."""
        queue, payloads = self._queue, self._payloads
        if queue.is_slow:
            return self._take(count)
        if count == 1 and payloads:  # as in enqueue_many
            payload = payloads.popleft()
            size_bytes = len(payload)
            queue.size_bytes -= size_bytes
            self._usage.used -= size_bytes + MESSAGE_BYTES
            queue.counts.taken += 1
            return [payload]
        taken: list[Item] = list(starmap(payloads.popleft, repeat((), min(count, len(payloads)))))
        size_bytes = sum(map(len, taken))
        queue.size_bytes -= size_bytes
        self._usage.used -= size_bytes + len(taken) * MESSAGE_BYTES
        queue.counts.taken += len(taken)
        return taken

    def exchange_many(self, messages: Sequence[Item]) -> list[Item]:
        """Put each message in and take the oldest for it; end before the first that a bound in bytes forbids."""
        queue, payloads, count = self._queue, self._payloads, len(messages)
        if queue.is_slow:
            return self._exchange(messages)
        if count == 1:  # over gRPC this is the hot path
            message = messages[0]
            if type(message) is not bytes or queue.size_bytes + len(message) > queue.capacity_bytes:
                return self._exchange(messages)
            usage = self._usage
            if usage.used + len(message) > usage.limit or (self._seconds() >= self._lane.until and self._is_slow_now()):
                return self._exchange(messages)
            payloads.append(message)  # one more than the capacity for a moment that nobody sees
            item = payloads.popleft()
            size_bytes = len(message) - len(item)
            self._lane.stored += 1
            queue.counts.taken += 1
            queue.size_bytes += size_bytes
            usage.used += size_bytes
            return [item]
        return self._exchange_batch(messages)

    def statistics(self) -> QueueStatistics:
        """Depth, sizes, bounds and counts at this moment."""
        queue = self._current()
        return QueueStatistics(
            depth=len(queue),
            size_bytes=queue.size_bytes,
            capacity=queue.capacity,
            capacity_bytes=queue.capacity_bytes if queue.capacity_bytes < UNBOUNDED else None,
            enqueued=queue.published,
            dequeued=queue.counts.taken + queue.counts.acked,
            refused=sum(queue.counts.rejected.values()),
        )

    # ---- the long ways ----

    def _put_batch(self, messages: Sequence[Item]) -> int:
        queue, usage, count = self._queue, self._usage, len(messages)
        if not _BYTES.issuperset(map(type, messages)):
            return self._put(messages)
        size_bytes = sum(map(len, messages))
        cost = size_bytes + count * MESSAGE_BYTES
        if (
            len(self._payloads) + queue.held + count > queue.capacity
            or queue.size_bytes + size_bytes > queue.capacity_bytes
            or usage.used + cost > usage.limit
            or (self._seconds() >= self._lane.until and self._is_slow_now())
        ):
            return self._put(messages)
        self._payloads.extend(messages)  # type: ignore[arg-type]  # all are bytes
        self._lane.stored += count
        queue.size_bytes += size_bytes
        usage.used += cost
        return count

    def _exchange_batch(self, messages: Sequence[Item]) -> list[Item]:
        queue, usage, payloads, count = self._queue, self._usage, self._payloads, len(messages)
        if not _BYTES.issuperset(map(type, messages)):
            return self._exchange(messages)
        size_bytes = sum(map(len, messages))
        if (
            len(payloads) + queue.held + count > queue.capacity
            or queue.size_bytes + size_bytes > queue.capacity_bytes
            or usage.used + size_bytes + count * MESSAGE_BYTES > usage.limit
            or (self._seconds() >= self._lane.until and self._is_slow_now())
        ):
            return self._exchange(messages)
        payloads.extend(messages)  # type: ignore[arg-type]  # all are bytes
        taken: list[Item] = list(starmap(payloads.popleft, repeat((), count)))
        size_bytes -= sum(map(len, taken))
        self._lane.stored += count
        queue.counts.taken += count
        queue.size_bytes += size_bytes
        usage.used += size_bytes
        return taken

    def _is_slow_now(self) -> bool:
        """It is a new millisecond: what was due happens. Whether the short way does not hold any more."""
        seconds = self._seconds()
        now_ms = self._now()
        if self._queue.is_slow:
            return True
        self._lane.mark(now_ms)
        self._lane.until = (int(seconds * 1000) + 1) / 1000
        return False

    def _current(self) -> NamedQueue:
        """The queue of that name, which may be another one by now."""
        if self._queue.is_gone:
            self._now()
        return self._queue

    def _now(self) -> int:
        """Let happen what is due."""
        now_ms = self._advance(int(self._seconds() * 1000))
        if self._queue.is_gone:
            self._bind(self._open(now_ms))
        return now_ms

    def _put(self, messages: Sequence[Item]) -> int:
        require_items(messages)
        now_ms, count = self._now(), 0
        queue = self._queue
        if not queue.is_publish_paused:
            count = self._fitting(messages)
            self._store(messages[:count], now_ms)
            if queue.policy.overflow is Overflow.DROP_OLDEST:
                count = self._put_dropping(messages, count, now_ms)
        if count < len(messages):
            queue.counts.reject(QueueFull.code, len(messages) - count)
        queue.touched = now_ms
        queue.review()
        self._wake()
        return count

    def _put_dropping(self, messages: Sequence[Item], count: int, now_ms: int) -> int:
        """Go on after the first `count`, each in place of the oldest ready ones; how many were put in all in all."""
        queue = self._queue
        while count < len(messages) and make_room(queue, 1, len(messages[count])):
            self._store(messages[count : count + 1], now_ms)
            count += 1
        return count

    def _fitting(self, messages: Sequence[Item]) -> int:
        """How many fit, from the first on."""
        if fits(self._queue, len(messages), sum(map(len, messages))):
            return len(messages)
        sizes = enumerate(accumulate(map(len, messages)), 1)
        return next((count - 1 for count, size in sizes if not fits(self._queue, count, size)), len(messages))

    def _store(self, messages: Sequence[Item], now_ms: int) -> None:
        queue = self._queue
        for sequence, message in enumerate(messages, self._lane.stored + 1):
            if isinstance(message, Message):
                queue.extras[sequence] = Extra(message, 0)
        if messages:
            queue.store([payload_of(message) for message in messages], sum(map(len, messages)), now_ms)

    def _take(self, count: int) -> list[Item]:
        now_ms = self._now()
        queue = self._queue
        queue.touched = now_ms
        taken: list[Item] = []
        if queue.is_paused:
            return taken
        for run in queue.ready.take(count, UNBOUNDED, queue.extras):
            taken += run.payloads
            if queue.extras:
                for place, sequence in enumerate(run.sequences, len(taken) - len(run.payloads)):
                    extra = queue.extras.get(sequence)
                    if extra is not None and isinstance(extra.properties, Message):
                        taken[place] = extra.properties
            queue.counts.taken += len(run.payloads)
            if run.deliveries:
                queue.counts.redelivered += len(run.payloads)
            queue.gone(run.sequences, run.size_bytes, run.beside_bytes)
        queue.review()
        return taken

    def _exchange(self, messages: Sequence[Item]) -> list[Item]:
        require_items(messages)
        now_ms = self._now()
        queue = self._queue
        taken: list[Item] = []
        for message in messages:
            if queue.is_paused or queue.is_publish_paused or not self._exchange_fits(message):
                queue.counts.reject(QueueFull.code, 1)
                break
            self._store((message,), now_ms)
            taken += self._take(1)
        queue.review()
        self._wake()
        return taken

    def _exchange_fits(self, message: Item) -> bool:
        """Whether `message` fits once the oldest has made room; where there is none, it is the one that is taken."""
        queue = self._queue
        oldest = 0
        for run in queue.ready.look(1):
            oldest = run.slice(0, 1, queue.extras).size_bytes
            break
        usage = queue.usage
        return (
            queue.size_bytes - oldest + len(message) <= queue.capacity_bytes
            and usage.used - oldest + len(message) <= usage.limit
        )
