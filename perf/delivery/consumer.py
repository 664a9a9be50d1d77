"""A consumer, until it is told to end: takes messages in batches or one by one, now and then for longer than a lease.

What came is written down before anything is done about it, so a kill leaves no gap.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

from perf.delivery.journal import ACKED, ALTERED, DELIVERED, SAID, UNSURE, Journal
from perf.delivery.numbers import is_poison, number_of
from quickpulse.client import Batch, Options, Queue, connect
from quickpulse.errors import QuickPulseError

MOST_AT_ONCE = 1_000

WAIT_SECONDS = 1.0

HOLD_CHANCE = 0.01
"""Of a helping, to be held until its leases have run out."""

SINGLES = 5_000
"""Messages of a subscription, before batches are pulled again."""


class Consumer:
    """One process's work.

    :param queue: where messages come from.
    :param journal: what is written down.
    :param dice: decides what befalls a helping.
    :param hold_seconds: longer than a lease.
    """

    def __init__(self, queue: Queue, journal: Journal, dice: random.Random, hold_seconds: float) -> None:
        self._queue = queue
        self._journal = journal
        self._dice = dice
        self._hold_seconds = hold_seconds

    def run(self) -> None:
        """For ever."""
        while True:
            try:
                if self._dice.random() < 0.5:
                    self._pull()
                else:
                    self._subscribe()
            except QuickPulseError as error:
                print(f"consumer: {error}", file=sys.stderr)

    def _pull(self) -> None:
        for _ in range(10):
            batch = self._queue.pull(max_messages=self._dice.randint(1, MOST_AT_ONCE), wait_seconds=WAIT_SECONDS)
            if batch:
                self._do(batch)

    def _do(self, batch: Batch) -> None:
        numbers = [self._number(payload) for payload in batch.payloads]
        self._journal.write(DELIVERED, numbers)
        self._hold()
        good = []
        for message, number in zip(batch, numbers, strict=True):
            if is_poison(number):
                message.nack(delay_seconds=0)
            else:
                good.append(number)
        self._journal.write(SAID, good)  # before it is done, as a kill may come right after
        try:
            batch.ack(confirm=True)
        except QuickPulseError:  # too late, or the reply is lost: some of them may be acked
            self._journal.write(UNSURE, good)
        else:
            self._journal.write(ACKED, good)

    def _subscribe(self) -> None:
        with self._queue.subscribe(credit_messages=MOST_AT_ONCE) as messages:
            for count, message in enumerate(messages):
                number = self._number(message.payload)
                self._journal.write(DELIVERED, [number])
                if count % MOST_AT_ONCE == 0:
                    self._hold()
                if is_poison(number):
                    message.nack(delay_seconds=0)
                else:
                    self._journal.write(SAID, [number])
                    message.ack()
                if count == SINGLES:
                    return

    def _hold(self) -> None:
        if self._dice.random() < HOLD_CHANCE:
            time.sleep(self._hold_seconds)

    def _number(self, payload: bytes) -> int:
        try:
            return number_of(payload)
        except ValueError:
            self._journal.write(ALTERED, [0])
            raise


def main(url: str, name: str, path: str, seed: int, hold_seconds: float) -> None:
    """Until SIGTERM, which was blocked until it is handled here."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    journal = Journal(Path(path))
    # No lease is extended for long, so that what is held is lost.
    with connect(url, options=Options(max_lease_seconds=hold_seconds / 4), wait_seconds=30) as client:
        Consumer(client.queue(name), journal, random.Random(seed), hold_seconds).run()


if __name__ == "__main__":
    url, name, path, seed, hold_seconds = sys.argv[1:]
    main(url, name, path, int(seed), float(hold_seconds))
