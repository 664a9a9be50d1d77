"""A producer: publishes a range of numbers, in batches and one by one, and writes down what was confirmed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from perf.delivery.journal import CONFIRMED, UNCONFIRMED, Journal
from perf.delivery.numbers import payload_of
from quickpulse.client import Queue, connect
from quickpulse.errors import QuickPulseError

MOST_AT_ONCE = 1_000


def main(url: str, name: str, path: str, first: int, end: int, seed: int) -> None:
    """Publish the numbers from `first` to `end`, that not included."""
    dice = random.Random(seed)
    journal = Journal(Path(path))
    with connect(url, wait_seconds=30) as client:
        queue = client.queue(name)
        while first < end:
            numbers = range(first, min(end, first + dice.randint(1, MOST_AT_ONCE)))
            try:
                (_together if dice.random() < 0.5 else _one_by_one)(queue, numbers)
            except QuickPulseError as error:
                print(f"producer: {error}", file=sys.stderr)
                journal.write(UNCONFIRMED, numbers)
            else:
                journal.write(CONFIRMED, numbers)
            first = numbers.stop
    journal.close()


def _together(queue: Queue, numbers: range) -> None:
    queue.publish_many(list(map(payload_of, numbers)))


def _one_by_one(queue: Queue, numbers: range) -> None:
    with queue.publisher() as out:
        for number in numbers:
            out.publish(payload_of(number))


if __name__ == "__main__":
    url, name, path, *rest = sys.argv[1:]
    main(url, name, path, *map(int, rest))
