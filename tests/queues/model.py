"""A naive broker: a list of message objects for each queue, looked through from end to end. Obviously right, and slow.

It is the judge of the real one in `walk.py`, and follows docs/protocol.md. Every change of a message's state
goes through `Message.move`, which knows the table of legal moves only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from quickpulse.queues import dedup, framing
from quickpulse.queues.life import MOVES, Event, State
from quickpulse.queues.policies import dead_name
from quickpulse.requests import (
    Action,
    Batch,
    DeadLetter,
    Delivery,
    Overflow,
    Policy,
    Properties,
    Publish,
    Pull,
    Settle,
)

MESSAGE_BYTES = 64
NAMES = [each.name for each in fields(Properties)]


@dataclass(eq=False)
class Message:
    """One message."""

    payload: bytes
    properties: Properties
    sequence: int
    accepted: int
    state: State = State.NEW
    due: int = 0
    expires: int = 0
    deliveries: int = 0
    receipt: int = 0
    deadline: int = 0
    holder: object = None
    letter: DeadLetter | None = None
    has_own: bool = False
    share: int = 0

    def move(self, event: Event, state: State) -> None:
        """Change the state; an illegal move is an error."""
        assert state in MOVES.get((self.state, event), ()), (self.state, event, state)
        self.state = state

    @property
    def size(self) -> int:
        """Payload and texts."""
        each = self.properties
        texts = [each.id, each.content_type, each.dedup_key, each.reply_to, each.correlation_id]
        texts += [*each.headers, *each.headers.values()]
        return len(self.payload) + sum(len(text.encode()) for text in texts)

    @property
    def beside(self) -> int:
        """Bytes of the server beside payload and texts: what it has of its own, and its share of a batch."""
        if self.has_own:
            return self.share + beside_of(self.properties)
        return self.share + (200 if self.letter is not None else 0)

    @property
    def framed(self) -> int:
        """Bytes of a frame."""
        framed = self.size + framing.FRAME_BYTES
        if self.properties != Properties():
            framed += framing.PROPERTIES_BYTES + framing.HEADER_BYTES * len(self.properties.headers)
        if self.letter is not None:
            framed += framing.LETTER_BYTES + len(self.letter.source) + len(self.letter.reason.encode())
        return framed


@dataclass
class Queue:
    """One queue."""

    name: str
    policy: Policy
    own: Policy | None = None
    messages: list[Message] = field(default_factory=list)
    sequence: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    batches: dict[bytes, tuple[int, Any]] = field(default_factory=dict)
    newest: int | None = None
    forget_at: int | None = None
    paused: bool = False
    publish_paused: bool = False
    is_dead: bool = False
    watched: int = 0
    touched: int = 0

    def count(self, name: str, count: int = 1) -> None:
        """One more."""
        self.counts[name] = self.counts.get(name, 0) + count

    def of(self, *states: State) -> list[Message]:
        """Those in these states."""
        return [each for each in self.messages if each.state in states]

    def ready(self) -> list[Message]:
        """In the order of taking."""
        return sorted(self.of(State.READY), key=lambda each: (-each.properties.priority, each.sequence))

    @property
    def buries(self) -> bool:
        """Whether there is somewhere for dead letters."""
        return not self.is_dead or bool(self.own and self.own.dead_letter_queue)

    def remember(self, keys: dict[Any, Any], key: Any, value: Any, now: int) -> None:
        """A key was published; what is over is looked for when the oldest may be, and no sooner than in a while."""
        keys.pop(key, None)
        keys[key] = value
        self.newest = now
        if self.forget_at is None:
            self.forget_at = self.next_forgetting(now)

    def forget(self, now: int) -> None:
        """Drop the keys whose time is up."""
        window = self.policy.dedup_window_ms
        self.keys = {key: at for key, at in self.keys.items() if now < at + window}
        self.batches = {key: kept for key, kept in self.batches.items() if now < kept[0] + window}

    def next_forgetting(self, now: int) -> int:
        """When to do so."""
        moments = [*self.keys.values(), *(at for at, _ in self.batches.values())]
        return max(min(moments) + self.policy.dedup_window_ms, now + dedup.LEAST_SLEEP_MS)

    @property
    def key_bytes(self) -> int:
        """What the keys take of the server."""
        batches = sum(len(key) + 200 * (1 + len(reply[1]) + len(reply[2])) for key, (_, reply) in self.batches.items())
        return batches + sum(len(key) + 200 for key in self.keys)

    def size(self, *states: State) -> int:
        """Bytes of those in these states, of all where none is named."""
        return sum(each.size for each in (self.of(*states) if states else self.messages))


def resolved(common: Properties | None, own: Properties | None) -> Properties:
    """What is in force."""
    common, own = common or Properties(), own or Properties()
    return Properties(**{name: getattr(own, name) or getattr(common, name) for name in NAMES})


def beside_of(properties: Properties) -> int:
    """Bytes of memory beside texts."""
    return 300 + 130 * len(properties.headers)


class Model:
    """The naive broker."""

    def __init__(self, defaults: Policy, max_queues: int, total_bytes: int, max_message: int, max_batch: int) -> None:
        self.defaults = defaults
        self.max_queues = max_queues
        self.total_bytes = total_bytes
        self.max_message = max_message
        self.max_batch = max_batch
        self.now = 0
        self.pending = 0  # bytes of a batch on its way in that count when it is in
        self.queues: dict[str, Queue] = {}
        self.buried: list[tuple[Queue, Message]] = []  # since the walk looked last

    # ---- time ----

    def advance(self, now: int) -> None:
        """Everything that is due by now, moment by moment."""
        while True:
            due = [(at, kind, place, act) for at, kind, place, act in self._happenings() if at <= now]
            if not due:
                break
            at, _, _, act = min(due, key=lambda each: each[:3])
            act(at)
        self.now = now

    def _happenings(self) -> Iterable[tuple[int, int, int, Callable[[int], None]]]:
        for queue in list(self.queues.values()):
            for each in queue.messages:
                if each.state is State.DELAYED:
                    yield each.due, 0, each.sequence, lambda at, each=each: each.move(Event.DUE, State.READY)
                if each.state is State.LEASED:
                    yield each.deadline, 1, each.receipt, lambda at, q=queue, each=each: self._expire(q, each, at)
                elif each.expires:
                    yield each.expires, 2, each.sequence, lambda at, q=queue, each=each: self._void(q, each, at)
            if queue.forget_at is not None:
                yield queue.forget_at, 3, 0, lambda at, queue=queue: self._forget(queue, at)
            idle = self._idle_at(queue)
            if idle is not None:
                yield idle, 4, 0, lambda at, queue=queue: self.remove(queue)

    def _idle_at(self, queue: Queue) -> int | None:
        if queue.messages or queue.watched or queue.own is not None or queue.paused or queue.publish_paused:
            return None
        if queue.name == "default":
            return None
        at = queue.touched + queue.policy.idle_expiry_ms
        return at if queue.newest is None else max(at, queue.newest + queue.policy.dedup_window_ms)

    def _forget(self, queue: Queue, at: int) -> None:
        queue.forget(at)
        queue.forget_at = queue.next_forgetting(at) if queue.keys or queue.batches else None

    def _expire(self, queue: Queue, each: Message, at: int) -> None:
        queue.count("expired")
        queue.touched = at
        self._fail(queue, each, 0, at, Event.EXPIRE)

    # ---- queues ----

    def can_open(self, name: str) -> bool:
        """Whether it is there, or may be made."""
        return name in self.queues or len(self.queues) < self.max_queues or name == "default"

    def may_bury(self, name: str, target: str | None) -> bool:
        """Whether a policy may send dead letters there: for as long as it does already, or they have a place."""
        queue = self.queues.get(name)
        is_new = not queue or queue.policy.dead_letter_queue != target
        return not target or not is_new or self.can_open(target)

    def open(self, name: str, at: int | None = None) -> Queue:
        """The queue, made on need."""
        if name not in self.queues:
            self.queues[name] = Queue(name, self.defaults, touched=self.now if at is None else at)
        return self.queues[name]

    def remove(self, queue: Queue) -> None:
        """Gone with all that is in it."""
        for each in queue.messages:
            each.move(Event.DELETE, State.GONE)
        del self.queues[queue.name]

    def set_policy(self, name: str, policy: Policy) -> None:
        """From now on."""
        queue = self.open(name)
        queue.own, queue.touched = policy, self.now
        queue.forget(self.now)
        values = {each.name: getattr(policy, each.name) for each in fields(Policy)}
        queue.policy = Policy(
            **{name: getattr(self.defaults, name) if value is None else value for name, value in values.items()}
        )

    @property
    def used(self) -> int:
        """Of the server."""
        queues = self.queues.values()
        messages = sum(each.size + MESSAGE_BYTES + each.beside for queue in queues for each in queue.messages)
        return messages + sum(queue.key_bytes for queue in queues) - self.pending

    # ---- the ways of a message ----

    def gone(self, queue: Queue, each: Message, event: Event, state: State = State.GONE) -> None:
        """It leaves."""
        each.move(event, state)
        queue.messages.remove(each)

    def _bury(self, queue: Queue, each: Message, reason: str, at: int, event: Event) -> None:
        name = queue.policy.dead_letter_queue or dead_name(queue.name)
        target = self.open(name, at)
        target.is_dead = True
        target.touched = at
        target.sequence += 1
        dead = Message(each.payload, each.properties, target.sequence, at, State.READY)
        dead.letter = DeadLetter(queue.name, reason, each.deliveries)
        dead.has_own, dead.share = each.has_own, each.share
        target.messages.append(dead)
        queue.count("dead_lettered")
        self.gone(queue, each, event, State.DEAD)
        self.buried.append((target, dead))

    def _void(self, queue: Queue, each: Message, at: int, event: Event = Event.VOID) -> None:
        queue.count("void")
        queue.touched = at
        if queue.buries and (queue.policy.max_deliveries or queue.policy.dead_letter_queue):
            self._bury(queue, each, "time_to_live", at, event)
        else:
            self.gone(queue, each, event)

    def _back(self, queue: Queue, each: Message, delay: int, at: int, event: Event) -> None:
        if each.expires and each.expires <= at:
            self._void(queue, each, at, event)
        elif delay:
            each.move(event, State.DELAYED)
            each.due = at + delay
        else:
            each.move(event, State.READY)

    def _fail(self, queue: Queue, each: Message, delay: int, at: int, event: Event) -> None:
        most = queue.policy.max_deliveries
        if most and each.deliveries >= most and queue.buries:
            self._bury(queue, each, "max_deliveries", at, event)
        else:
            self._back(queue, each, delay, at, event)

    # ---- publish ----

    def _room(self, queue: Queue, sizes: list[int], may_drop: bool) -> str:
        """Why messages of these sizes do not fit; "": they do."""
        away = (State.DELAYED, State.LEASED)
        count = len(queue.of(*away)) if may_drop else len(queue.messages)
        size = queue.size(*away) if may_drop else queue.size()
        if count + len(sizes) > queue.policy.capacity or size + sum(sizes) > queue.policy.capacity_bytes:
            return "QUEUE_FULL"
        freed = sum(each.size + MESSAGE_BYTES for each in queue.of(State.READY)) if may_drop else 0
        if self.used - freed + sum(sizes) + len(sizes) * MESSAGE_BYTES > self.total_bytes:
            return "SERVER_FULL"
        return ""

    def _drop_for(self, queue: Queue, sizes: list[int]) -> None:
        while self._room(queue, sizes, may_drop=False):
            self.gone(queue, min(queue.of(State.READY), key=lambda each: each.sequence), Event.DROP)
            queue.count("dropped")

    def store(
        self, queue: Queue, payload: bytes, properties: Properties, has_own: bool = False, share: int = 0
    ) -> Message:
        """A new message."""
        queue.sequence += 1
        queue.count("published")
        each = Message(payload, properties, queue.sequence, self.now, has_own=has_own, share=share)
        each.expires = self.now + properties.ttl_ms if properties.ttl_ms else 0
        each.due = self.now + properties.delay_ms
        each.move(Event.PUBLISH, State.DELAYED if properties.delay_ms else State.READY)
        queue.messages.append(each)
        return each

    def knows(self, queue: Queue, key: str) -> bool:
        """Whether the key is in the window."""
        return bool(key) and key in queue.keys and self.now < queue.keys[key] + queue.policy.dedup_window_ms

    def publish(self, request: Publish) -> tuple[list[int], list[int], list[tuple[int, str]]]:
        """Sequences, duplicates, rejections; or the reply to an earlier batch."""
        queue = self.open(request.queue)
        queue.touched = self.now
        window = queue.policy.dedup_window_ms
        at, reply = queue.batches.get(request.batch_key, (0, None))
        if request.batch_key and reply is not None and self.now < at + window:
            return reply
        if queue.publish_paused:
            queue.count("rejected:PAUSED", len(request.batch.payloads))
            raise PermissionError
        batch = request.batch
        each = [resolved(batch.common, batch.properties.get(index)) for index in range(len(batch.payloads))]
        own = {index: each[index] for index in batch.properties if each[index] != Properties()}
        work = _Batch(self, queue, list(batch.payloads), each, own, _share(batch, own))
        reply = work.all_or_none() if request.atomic else work.one_by_one()
        self.pending = 0
        for _, code in reply[2]:
            queue.count(f"rejected:{code}")
        if request.batch_key and reply[0] and window:
            queue.remember(queue.batches, request.batch_key, (self.now, reply), self.now)
        return reply

    # ---- pull and settle ----

    def choose(self, queue: Queue, count: int, max_bytes: int) -> list[Message]:
        """The next ones, as far as they fit; one at least."""
        most = self.max_batch - framing.HEAD_BYTES
        room = min(max_bytes or most, most)
        chosen: list[Message] = []
        for each in queue.ready()[:count]:
            room -= each.framed
            if room < 0 and chosen:
                break
            chosen.append(each)
        return chosen

    def pull(self, request: Pull) -> tuple[Queue | None, list[Message]]:
        """Of the first queue that has one."""
        for name in request.queues:
            queue = self.open(name)
            queue.touched = self.now
            if queue.paused or not queue.ready():
                continue
            chosen = self.choose(queue, request.max_messages or 1, request.max_bytes)
            for each in chosen:
                each.deliveries += 1
                if each.deliveries > 1:
                    queue.count("redelivered")
                queue.count("delivered")
                if request.delivery is Delivery.TAKEN:
                    self.gone(queue, each, Event.TAKE)
                else:
                    each.move(Event.LEASE, State.LEASED)
                    each.deadline = self.now + min(request.lease_ms or queue.policy.lease_ms, 12 * 3600 * 1000)
            return queue, chosen
        return None, []

    def settle(self, request: Settle) -> tuple[int, list[tuple[int, int]]]:
        """How many, and the receipts of nothing."""
        queue = self.queues[request.queue]
        queue.touched = self.now
        if request.action is Action.DEAD_LETTER and not queue.buries:
            raise PermissionError
        settled, unknown = 0, []
        for first, last in request.receipts:
            for receipt in range(first, last + 1):
                found = [each for each in queue.of(State.LEASED) if each.receipt == receipt]
                if found:
                    settled += 1
                    self._settle(queue, found[0], request)
                elif unknown and unknown[-1][1] + 1 == receipt:
                    unknown[-1] = (unknown[-1][0], receipt)
                else:
                    unknown.append((receipt, receipt))
        return settled, unknown

    def _settle(self, queue: Queue, each: Message, request: Settle) -> None:
        action = request.action
        if action is Action.ACK:
            queue.count("acked")
            self.gone(queue, each, Event.ACK)
        elif action is Action.EXTEND:
            each.move(Event.EXTEND, State.LEASED)
            each.deadline = self.now + min(request.lease_ms or queue.policy.lease_ms, 12 * 3600 * 1000)
        elif action is Action.NACK:
            queue.count("nacked")
            delay = request.delay_ms
            if delay is None:
                delays = queue.policy.retry_delays_ms
                delay = delays[min(each.deliveries, len(delays)) - 1] if delays else 0
            self._fail(queue, each, delay, self.now, Event.NACK)
        elif action is Action.RELEASE:
            queue.count("released")
            each.deliveries -= 1
            self._back(queue, each, 0, self.now, Event.RELEASE)
        else:
            self._bury(queue, each, request.reason or "dead_letter", self.now, Event.DEAD_LETTER)

    def give_back(self, holder: object) -> None:
        """It is gone; what it had goes back in the order in which it was given."""
        held = [(queue, each) for queue in self.queues.values() for each in queue.of(State.LEASED)]
        for queue, each in sorted(held, key=lambda pair: pair[1].receipt):
            if each.holder == holder:
                queue.count("released")
                self._fail(queue, each, 0, self.now, Event.RELEASE)

    # ---- administration ----

    def purge(self, name: str) -> int:
        """Ready and delayed."""
        queue = self.queues[name]
        queue.touched = self.now
        purged = queue.of(State.READY, State.DELAYED)
        for each in purged:
            self.gone(queue, each, Event.PURGE)
        queue.count("purged", len(purged))
        return len(purged)

    def redrive(self, name: str, target: str, most: int) -> int:
        """Dead letters go back."""
        queue = self.queues[name]
        if target:
            self.open(target)
        moved, full = 0, set()
        for each in queue.ready():
            goal = target or (each.letter.source if each.letter else "")
            if (most and moved == most) or goal in full:
                continue
            if not goal or goal == name or not self.can_open(goal):
                full.add(goal)
                continue
            to = self.open(goal)
            if (
                to.publish_paused
                or len(to.messages) >= to.policy.capacity
                or to.size() + each.size > to.policy.capacity_bytes
            ):
                full.add(goal)
                continue
            self.gone(queue, each, Event.REDRIVE)
            fresh = self.store(to, each.payload, each.properties, each.has_own, each.share)
            fresh.state = State.READY
            to.touched = self.now
            moved += 1
        queue.touched = self.now
        return moved

    # ---- v0 ----

    def put(self, payloads: list[bytes]) -> int:
        """enqueue_many on `default`."""
        queue, count = self.open("default"), 0
        may_drop = queue.policy.overflow is Overflow.DROP_OLDEST
        for payload in payloads:
            if queue.publish_paused or self._room(queue, [len(payload)], may_drop):
                queue.count("rejected:QUEUE_FULL", len(payloads) - count)
                break
            self._drop_for(queue, [len(payload)])
            self.store(queue, payload, Properties())
            count += 1
        return count

    def take(self, count: int) -> list[bytes]:
        """dequeue_many."""
        queue = self.open("default")
        chosen = [] if queue.paused else queue.ready()[:count]
        for each in chosen:
            queue.count("delivered")
            if each.deliveries:
                queue.count("redelivered")
            self.gone(queue, each, Event.TAKE)
        return [each.payload for each in chosen]

    def exchange(self, payloads: list[bytes]) -> list[bytes]:
        """exchange_many."""
        queue, taken = self.open("default"), []
        for payload in payloads:
            oldest = queue.ready()[0].size if queue.ready() else 0
            if (
                queue.paused
                or queue.publish_paused
                or queue.size() - oldest + len(payload) > queue.policy.capacity_bytes
                or self.used - oldest + len(payload) > self.total_bytes
            ):
                queue.count("rejected:QUEUE_FULL")
                break
            self.store(queue, payload, Properties())
            taken += self.take(1)
        return taken


def _share(batch: Batch, own: dict[int, Properties]) -> int:
    """Of what a batch takes as a whole: what its messages have in common, and a run for each kind that will be due."""
    common = [] if batch.common is None or batch.common == Properties() else [batch.common]
    kinds = {
        (each.priority, each.delay_ms, each.ttl_ms) for each in [*common, *own.values()] if each.delay_ms or each.ttl_ms
    }
    cost = sum(map(beside_of, common)) + 450 * len(kinds)
    return math.ceil(cost / len(batch.payloads)) if batch.payloads else 0


class _Batch:
    """A batch on its way in, message by message."""

    def __init__(
        self,
        model: Model,
        queue: Queue,
        payloads: list[bytes],
        properties: list[Properties],
        own: dict[int, Properties],
        share: int,
    ) -> None:
        self.model = model
        self.own = own
        self.share = share
        self.queue = queue
        self.payloads = payloads
        self.properties = properties
        self.may_drop = queue.policy.overflow is Overflow.DROP_OLDEST

    def _fault(self, index: int) -> str:
        if len(self.payloads[index]) > self.model.max_message:
            return "MESSAGE_TOO_LARGE"
        return "" if self.properties[index].priority <= 9 else "INVALID_ARGUMENT"

    def _size(self, index: int) -> int:
        return Message(self.payloads[index], self.properties[index], 0, 0).size

    def _store(self, index: int) -> int:
        key = self.properties[index].dedup_key
        model, queue = self.model, self.queue
        before = queue.key_bytes
        if key and queue.policy.dedup_window_ms:
            queue.remember(queue.keys, key, model.now, model.now)
        each = model.store(queue, self.payloads[index], self.properties[index], index in self.own, self.share)
        model.pending += queue.key_bytes - before + each.beside
        return each.sequence

    def one_by_one(self) -> tuple[list[int], list[int], list[tuple[int, str]]]:
        """What is valid, new, and fits."""
        sequences, duplicates, rejections, full = [], [], [], ""
        for index in range(len(self.payloads)):
            fault = self._fault(index)
            if fault:
                rejections.append((index, fault))
            elif self.model.knows(self.queue, self.properties[index].dedup_key):
                duplicates.append(index)
            else:
                full = full or self.model._room(self.queue, [self._size(index)], self.may_drop)
                if full:
                    rejections.append((index, full))
                else:
                    self.model._drop_for(self.queue, [self._size(index)])
                    sequences.append(self._store(index))
        return sequences, duplicates, rejections

    def all_or_none(self) -> tuple[list[int], list[int], list[tuple[int, str]]]:
        """All that is new, or nothing."""
        faults = {index: self._fault(index) for index in range(len(self.payloads)) if self._fault(index)}
        duplicates, fresh, repeats, seen = [], [], [], set()
        for index in range(len(self.payloads)):
            key = self.properties[index].dedup_key
            if index in faults:
                continue
            if self.model.knows(self.queue, key):
                duplicates.append(index)
            elif key and key in seen and self.queue.policy.dedup_window_ms:
                repeats.append(index)
            else:
                fresh.append(index)
                seen.add(key)
        sizes = [self._size(index) for index in fresh]
        reason = "BATCH_REJECTED" if faults else self.model._room(self.queue, sizes, self.may_drop)
        if reason:
            rejected = {**faults, **dict.fromkeys([*fresh, *repeats], reason)}
            return [], duplicates, sorted(rejected.items())
        if sizes:
            self.model._drop_for(self.queue, sizes)
        return [self._store(index) for index in fresh], sorted([*duplicates, *repeats]), []
