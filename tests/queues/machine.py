"""A hypothesis state machine: the real broker beside the naive one, each step a request at some moment.

The suite runs a little of it. More: `python -m tests.queues.machine --steps 1000000`. A difference is shown as
the shortest way to it that hypothesis found, with the seed that leads there again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from quickpulse.requests import (
    Action,
    Batch,
    Delivery,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    Pull,
    Redrive,
    Resume,
    SetPolicy,
    Settle,
)
from tests.queues.pair import HOLDERS, NAMES, POLICIES, Pair, small_bounds

STEPS = 150
"""Of one run, after which a new one begins; more would need more choices than hypothesis takes for one."""

HISTORY_RUNS = 200
"""Runs under one seed."""

NAME = st.sampled_from(("a", "a", "b", *NAMES))
MS = st.sampled_from((0, 0, 0, 0, 0, 0, 1, 1, 3, 10, 30, 100))
LENGTH = st.sampled_from((0, 0, 0, 5, 20, 70))
LEASE_MS = st.sampled_from((1000, 0, 0, 50, 200))
WHICH = st.integers(0, 40)
HOLDER = st.sampled_from(HOLDERS)

PROPERTIES = st.builds(
    Properties,
    id=st.sampled_from(("", "", "é1", "é2")),
    headers=st.sampled_from(({}, {}, {}, {"h": ""}, {"h": "xxx", "i": "y"})),
    priority=st.sampled_from((0, 0, 0, 1, 9, 10)),
    delay_ms=st.sampled_from((0, 0, 0, 1, 20, 100)),
    ttl_ms=st.sampled_from((0, 0, 0, 5, 50, 300)),
    dedup_key=st.sampled_from(("", "", "", "k1", "k2", "k3")),
)

POLICY = st.builds(Policy, **{field: st.sampled_from(values) for field, values in POLICIES.items()})

PLAIN = st.lists(st.tuples(LENGTH, st.none()), max_size=8)

PEEK = st.builds(Peek, NAME, st.sampled_from((0, 1, 3, 100)), st.sampled_from((0, 0, 150)))
REDRIVE = st.builds(
    Redrive,
    st.sampled_from(("a.dead", "b.dead", "graves", *NAMES)),
    st.sampled_from(("", "", "c", "a")),
    st.sampled_from((0, 0, 1, 3)),
)

SELDOM = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((50, 200, 700, 2500))),
    st.tuples(st.just("peek"), PEEK),
    st.tuples(st.just("redrive"), REDRIVE),
    st.tuples(st.just("set_policy"), st.builds(SetPolicy, st.sampled_from(NAMES[:-1]), POLICY)),
    st.tuples(st.just("pause"), st.builds(Pause, NAME, st.booleans()) | st.builds(Resume, NAME)),
    st.tuples(st.just("pause"), st.builds(Resume, NAME)),
    st.tuples(st.just("watch"), NAME),
    st.tuples(st.sampled_from(("purge", "delete")), NAME),
    st.tuples(st.just("give_back"), HOLDER),
)
"""Methods of Pair, with what they are given."""


class BrokerMachine(RuleBasedStateMachine):
    """One run of both; a rule for each request."""

    steps = 0
    """Of all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()
        self.patches = ExitStack()

    @initialize(are_small=st.booleans())
    def begin(self, are_small: bool) -> None:
        """Half of all runs have small bounds."""
        self.patches.enter_context(small_bounds(are_small))

    def teardown(self) -> None:
        """The bounds are as they were."""
        with self.patches:
            self.pair.check_names()

    def step(self, ms: int, act: Callable[..., None], *arguments: Any) -> None:
        """So much later, this is asked."""
        BrokerMachine.steps += 1
        self.pair.step(ms, self.pair.steps % 2 == 0, lambda: act(*arguments))

    def payloads(self, lengths: list[int]) -> list[bytes]:
        """As long as that and a number."""
        return [self.pair.payload(length) for length in lengths]

    @rule(
        ms=MS,
        name=NAME,
        each=st.lists(st.tuples(LENGTH, st.none() | PROPERTIES), max_size=4) | PLAIN,
        common=st.none() | PROPERTIES,
        key=st.sampled_from((b"", b"", b"", b"one", b"two")),
        atomic=st.sampled_from((False, False, True)),
    )
    def publish(
        self,
        ms: int,
        name: str,
        each: list[tuple[int, Properties | None]],
        common: Properties | None,
        key: bytes,
        atomic: bool,
    ) -> None:
        """With common properties, and own ones of some; or without."""
        own = {index: properties for index, (_, properties) in enumerate(each) if properties is not None}
        batch = Batch(self.payloads([length for length, _ in each]), common, own)
        self.step(ms, self.pair.publish, Publish(name, batch, key, atomic))

    @rule(ms=MS, lengths=st.lists(LENGTH, max_size=6), count=st.sampled_from((0, 0, 0, 1, 3, 50)))
    def plain(self, ms: int, lengths: list[int], count: int) -> None:
        """v0: take, exchange or put."""
        if count and lengths:
            self.step(ms, self.pair.exchange, self.payloads(lengths))
        elif lengths:
            self.step(ms, self.pair.put, self.payloads(lengths))
        else:
            self.step(ms, self.pair.take, count)

    @precondition(lambda self: self.pair.ready_names())
    @rule(ms=MS, which=WHICH, count=st.sampled_from((1, 1, 2, 5, 100)), lease_ms=LEASE_MS, holder=st.none() | HOLDER)
    def lease(self, ms: int, which: int, count: int, lease_ms: int, holder: str | None) -> None:
        """What is ready, as most consumers do."""
        names = self.pair.ready_names()
        self.step(ms, self.pair.pull, Pull([names[which % len(names)]], count, 0, 0, lease_ms, holder=holder))

    @rule(
        ms=MS,
        names=st.lists(NAME, min_size=1, max_size=2),
        count=st.sampled_from((0, 1, 5, 100)),
        max_bytes=st.sampled_from((0, 60, 200)),
        lease_ms=LEASE_MS,
        delivery=st.sampled_from(Delivery),
        with_moments=st.booleans(),
    )
    def pull(
        self,
        ms: int,
        names: list[str],
        count: int,
        max_bytes: int,
        lease_ms: int,
        delivery: Delivery,
        with_moments: bool,
    ) -> None:
        """Of queues that may have nothing, leased or taken."""
        self.step(ms, self.pair.pull, Pull(names, count, max_bytes, 0, lease_ms, delivery, with_moments))

    @precondition(lambda self: self.pair.held())
    @rule(
        ms=MS,
        which=WHICH,
        more=st.sampled_from((0, 0, 0, 1, 3, 10, 200)),
        action=st.sampled_from((Action.ACK, Action.ACK, *Action)),
        delay_ms=st.sampled_from((None, None, 0, 15, 80)),
        lease_ms=st.sampled_from((400, 0, 100)),
    )
    def settle(self, ms: int, which: int, more: int, action: Action, delay_ms: int | None, lease_ms: int) -> None:
        """A receipt that is held, unless it ends meanwhile, and those behind it."""
        held = self.pair.held()
        name, first = held[which % len(held)]
        request = Settle(name, [(first, first + more)], action, delay_ms, lease_ms, "broken" if more else "")
        self.step(ms, self.pair.settle, request)

    @precondition(lambda self: self.pair.recent)
    @rule(
        ms=MS,
        which=WHICH,
        near=st.integers(-5, 5),
        more=st.integers(0, 2),
        name=st.none() | NAME,
        action=st.sampled_from(Action),
    )
    def settle_several(self, ms: int, which: int, near: int, more: int, name: str | None, action: Action) -> None:
        """Receipts that were given lately, in ranges that may overlap, now and then with the name of another queue."""
        own, first = self.pair.recent[-1 - which % len(self.pair.recent)]
        ranges = [(first, first), (first + near, first + near + more)]
        self.step(ms, self.pair.settle, Settle(name or own, ranges, action))

    @rule(ms=MS, what=SELDOM)
    def administer(self, ms: int, what: tuple[str, Any]) -> None:
        """What is asked less often."""
        name, argument = what
        if name == "wait":
            self.step(argument, lambda: None)
        else:
            self.step(ms, getattr(self.pair, name), argument)


def run(number: int, runs: int, shrink: bool = True) -> None:
    """So many runs, which follow from this number.

    :param shrink: look for the shortest way to a difference.
    :raises DifferenceError: with the steps that lead to it.
    """
    chosen = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(BrokerMachine), settings=chosen)


def main() -> None:
    """As long as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    number, started = chosen.seed, time.monotonic()
    while BrokerMachine.steps < chosen.steps:
        print(f"seed {number}:", end=" ", file=sys.stderr, flush=True)
        run(number, HISTORY_RUNS)
        number += 1
        print(f"{BrokerMachine.steps} steps, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{BrokerMachine.steps} steps, seeds {chosen.seed} to {number - 1}: no difference")


if __name__ == "__main__":
    main()
