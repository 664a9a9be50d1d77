"""A random walk of the real broker beside a naive one: every request, time included, replies and states compared.

The suite runs a little of it. More: `python -m tests.queues.walk --steps 1000000 --seed 1`. It tells the
seed and the step of a difference.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from quickpulse.errors import NoDeadLetterQueue, NotFound, QueuePaused, QuickPulseError, TooManyQueues
from quickpulse.queues import admission, agenda, dedup, directory, lane, leases, ready, redriving
from quickpulse.queues.broker import Broker
from quickpulse.queues.framing import HEAD_BYTES
from quickpulse.queues.life import State
from quickpulse.queues.policies import SERVER_POLICY, Limits, over
from quickpulse.requests import (
    Action,
    Batch,
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
DEFAULTS = Policy(capacity=40, capacity_bytes=900, lease_ms=300, retry_delays_ms=(0, 40, 90), dedup_window_ms=500)
LIMITS = Limits(max_queues=5, total_bytes=9000, max_message_bytes=60, max_batch_bytes=HEAD_BYTES + 600)


class DifferenceError(AssertionError):
    """The two brokers do not agree."""


class Walk:
    """One walk; `step` is one request, or some time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = START_MS
        defaults = over(SERVER_POLICY, Policy(**{**_values(DEFAULTS), "idle_expiry_ms": 1500}))
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
        self.requests: list[tuple[int, Callable[[], None]]] = [
            (26, self.publish),
            (24, self.pull),
            (22, self.settle),
            (4, self.put),
            (4, self.take),
            (3, self.exchange),
            (2, self.peek),
            (2, self.policy),
            (2, self.pause),
            (4, self.resume),
            (1, self.purge),
            (1, self.delete),
            (2, self.redrive),
            (2, self.watch),
            (1, self.give_back),
        ]
        # In some walks v1 leaves v0's queue alone, so that its short ways are gone.
        self.names = NAMES if seed % 4 else tuple(name for name in NAMES if name != "default")
        self.choices = [act for weight, act in self.requests for _ in range(weight)]

    def step(self) -> None:
        """Time goes by, perhaps, and something is asked; then all must be alike."""
        self.steps += 1
        chance = self.random.random()
        self.now += 0 if chance < 0.4 else self.random.choice((1, 1, 3, 10, 30, 100) if chance < 0.99 else (700, 2500))
        before = {name: len(queue.ready()) for name, queue in self.model.queues.items()}
        watched = set(self.watchers)
        self.model.advance(self.now)
        self.woken.clear()
        if self.random.random() < 0.5:
            self.broker.tick(self.now)
        else:  # every call lets happen what was due before it
            self.broker.list_queues(ListQueues("nothing"), self.now)
        self._learn_graves()
        self.random.choice(self.choices)()
        self._check_woken(watched & set(self.watchers), before)
        self.check(full=self.steps % 10 == 0)

    # ---- requests ----

    def name(self) -> str:
        """Some queue."""
        return self.random.choice(self.names)

    def payload(self) -> bytes:
        """One of its own."""
        self.serial += 1
        length = self.random.choice((0, 0, 5, 20)) if self.random.random() < 0.97 else 70
        return b"%d" % self.serial + b"." * length

    def properties(self) -> Properties:
        """Some."""
        pick, some = self.random.random, self.random
        return Properties(
            id=f"é{some.randrange(9)}" if pick() < 0.3 else "",
            headers={"h": "x" * some.randrange(5)} if pick() < 0.2 else {},
            priority=some.choice((0, 0, 1, 9, 10)) if pick() < 0.4 else 0,
            delay_ms=some.choice((1, 20, 100)) if pick() < 0.25 else 0,
            ttl_ms=some.choice((5, 50, 300)) if pick() < 0.25 else 0,
            dedup_key=f"k{some.randrange(40)}" if pick() < 0.25 else "",
        )

    def publish(self) -> None:
        """A batch."""
        some, name = self.random, self.name()
        count = some.choice((0, 1, 1, 1, 2, 3, 8))
        plain = some.random() < 0.5
        batch = Batch(
            [self.payload() for _ in range(count)],
            None if plain or some.random() < 0.5 else self.properties(),
            {} if plain else {index: self.properties() for index in range(count) if some.random() < 0.4},
        )
        key = b"batch%d" % some.randrange(20) if some.random() < 0.1 else b""
        request = Publish(name, batch, key, some.random() < 0.15)
        if not self._may_open([name], lambda: self.broker.publish(request, self.now)):
            return
        try:
            reply = self.broker.publish(request, self.now)
        except QueuePaused:
            self._same(self.model.queues[name].publish_paused if name in self.model.queues else None, True)
            self._raises(PermissionError, lambda: self.model.publish(request))
            return
        sequences, duplicates, rejections = self.model.publish(request)
        self._same([each for first, last in reply.sequences for each in range(first, last + 1)], sequences)
        self._same(list(reply.duplicates), duplicates)
        self._same([(each.index, each.error.code) for each in reply.rejections], rejections)

    def pull(self) -> None:
        """Leased or taken."""
        some = self.random
        names = [self.name() for _ in range(some.choice((1, 1, 2)))]
        request = Pull(
            names,
            some.choice((0, 1, 1, 2, 5, 100)),
            some.choice((0, 0, 0, 60, 200)),
            lease_ms=some.choice((0, 0, 50, 200, 1000)),
            delivery=Delivery.TAKEN if some.random() < 0.2 else Delivery.LEASED,
            with_enqueued_at=some.random() < 0.5,
            holder=some.choice((None, None, None, *HOLDERS)),
        )
        if not self._may_open(names, lambda: self.broker.pull(request, self.now), request):
            return
        got = self.broker.pull(request, self.now)
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
        del self.recent[:-60]

    def settle(self) -> None:
        """Of receipts that were given lately, or near them."""
        some = self.random
        name, receipt = some.choice(self.recent) if self.recent and some.random() < 0.95 else (self.name(), 1)
        if some.random() < 0.04:
            name = self.name()
        ranges = [(receipt, receipt + some.choice((0, 0, 0, 1, 3, 10, 200)))]
        if some.random() < 0.3:
            near = max(1, receipt + some.randrange(-5, 6))
            ranges.append((near, near + some.randrange(3)))
        request = Settle(
            name,
            ranges,
            some.choice((Action.ACK, Action.ACK, *Action)),
            some.choice((None, None, 0, 15, 80)),
            some.choice((0, 100, 400)),
            some.choice(("", "broken")),
        )
        if name not in self.model.queues:
            self._raises(NotFound, lambda: self.broker.settle(request, self.now))
            return
        try:
            reply = self.broker.settle(request, self.now)
        except NoDeadLetterQueue:
            self._raises(PermissionError, lambda: self.model.settle(request))
            return
        settled, unknown = self.model.settle(request)
        self._same((reply.settled, list(reply.unknown)), (settled, unknown))

    def give_back(self) -> None:
        """A holder is gone."""
        holder = self.random.choice(HOLDERS)
        self.broker.give_back(holder, self.now)
        self.model.give_back(holder)

    def put(self) -> None:
        """v0."""
        payloads = [self.payload() for _ in range(self.random.choice((1, 1, 2, 6)))]
        self.model.open("default")
        self._same(self.plain.enqueue_many(payloads), self.model.put(payloads))

    def take(self) -> None:
        """v0."""
        count = self.random.choice((1, 1, 3, 50))
        self.model.open("default")
        self._same(self.plain.dequeue_many(count), self.model.take(count))

    def exchange(self) -> None:
        """v0."""
        payloads = [self.payload() for _ in range(self.random.choice((1, 1, 3)))]
        self.model.open("default")
        self._same(self.plain.exchange_many(payloads), self.model.exchange(payloads))

    def peek(self) -> None:
        """Look."""
        name, count, size = self.name(), self.random.choice((0, 1, 3, 100)), self.random.choice((0, 0, 150))
        if name not in self.model.queues:
            self._raises(NotFound, lambda: self.broker.peek(Peek(name), self.now))
            return
        got = self.broker.peek(Peek(name, count, size), self.now)
        messages = self.model.choose(self.model.queues[name], count or 1, size)
        if messages or got.batch.payloads:
            self._same_messages(got, messages, [each.deliveries for each in messages])
            self._same(list(got.sequences or ()), [each.sequence for each in messages])
            self._same(list(got.enqueued_at_ms or ()), [each.accepted for each in messages])

    def policy(self) -> None:
        """Another one."""
        some, name = self.random, self.name()
        policy = Policy(
            capacity=some.choice((None, None, 5, 12)),
            capacity_bytes=some.choice((None, None, 120)),
            overflow=some.choice((None, Overflow.REJECT, Overflow.DROP_OLDEST)),
            lease_ms=some.choice((None, 70)),
            max_deliveries=some.choice((None, 0, 1, 2, 3)),
            dead_letter_queue=some.choice((None, None, "", "graves")) if name != "graves" else None,
            retry_delays_ms=some.choice((None, (), (25,))),
            dedup_window_ms=some.choice((None, 0, 90)),
        )
        if self._may_open([name], lambda: self.broker.set_policy(SetPolicy(name, policy), self.now)):
            info = self.broker.set_policy(SetPolicy(name, policy), self.now)
            self.model.set_policy(name, policy)
            self._same(info.policy, self.model.queues[name].policy)

    def pause(self) -> None:
        """Stop."""
        self._pause(Pause(self.name(), self.random.random() < 0.5))

    def resume(self) -> None:
        """Go on."""
        self._pause(Resume(self.name()))

    def _pause(self, request: Pause | Resume) -> None:
        act: Any = self.broker.pause if isinstance(request, Pause) else self.broker.resume
        queue = self.model.queues.get(request.queue)
        if queue is None:
            self._raises(NotFound, lambda: act(request, self.now))
            return
        act(request, self.now)
        queue.paused = isinstance(request, Pause)
        queue.publish_paused = isinstance(request, Pause) and request.publishes
        queue.touched = self.now

    def purge(self) -> None:
        """All away but what is leased."""
        name = self.name()
        if name not in self.model.queues:
            self._raises(NotFound, lambda: self.broker.purge(Purge(name), self.now))
            return
        self._same(self.broker.purge(Purge(name), self.now).messages, self.model.purge(name))

    def delete(self) -> None:
        """All away."""
        name = self.name()
        if name not in self.model.queues or self.random.random() < 0.5:
            return
        queue = self.model.queues[name]
        self._same(self.broker.delete_queue(DeleteQueue(name), self.now).messages, len(queue.messages))
        self.model.remove(queue)
        self.watchers.pop(name, None)

    def redrive(self) -> None:
        """Dead letters go back."""
        name = self.random.choice(("a.dead", "b.dead", "graves", self.name()))
        target = self.random.choice(("", "", "", "c", "a"))
        most = self.random.choice((0, 0, 1, 3))
        if name not in self.model.queues:
            self._raises(NotFound, lambda: self.broker.redrive(Redrive(name, target, most), self.now))
            return
        if target == name:
            return
        if target and not self._may_open([target], lambda: self.broker.redrive(Redrive(name, target, most), self.now)):
            return
        moved = self.broker.redrive(Redrive(name, target, most), self.now).messages
        self._same(moved, self.model.redrive(name, target, most))

    def watch(self) -> None:
        """Begin or end."""
        name = self.name()
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

    # ---- comparing ----

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


