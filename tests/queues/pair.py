"""The real broker beside the naive one: what is asked of one is asked of both, and whatever they say must be alike.

Who decides what is asked is elsewhere: `walk.py` by chance, fast, `machine.py` by hypothesis, which looks for the
shortest way to a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from quickpulse.errors import NoDeadLetterQueue, NotFound, QueuePaused, QuickPulseError, TooManyQueues
from quickpulse.queues import admission, agenda, dedup, directory, lane, leases, ready, redriving
from quickpulse.queues.broker import Broker
from quickpulse.queues.framing import HEAD_BYTES
from quickpulse.queues.life import State
from quickpulse.queues.policies import SERVER_POLICY, Limits, over
from quickpulse.requests import (
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    ListQueues,
    Overflow,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    Pull,
    Purge,
    Redrive,
    Resume,
    SetPolicy,
    Settle,
)
from tests.queues.model import Message, Model, Queue

NAMES = ("a", "b", "c", "default", "a.dead", "b.dead", "graves")
HOLDERS = ("one", "two")
START_MS = 1_700_000_000_000
DEFAULTS = Policy(
    capacity=40,
    capacity_bytes=900,
    lease_ms=300,
    retry_delays_ms=(0, 40, 90),
    dedup_window_ms=500,
    idle_expiry_ms=1500,
)
LIMITS = Limits(max_queues=5, total_bytes=20_000, max_message_bytes=60, max_batch_bytes=HEAD_BYTES + 600)

POLICIES: dict[str, tuple[Any, ...]] = {
    "capacity": (None, None, 5, 12),
    "capacity_bytes": (None, None, 120),
    "overflow": (None, Overflow.REJECT, Overflow.DROP_OLDEST),
    "lease_ms": (None, 70),
    "max_deliveries": (None, 0, 1, 2, 3),
    "dead_letter_queue": (None, None, "", "graves"),
    "retry_delays_ms": (None, (), (25,)),
    "dedup_window_ms": (None, 0, 90),
}
"""What the fields of a queue's policy are chosen from."""

RECENT_RECEIPTS = 60
"""That are kept, to be asked about."""

SMALL = {
    agenda: {"LEAST_SWEPT": 2},
    leases: {"LEAST_SWEPT": 2, "OPEN_RECEIPTS": 5, "SMALL_PULL": 3},
    lane: {"LEAST_TRIMMED": 2, "RUN_MESSAGES": 3},
    ready: {"LEAST_SWEPT": 1, "RUN_MESSAGES": 3},
    directory: {"RUN_MESSAGES": 2},
    admission: {"RUN_MESSAGES": 3},
    redriving: {"RUN_MESSAGES": 2},
    dedup: {"MOST_KEYS": 1000, "LEAST_SLEEP_MS": 1},
}
"""Bounds inside of the broker that a short way would not reach."""


class DifferenceError(AssertionError):
    """The two brokers do not agree."""


@contextmanager
def small_bounds(are_wanted: bool) -> Iterator[None]:
    """With SMALL, or as they are."""
    with ExitStack() as patches:
        for module, values in SMALL.items() if are_wanted else ():
            patches.enter_context(patch.multiple(module, **values))
        yield


