"""A random walk of the real broker beside a naive one: every request, time included, replies and states compared.

The suite runs a little of it. More: `python -m tests.queues.walk --steps 1000000 --seed 1`. It tells the
seed and the step of a difference.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable

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
from tests.queues.pair import HOLDERS, NAMES, POLICIES, DifferenceError, Pair, small_bounds


class Walk:
    """One walk; `step` is one request, or some time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pair = Pair()
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
        chance = self.random.random()
        ms = 0 if chance < 0.4 else self.random.choice((1, 1, 3, 10, 30, 100) if chance < 0.99 else (700, 2500))
        self.pair.step(ms, self.random.random() < 0.5, self.random.choice(self.choices))

    def name(self) -> str:
        """Some queue."""
        return self.random.choice(self.names)

    def payload(self) -> bytes:
        """One of its own."""
        return self.pair.payload(self.random.choice((0, 0, 5, 20)) if self.random.random() < 0.97 else 70)

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
        self.pair.publish(Publish(name, batch, key, some.random() < 0.15))

    def pull(self) -> None:
        """Leased or taken."""
        some = self.random
        self.pair.pull(
            Pull(
                [self.name() for _ in range(some.choice((1, 1, 2)))],
                some.choice((0, 1, 1, 2, 5, 100)),
                some.choice((0, 0, 0, 60, 200)),
                lease_ms=some.choice((0, 0, 50, 200, 1000)),
                delivery=Delivery.TAKEN if some.random() < 0.2 else Delivery.LEASED,
                with_enqueued_at=some.random() < 0.5,
                holder=some.choice((None, None, None, *HOLDERS)),
            )
        )

    def settle(self) -> None:
        """Of receipts that were given lately, or near them."""
        some, recent = self.random, self.pair.recent
        name, receipt = some.choice(recent) if recent and some.random() < 0.95 else (self.name(), 1)
        if some.random() < 0.04:
            name = self.name()
        ranges = [(receipt, receipt + some.choice((0, 0, 0, 1, 3, 10, 200)))]
        if some.random() < 0.3:
            near = max(1, receipt + some.randrange(-5, 6))
            ranges.append((near, near + some.randrange(3)))
        action = some.choice((Action.ACK, Action.ACK, *Action))
        delay_ms, lease_ms = some.choice((None, None, 0, 15, 80)), some.choice((0, 100, 400))
        self.pair.settle(Settle(name, ranges, action, delay_ms, lease_ms, some.choice(("", "broken"))))

    def give_back(self) -> None:
        """A holder is gone."""
        self.pair.give_back(self.random.choice(HOLDERS))

    def put(self) -> None:
        """v0."""
        self.pair.put([self.payload() for _ in range(self.random.choice((1, 1, 2, 6)))])

    def take(self) -> None:
        """v0."""
        self.pair.take(self.random.choice((1, 1, 3, 50)))

    def exchange(self) -> None:
        """v0."""
        self.pair.exchange([self.payload() for _ in range(self.random.choice((1, 1, 3)))])

    def peek(self) -> None:
        """Look."""
        self.pair.peek(Peek(self.name(), self.random.choice((0, 1, 3, 100)), self.random.choice((0, 0, 150))))

    def policy(self) -> None:
        """Another one."""
        name, chosen = self.name(), {field: self.random.choice(values) for field, values in POLICIES.items()}
        if name == "graves":
            chosen["dead_letter_queue"] = None
        self.pair.set_policy(SetPolicy(name, Policy(**chosen)))

    def pause(self) -> None:
        """Stop."""
        self.pair.pause(Pause(self.name(), self.random.random() < 0.5))

    def resume(self) -> None:
        """Go on."""
        self.pair.pause(Resume(self.name()))

    def purge(self) -> None:
        """All away but what is leased."""
        self.pair.purge(self.name())

    def delete(self) -> None:
        """All away, now and then."""
        if self.random.random() < 0.5:
            self.pair.delete(self.name())

    def redrive(self) -> None:
        """Dead letters go back."""
        some = self.random
        name, target = some.choice(("a.dead", "b.dead", "graves", self.name())), some.choice(("", "", "", "c", "a"))
        self.pair.redrive(Redrive(name, target, some.choice((0, 0, 1, 3))))

    def watch(self) -> None:
        """Begin or end."""
        self.pair.watch(self.name())


def run(seed: int, steps: int) -> Pair:
    """A walk; the text of a difference tells where it was. Half of all walks have small bounds."""
    with small_bounds(bool(seed % 2)):
        walk = Walk(seed)
        for number in range(steps):
            try:
                walk.step()
            except Exception as error:
                raise DifferenceError(f"seed {seed}, step {number}: {error!r}") from error
        walk.pair.check_names()
        return walk.pair


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