def _values(policy: Policy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in Policy.__dataclass_fields__}


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
"""Bounds inside of the broker that a short walk would not reach: half of all walks have these."""


def run(seed: int, steps: int) -> Walk:
    """A walk; the text of a difference tells where it was."""
    with ExitStack() as patches:
        if seed % 2:
            for module, values in SMALL.items():
                patches.enter_context(patch.multiple(module, **values))
        return _run(seed, steps)


def _run(seed: int, steps: int) -> Walk:
    walk = Walk(seed)
    for number in range(steps):
        try:
            walk.step()
        except Exception as error:
            raise DifferenceError(f"seed {seed}, step {number}: {error!r}") from error
    page = walk.broker.list_queues(ListQueues(), walk.now)  # of one queue: frames are short here
    names = [info.name for info in page.queues]
    while page.next_page_token:
        page = walk.broker.list_queues(ListQueues(page_token=page.next_page_token), walk.now)
        names += [info.name for info in page.queues]
    assert names == sorted(walk.model.queues)
    return walk


def main() -> None:
    """Walk, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=int, default=20_000, help="steps of one walk; the next has the next seed")
    chosen = parser.parse_args()
    done = seed = 0
    while done < chosen.steps:
        run(chosen.seed + seed, min(chosen.length, chosen.steps - done))
        done += min(chosen.length, chosen.steps - done)
        seed += 1
        print(f"{done} steps without a difference", file=sys.stderr)
    print(f"{done} steps, seeds {chosen.seed} to {chosen.seed + seed - 1}: no difference")


if __name__ == "__main__":
    main()