class Pair:
    """Both, and one clock."""

    def __init__(self) -> None:
        self.now = START_MS
        defaults = over(SERVER_POLICY, DEFAULTS)
        self.broker = Broker(limits=LIMITS, defaults=defaults, first_receipt=1 << 20)
        self.model = Model(
            defaults, LIMITS.max_queues, LIMITS.total_bytes, LIMITS.max_message_bytes, LIMITS.max_batch_bytes
        )
        self.plain = self.broker.queue("default", lambda: self.now / 1000)
        self.model.now = self.now
        self.model.open("default")
        self.given: set[int] = set()
        self.recent: list[tuple[str, int]] = []  # receipts that were given lately
        self.woken: dict[str, int] = {}
        self.watchers: dict[str, Callable[[], None]] = {}
        self.serial = 0
        self.steps = 0

    def step(self, ms: int, by_tick: bool, act: Callable[[], None]) -> None:
        """So much later, something is asked; then all must be alike.

        :param by_tick: the broker is told of the time by a tick; else by a call that is about nothing.
        """
        self.steps += 1
        self.now += ms
        before = {name: len(queue.ready()) for name, queue in self.model.queues.items()}
        watched = set(self.watchers)
        self.model.advance(self.now)
        self.woken.clear()
        if by_tick:
            self.broker.tick(self.now)
        else:  # every call lets happen what was due before it
            self.broker.list_queues(ListQueues("nothing"), self.now)
        self._learn_graves()
        act()
        self._check_woken(watched & set(self.watchers), before)
        self.check(full=self.steps % 10 == 0)

    def payload(self, length: int) -> bytes:
        """One of its own."""
        self.serial += 1
        return b"%d" % self.serial + b"." * length

    def ready_names(self) -> list[str]:
        """The queues that have something."""
        return [name for name, queue in self.model.queues.items() if queue.of(State.READY)]

    def held(self) -> list[tuple[str, int]]:
        """The receipts of all leases, with their queues."""
        return [(name, each.receipt) for name, queue in self.model.queues.items() for each in queue.of(State.LEASED)]

    # ---- requests ----

    def publish(self, request: Publish) -> None:
        """A batch."""
        name, ask = request.queue, partial(self.broker.publish, request, self.now)
        if not self._may_open([name], ask):
            return
        try:
            reply = ask()
        except QueuePaused:
            self._same(self.model.queues[name].publish_paused if name in self.model.queues else None, True)
            self._raises(PermissionError, lambda: self.model.publish(request))
            return
        sequences, duplicates, rejections = self.model.publish(request)
        self._same([each for first, last in reply.sequences for each in range(first, last + 1)], sequences)
        self._same(list(reply.duplicates), duplicates)
        self._same([(each.index, each.error.code) for each in reply.rejections], rejections)

    def pull(self, request: Pull) -> None:
        """Leased or taken."""
        ask = partial(self.broker.pull, request, self.now)
        if not self._may_open(list(request.queues), ask, request):
            return
        got = ask()
        queue, messages = self.model.pull(request)
        self._same(got.queue, queue.name if queue else "")
        if queue is None:
            return
        self._same_messages(got, messages, [each.deliveries for each in messages])
        if request.with_enqueued_at:
            self._same(list(got.enqueued_at_ms or ()), [each.accepted for each in messages])
        if request.delivery is Delivery.TAKEN:
            self._same((got.first_receipt, got.lease_ms), (0, 0))
            return
        for receipt, message in enumerate(messages, got.first_receipt):
            if receipt in self.given:
                raise DifferenceError(f"receipt {receipt} was given before")
            self.given.add(receipt)
            message.receipt = receipt
            message.holder = request.holder
            self.recent.append((queue.name, receipt))
        del self.recent[:-RECENT_RECEIPTS]

    def settle(self, request: Settle) -> None:
        """Whatever the receipts are."""
        ask = partial(self.broker.settle, request, self.now)
        if not self._is_there(request.queue, ask):
            return
        try:
            reply = ask()
        except NoDeadLetterQueue:
            self._raises(PermissionError, lambda: self.model.settle(request))
            return
        settled, unknown = self.model.settle(request)
        self._same((reply.settled, list(reply.unknown)), (settled, unknown))

    def give_back(self, holder: str) -> None:
        """A holder is gone."""
        self.broker.give_back(holder, self.now)
        self.model.give_back(holder)

    def peek(self, request: Peek) -> None:
        """Look."""
        ask = partial(self.broker.peek, request, self.now)
        if not self._is_there(request.queue, ask):
            return
        got = ask()
        queue = self.model.queues[request.queue]
        messages = self.model.choose(queue, request.max_messages or 1, request.max_bytes)
        if messages or got.batch.payloads:
            self._same_messages(got, messages, [each.deliveries for each in messages])
            self._same(list(got.sequences or ()), [each.sequence for each in messages])
            self._same(list(got.enqueued_at_ms or ()), [each.accepted for each in messages])

    def set_policy(self, request: SetPolicy) -> None:
        """Another one."""
        ask = partial(self.broker.set_policy, request, self.now)
        if not self.model.may_bury(request.queue, request.policy.dead_letter_queue):
            self._raises(TooManyQueues, ask)
        elif self._may_open([request.queue], ask):
            info = ask()
            self.model.set_policy(request.queue, request.policy)
            self._same(info.policy, self.model.queues[request.queue].policy)

    def pause(self, request: Pause | Resume) -> None:
        """Stop, or go on."""
        act: Any = self.broker.pause if isinstance(request, Pause) else self.broker.resume
        ask = partial(act, request, self.now)
        if not self._is_there(request.queue, ask):
            return
        ask()
        queue = self.model.queues[request.queue]
        queue.paused = isinstance(request, Pause)
        queue.publish_paused = isinstance(request, Pause) and request.publishes
        queue.touched = self.now

    def purge(self, name: str) -> None:
        """All away but what is leased."""
        ask = partial(self.broker.purge, Purge(name), self.now)
        if self._is_there(name, ask):
            self._same(ask().messages, self.model.purge(name))

    def delete(self, name: str) -> None:
        """All away."""
        ask = partial(self.broker.delete_queue, DeleteQueue(name), self.now)
        if not self._is_there(name, ask):
            return
        queue = self.model.queues[name]
        self._same(ask().messages, len(queue.messages))
        self.model.remove(queue)
        self.watchers.pop(name, None)

    def redrive(self, request: Redrive) -> None:
        """Dead letters go back."""
        name, target, ask = request.queue, request.target, partial(self.broker.redrive, request, self.now)
        if not self._is_there(name, ask) or target == name or (target and not self._may_open([target], ask)):
            return
        self._same(ask().messages, self.model.redrive(name, target, request.max_messages))

    def watch(self, name: str) -> None:
        """Begin or end."""
        if name in self.watchers:
            self.broker.unwatch(name, self.watchers.pop(name))
            if name in self.model.queues:
                self.model.queues[name].watched = 0
                self.model.queues[name].touched = self.now
        elif self.model.can_open(name):

            def woken() -> None:
                self.woken[name] = self.woken.get(name, 0) + 1

            self.watchers[name] = woken
            self.broker.watch(name, woken)
            self.model.open(name).watched = 1

    # ---- v0 ----

    def put(self, payloads: list[bytes]) -> None:
        """Of `default`."""
        self.model.open("default")
        self._same(self.plain.enqueue_many(payloads), self.model.put(payloads))

    def take(self, count: int) -> None:
        """Likewise."""
        self.model.open("default")
        self._same(self.plain.dequeue_many(count), self.model.take(count))

    def exchange(self, payloads: list[bytes]) -> None:
        """Likewise."""
        self.model.open("default")
        self._same(self.plain.exchange_many(payloads), self.model.exchange(payloads))

    # ---- comparing ----

    def _is_there(self, name: str, act: Callable[[], Any]) -> bool:
        """Whether this queue is there; if not, `act` says so."""
        if name not in self.model.queues:
            self._raises(NotFound, act)
        return name in self.model.queues

    def _may_open(self, names: list[str], act: Callable[[], Any], pull: Pull | None = None) -> bool:
        """Whether these queues are there or may be made; if not, `act` says so."""
        for name in names:
            queue = self.model.queues.get(name)
            if pull is not None and queue is not None and not queue.paused and queue.ready():
                return True
            if not self.model.can_open(name):
                self._raises(TooManyQueues, act)
                return False
            self.model.open(name).touched = self.now
        return True

    def _raises(self, kind: type[Exception], act: Callable[[], Any]) -> None:
        try:
            act()
        except kind:
            return
        except QuickPulseError as error:
            raise DifferenceError(f"{error!r}, expected {kind.__name__}") from error
        raise DifferenceError(f"expected {kind.__name__}")

    def _same(self, got: Any, expected: Any) -> None:
        if got != expected:
            raise DifferenceError(f"got {got!r}, expected {expected!r}")

    def _same_messages(self, got: Deliveries, messages: list[Message], counts: list[int]) -> None:
        batch = got.batch
        self._same(list(batch.payloads), [each.payload for each in messages])
        have = [batch.properties.get(index, batch.common or Properties()) for index in range(len(batch.payloads))]
        self._same(have, [each.properties for each in messages])
        self._same(list(got.delivery_counts or [1] * len(messages)), counts)
        letters = {index: each.letter for index, each in enumerate(messages) if each.letter is not None}
        self._same(dict(got.dead_letters), letters)

    def _learn_graves(self) -> None:
        """Messages that died at the same moment may stand in any order: take over the real one."""
        buried, self.model.buried = self.model.buried, []
        groups: dict[tuple[str, int], list[Message]] = {}
        for queue, each in buried:
            if each in queue.messages:
                groups.setdefault((queue.name, each.accepted), []).append(each)
        for (name, _), group in groups.items():
            if len(group) > 1:
                queue = self.broker._directory.queues[name]
                places = {
                    payload: sequence
                    for run in queue.ready.look(1 << 30)
                    for payload, sequence in zip(run.payloads, run.sequences, strict=True)
                }
                real = [places.get(each.payload, 0) for each in group]
                self._same(sorted(real), sorted(each.sequence for each in group))
                for each, sequence in zip(group, real, strict=True):
                    each.sequence = sequence

    def _check_woken(self, watched: set[str], before: dict[str, int]) -> None:
        for name in watched:
            queue = self.model.queues.get(name)
            if queue and not queue.paused and queue.ready() and not before.get(name) and not self.woken.get(name):
                raise DifferenceError(f"who watches {name} was not woken")

    def check(self, full: bool) -> None:
        """The queues are alike."""
        real = self.broker._directory.queues
        self._same(set(real), set(self.model.queues))
        for name, queue in self.model.queues.items():
            mine = real[name]
            self._same((name, len(mine), mine.size_bytes), (name, len(queue.messages), queue.size()))
            self._same((name, mine.leased), (name, len(queue.of(State.LEASED))))
            if full:
                self._check_info(name, queue)
        self._same(self.broker._directory.usage.used, self.model.used)

    def _check_info(self, name: str, queue: Queue) -> None:
        info = self.broker.get_queue(GetQueue(name), self.now)
        states = (State.READY, State.LEASED, State.DELAYED)
        self._same((info.ready, info.leased, info.delayed), tuple(len(queue.of(state)) for state in states))
        self._same(
            {key: count for key, count in info.counts.items() if count}, {k: c for k, c in queue.counts.items() if c}
        )
        self._same((info.paused, info.publish_paused), (queue.paused, queue.publish_paused))
        self._same((info.has_policy, info.waiters), (queue.own is not None, queue.watched))
        mine = self.broker._directory.queues[name]
        self._same(set(mine.extras) - {each.sequence for each in queue.messages}, set())

    def check_names(self) -> None:
        """The real one lists the queues that the naive one has, page by page."""
        page = self.broker.list_queues(ListQueues(), self.now)  # of one queue: frames are short here
        names = [info.name for info in page.queues]
        while page.next_page_token:
            page = self.broker.list_queues(ListQueues(page_token=page.next_page_token), self.now)
            names += [info.name for info in page.queues]
        self._same(names, sorted(self.model.queues))
