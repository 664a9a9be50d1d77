"""What the broker's domain costs: `python -m tests.queues.figures`, about a minute. For reading, not a test.

CPU time, the best of several, so that other programs on the machine matter little. Every payload is an object of its
own, as from a wire.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import Action, Batch, Publish, Pull, Settle

LONG_LEASE_MS = 12 * 3600 * 1000


def payloads(count: int) -> list[bytes]:
    """100 bytes each."""
    return [b"%0100d" % number for number in range(count)]


def filled(count: int, batch: int, leased: int) -> Broker:
    """So many messages, published in batches; leased so many at a time, 0: not at all."""
    broker = Broker()
    for number in range(count // batch):
        broker.publish(Publish("q", Batch(payloads(batch))), 1000 + number)
    for number in range(count // leased if leased else 0):
        broker.pull(Pull(("q",), leased, lease_ms=LONG_LEASE_MS), 10_000_000 + number)
    return broker


def each_ns(count: int, act: Callable[[], Any]) -> float:
    """Nanoseconds of CPU for each of so many."""
    started = process_time()
    act()
    return (process_time() - started) / count * 1e9


def cycle(batch: int, count: int) -> list[float]:
    """Publish, pull, and ack as a range."""
    broker, requests = Broker(), [Publish("q", Batch(payloads(batch))) for _ in range(count // batch)]
    ranges = [Settle("q", ((1 + each * batch, (each + 1) * batch),)) for each in range(count // batch)]
    if batch <= 16:  # receipts of small pulls have gaps between blocks only
        ranges = [Settle("q", ((1 + each, 1 + each),)) for each in range(count)]
    pull = Pull(("q",), batch)
    return [
        each_ns(count, lambda: [broker.publish(request, 1000) for request in requests]),
        each_ns(count, lambda: [broker.pull(pull, 1001) for _ in requests]),
        each_ns(count, lambda: [broker.settle(request, 1002) for request in ranges]),
    ]


def settling(leased: int, at_once: int, action: Action) -> float:
    """One request for `at_once` of so many leased messages; microseconds for a request."""
    broker = filled(leased, 1000, 1000)
    requests = [Settle("q", ((1 + each, each + at_once),), action) for each in range(0, min(leased, 20_000), at_once)]
    return each_ns(len(requests), lambda: [broker.settle(request, 20_000_000) for request in requests]) / 1000


def expiry(leased: int) -> float:
    """Nanoseconds for each message."""
    broker = filled(leased, 1000, 1000)
    return each_ns(leased, lambda: broker.tick(10_000_000 + 2 * LONG_LEASE_MS))


def plain(queue: Any, batch: int) -> list[float]:
    """v0's three calls, nanoseconds for each."""
    messages = payloads(batch)
    return [
        each_ns(5000, lambda: [queue.enqueue_many(messages) for _ in range(5000)]),
        each_ns(5000, lambda: [queue.dequeue_many(batch) for _ in range(5000)]),
        each_ns(5000, lambda: [queue.exchange_many(messages) for _ in range(5000)]),
    ]


def best(times: int, act: Callable[[], list[float]]) -> list[float]:
    """The least of each figure."""
    return [min(figures) for figures in zip(*(act() for _ in range(times)), strict=True)]


def resident() -> int:
    """Bytes of this process."""
    gc.collect()
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024


def memory(batch: int, leased: int, count: int = 300_000) -> None:
    """Print bytes a message; to be called in a process of its own."""
    broker = Broker()
    before = resident()
    for number in range(count // batch):
        broker.publish(Publish("q", Batch(payloads(batch))), 1000 + number)
    for number in range(count // leased if leased else 0):
        broker.pull(Pull(("q",), leased, lease_ms=LONG_LEASE_MS), 10_000_000 + number)
    print(f"{(resident() - before) / count:.0f} bytes a message")


def main() -> None:
    """All of it."""
    for batch, leased in ((1000, 0), (1000, 1000), (1, 0), (1, 1)):
        print(f"memory, published {batch} at a time, leased {leased or 'not'}:", end=" ", flush=True)
        subprocess.run([sys.executable, "-m", "tests.queues.figures", str(batch), str(leased)], check=True)
    for batch, count in ((1, 20_000), (20, 100_000), (1000, 200_000)):
        figures = " ".join(f"{each:.0f}" for each in best(5, lambda batch=batch, count=count: cycle(batch, count)))
        print(f"batches of {batch}: publish, pull, ack: {figures} ns a message")
    for action in (Action.ACK, Action.NACK):
        for at_once in (1, 100, 1000):
            few = min(settling(1000, at_once, action) for _ in range(9))
            many = min(settling(1_000_000, at_once, action) for _ in range(2))
            print(f"{action.value} of {at_once} with 1,000 and 1,000,000 leased: {few:.2f} {many:.2f} us a request")
    print(f"expiry with 1,000 and 1,000,000 leased: {min(expiry(1000) for _ in range(9)):.0f}", end=" ")
    print(f"{expiry(1_000_000):.0f} ns a message")
    for batch in (1, 20, 200):
        ours = best(7, lambda batch=batch: plain(Broker().queue("default"), batch))
        theirs = best(7, lambda batch=batch: plain(MessageQueue(), batch))
        ratios = " ".join(f"{mine / its:.2f}" for mine, its in zip(ours, theirs, strict=True))
        print(f"v0, {batch}: enqueue_many, dequeue_many, exchange_many: {ratios} of memory.py's time")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        memory(int(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
