"""A batch that is looked at message by message: what is wrong with one, whether it is there already, whether it fits.

What is stored has consecutive sequences; it is put into runs by what decides about its place: priority, delay and time
to live.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from quickpulse.errors import (
    BatchRejected,
    InvalidArgument,
    MessageTooLarge,
    QueueFull,
    QuickPulseError,
    ServerFull,
)
from quickpulse.queues.named import MESSAGE_BYTES, NamedQueue
from quickpulse.queues.policies import LONGEST_KEY, LONGEST_MS, Limits, require_between
from quickpulse.queues.room import fits, make_room
from quickpulse.queues.runs import RUN_MESSAGES, Extra, Run, beside_of, weight_of
from quickpulse.queues.usage import RUN_BYTES
from quickpulse.requests import NO_PROPERTIES, Batch, Overflow, Properties, PublishReply, Rejection

HIGHEST_PRIORITY = 9


def resolved(common: Properties | None, own: Properties) -> Properties:
    """The properties in force: `own` where it is not zero or empty, else `common`."""
    if common is None:
        return own
    return Properties(
        own.id or common.id,
        own.headers or common.headers,
        own.content_type or common.content_type,
        own.priority or common.priority,
        own.delay_ms or common.delay_ms,
        own.ttl_ms or common.ttl_ms,
        own.dedup_key or common.dedup_key,
        own.reply_to or common.reply_to,
        own.correlation_id or common.correlation_id,
    )


def fault_of(properties: Properties) -> InvalidArgument | None:
    """What is wrong with them."""
    if (
        0 <= properties.priority <= HIGHEST_PRIORITY
        and 0 <= properties.delay_ms <= LONGEST_MS
        and 0 <= properties.ttl_ms <= LONGEST_MS
        and len(properties.dedup_key) <= LONGEST_KEY
    ):
        return None  # as nearly always; what follows says what is wrong
    try:
        require_between("priority", properties.priority, 0, HIGHEST_PRIORITY)
        require_between("delay_ms", properties.delay_ms, 0, LONGEST_MS)
        require_between("ttl_ms", properties.ttl_ms, 0, LONGEST_MS)
        require_between("dedup_key: its length", len(properties.dedup_key), 0, LONGEST_KEY)
    except InvalidArgument as error:
        return error.with_traceback(None)  # there may be very many of them
    return None


class Sums:
    """How many messages of these sizes there is room for."""

    __slots__ = ("costs", "sizes")

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = list(accumulate(sizes))
        self.costs = [size + count * MESSAGE_BYTES for count, size in enumerate(self.sizes, 1)]

    def within(self, messages: int, in_queue: int, in_server: int, start: int = 0) -> int:
        """Where those end, from the one at `start` on, that together are no more than that."""
        if start:
            in_queue += self.sizes[start - 1]
            in_server += self.costs[start - 1]
        stop = min(start + messages, bisect_right(self.sizes, in_queue), bisect_right(self.costs, in_server))
        return max(stop, start)


class Admission:
    """One batch on its way in."""

    def __init__(self, queue: NamedQueue, batch: Batch, payloads: list[bytes], now_ms: int, limits: Limits) -> None:
        self.queue = queue
        self.payloads = payloads
        self.now_ms = now_ms
        self.limits = limits
        self.common = None if batch.common == NO_PROPERTIES else batch.common
        self.weight = weight_of(self.common) if self.common is not None else 0
        self.stored: list[Sequence[int]] = []
        self.stored_beside = 0
        self.own: dict[int, Properties] = {}
        self.weights: dict[int, int] = {}
        for index, own in batch.properties.items():
            if not 0 <= index < len(payloads):
                raise InvalidArgument(f"properties of message {index}, but there are {len(payloads)} messages")
            whole = resolved(self.common, own)
            if whole != NO_PROPERTIES:
                self.own[index] = whole
                self.weights[index] = weight_of(whole)
        self.beside = self._beside()
        self.errors: dict[int, QuickPulseError] = {}
        self.duplicates: list[int] = []
        self.first_stored = queue.lane.stored + 1

    def publish(self, is_atomic: bool) -> PublishReply:
        """Store what is valid, new, and fits."""
        self._judge()
        repeats, candidates = self._find_duplicates()
        if is_atomic:
            self._admit_all(candidates)
        elif self.queue.policy.overflow is Overflow.DROP_OLDEST:
            self._admit_dropping(candidates)
        else:
            self._admit_fitting(candidates)
        self.queue.charge(self.stored_beside)  # it is not asked whether there is room for that
        for indexes in self.stored:
            self._remember_keys(indexes)
        for index, of in repeats:  # the first with its key was a candidate
            if of in self.errors:
                self.errors[index] = self.errors[of]
            else:
                self.duplicates.append(index)
        return self._reply()

    def _reply(self) -> PublishReply:
        last = self.queue.lane.stored
        for error in self.errors.values():
            self.queue.counts.reject(error.code, 1)
        return PublishReply(
            ((self.first_stored, last),) if last >= self.first_stored else (),
            tuple(sorted(self.duplicates)),
            tuple(Rejection(index, self.errors[index]) for index in sorted(self.errors)),
        )

    def _beside(self) -> int:
        """Bytes of memory that count for each message: its share of the runs, and of the common properties."""
        common = self.common
        kinds = {
            (each.priority, each.delay_ms, each.ttl_ms) for each in self.own.values() if each.delay_ms or each.ttl_ms
        }
        if common is not None and (common.delay_ms or common.ttl_ms):
            kinds.add((common.priority, common.delay_ms, common.ttl_ms))
        size_bytes = RUN_BYTES * len(kinds) + (beside_of(common) if common is not None else 0)
        return -(-size_bytes // len(self.payloads))

    def _properties(self, index: int) -> Properties | None:
        return self.own.get(index, self.common)

    def _size(self, index: int) -> int:
        return len(self.payloads[index]) + self.weights.get(index, self.weight)

    def _chosen(self, indexes: Sequence[int]) -> list[bytes]:
        if isinstance(indexes, range):  # all that there are, or a stretch of them
            return self.payloads[indexes.start : indexes.stop]
        return [self.payloads[index] for index in indexes]

    def _total(self, indexes: Sequence[int]) -> int:
        """Bytes of these together."""
        if self.own:
            return sum(map(self._size, indexes))
        return sum(map(len, self._chosen(indexes))) + self.weight * len(indexes)

    def _judge(self) -> None:
        """Note what is wrong with single messages."""
        most = self.limits.max_message_bytes
        if max(map(len, self.payloads)) > most:
            for index, payload in enumerate(self.payloads):
                if len(payload) > most:
                    self.errors[index] = MessageTooLarge(len(payload), most)
        fault = fault_of(self.common) if self.common is not None else None
        if fault is not None:
            for index in range(len(self.payloads)):
                if index not in self.own:
                    self.errors.setdefault(index, fault)
        for index, own in self.own.items():
            fault = fault_of(own)
            if fault is not None:
                self.errors.setdefault(index, fault)

    def _find_duplicates(self) -> tuple[list[tuple[int, int]], Sequence[int]]:
        """Pairs of a message and an earlier one of the batch with its key; and all that may be stored."""
        every = range(len(self.payloads))
        keys = self.queue.keys
        has_keys = (self.common is not None and self.common.dedup_key) or any(
            own.dedup_key for own in self.own.values()
        )
        if not (has_keys and keys.window_ms):
            return [], [index for index in every if index not in self.errors] if self.errors else every
        repeats: list[tuple[int, int]] = []
        candidates: list[int] = []
        seen: dict[str, int] = {}
        for index in every:
            properties = self._properties(index)
            if index in self.errors:
                continue
            key = properties.dedup_key if properties is not None else ""
            if key and keys.knows(key, self.now_ms):
                self.duplicates.append(index)
            elif key and key in seen:
                repeats.append((index, seen[key]))
            else:
                candidates.append(index)
                if key:
                    seen[key] = index
        return repeats, candidates

    # ---- what fits ----

    def _admit_fitting(self, candidates: Sequence[int]) -> None:
        """As many as fit, from the first on."""
        queue, usage = self.queue, self.queue.usage
        if fits(queue, len(candidates), self._total(candidates)):
            self._store(candidates)
            return
        sums = Sums(map(self._size, candidates))
        count = sums.within(
            queue.capacity - len(queue), queue.capacity_bytes - queue.size_bytes, usage.limit - usage.used
        )
        refused = candidates[count:]
        if refused:
            self._refuse(refused, sums.sizes[count], count + 1)
        self._store(candidates[:count])

    def _admit_all(self, candidates: Sequence[int]) -> None:
        """All or none."""
        if not candidates:
            return
        queue, size_bytes = self.queue, self._total(candidates)
        is_dropping = queue.policy.overflow is Overflow.DROP_OLDEST
        if not self.errors and (make_room if is_dropping else fits)(queue, len(candidates), size_bytes):
            self._store(candidates)
        elif self.errors:
            rejected = BatchRejected()
            self.errors.update((index, rejected) for index in candidates)
        else:
            self._refuse(candidates, size_bytes, len(candidates))

    def _admit_dropping(self, candidates: Sequence[int]) -> None:
        """Each, as long as there are ready ones to be dropped for it."""
        if not candidates:
            return
        queue, size_bytes = self.queue, self._total(candidates)
        if make_room(queue, len(candidates), size_bytes):
            self._store(candidates)
            return
        sums, done = Sums(map(self._size, candidates)), 0
        while done < len(candidates):  # stretch by stretch, for each of which all that is ready may go
            ready_bytes = queue.size_bytes - queue.held_bytes
            used = queue.usage.used - ready_bytes - len(queue.ready) * MESSAGE_BYTES
            stop = sums.within(
                queue.capacity - queue.held, queue.capacity_bytes - queue.held_bytes, queue.usage.limit - used, done
            )
            part = candidates[done:stop]
            if not part:
                self._refuse(candidates[done:], self._size(candidates[done]), 1)
                return
            make_room(queue, len(part), self._total(part))
            self._store(part)
            done = stop

    def _refuse(self, indexes: Sequence[int], size_bytes: int, count: int) -> None:
        """These do not fit, because so much together is too much for the queue, or for the server."""
        queue = self.queue
        if queue.policy.overflow is Overflow.DROP_OLDEST:
            held, held_bytes = queue.held, queue.held_bytes
        else:
            held, held_bytes = len(queue), queue.size_bytes
        is_full = held + count > queue.capacity or held_bytes + size_bytes > queue.capacity_bytes
        error = QueueFull() if is_full else ServerFull()
        self.errors.update((index, error) for index in indexes)

    # ---- storing ----

    def _store(self, indexes: Sequence[int]) -> None:
        if not indexes:
            return
        groups = self._groups(indexes)
        if self.common is None and not self.beside and groups.keys() == {(0, 0, 0)}:
            self._note_extras(indexes, range(self.queue.lane.stored + 1, self.queue.lane.stored + 1 + len(indexes)))
            self.queue.store(self._chosen(indexes), self._total(indexes), self.now_ms)
        else:
            sequences = self.queue.lane.skip(len(indexes))
            self._note_extras(indexes, sequences)
            for (priority, delay_ms, ttl_ms), places in groups.items():
                for start in range(0, len(places), RUN_MESSAGES):
                    part = places[start : start + RUN_MESSAGES]
                    run = self._run(indexes, part, sequences)
                    run.priority = priority
                    run.expires_at = self.now_ms + ttl_ms if ttl_ms else 0
                    self.queue.admit(run, delay_ms, self.now_ms)
            self.stored_beside += self.beside * len(indexes)
        self.stored.append(indexes)

    def _groups(self, indexes: Sequence[int]) -> dict[tuple[int, int, int], Sequence[int]]:
        """Priority, delay and time to live, to the places within `indexes` of the messages that have them."""
        if not self.own:
            common = self.common or NO_PROPERTIES
            return {(common.priority, common.delay_ms, common.ttl_ms): range(len(indexes))}
        groups: dict[tuple[int, int, int], list[int]] = {}
        for place, index in enumerate(indexes):
            each = self._properties(index) or NO_PROPERTIES
            groups.setdefault((each.priority, each.delay_ms, each.ttl_ms), []).append(place)
        return dict(groups)

    def _run(self, indexes: Sequence[int], places: Sequence[int], sequences: range) -> Run:
        chosen: Sequence[int]
        numbers: Sequence[int]
        if places[-1] - places[0] + 1 == len(places):
            chosen, numbers = indexes[places[0] : places[-1] + 1], sequences[places[0] : places[-1] + 1]
        else:
            chosen, numbers = [indexes[place] for place in places], [sequences[place] for place in places]
        size_bytes = self._total(chosen)
        run = Run(self._chosen(chosen), numbers, self.now_ms, size_bytes, common=self.common, weight=self.weight)
        run.beside = self.beside
        return run

    def _note_extras(self, indexes: Sequence[int], sequences: range) -> None:
        """Keep what single messages have of their own."""
        if self.own:
            self.queue.is_slow = True
            for index, sequence in zip(indexes, sequences, strict=True):
                own = self.own.get(index)
                if own is not None:
                    self.queue.extras[sequence] = Extra(own, self.weights[index])
                    self.stored_beside += beside_of(own)

    def _remember_keys(self, indexes: Sequence[int]) -> None:
        common_key = self.common.dedup_key if self.common is not None else ""
        if common_key or self.own:
            for index in indexes:
                properties = self._properties(index)
                if properties is not None and properties.dedup_key:
                    self.queue.keys.add(properties.dedup_key, self.now_ms)
