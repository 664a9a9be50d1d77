"""What the broker's domain costs: `python -m tests.queues.figures`, about a minute. For reading, not a test.

CPU time, the best of several, so that other programs on the machine matter little. Every payload is an object of its
own, as from a wire.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from quickpulse.queues.broker import Broker
from quickpulse.queues.memory import MessageQueue
from quickpulse.requests import Action, Batch, Publish, Pull, Settle

LONG_LEASE_MS = 12 * 3600 * 1000

SETTLED = 400_000
"""Messages of one figure, about."""


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
    """Microseconds for a request about `at_once` messages, while so many are leased.

    What was settled is leased again, so that the number stays, and each block's turn comes when all others had theirs.
    """
    broker, blocks = filled(leased, 1000, 1000), deque(range(1, leased + 1, 1000))
    pull, took = Pull(("q",), 1000, lease_ms=LONG_LEASE_MS), []

    def settle(requests: list[Settle], now: int) -> None:
        for request in requests:
            broker.settle(request, now)

    for number in range(SETTLED // 1000):
        now, first = 20_000_000 + number, blocks.popleft()
        ranges = [(first + each, first + each + at_once - 1) for each in range(0, 1000, at_once)]
        requests = [Settle("q", (each,), action, 0) for each in ranges]
        took.append(each_ns(len(requests), partial(settle, requests, now)))
        if action is Action.ACK:
            broker.publish(Publish("q", Batch(payloads(1000))), now)
        blocks.append(broker.pull(pull, now).first_receipt)
    return median(took) / 1000


def expiry(leased: int) -> float:
    """Nanoseconds for each message, a thousand of which expire at a time, while so many are leased."""
    broker, now, took = Broker(), 1000, []
    for _ in range(leased // 1000):
        broker.publish(Publish("q", Batch(payloads(1000))), 1000)
        now += 1
        broker.pull(Pull(("q",), 1000, lease_ms=leased), now)
    for number in range(SETTLED // 1000):
        moment = 1001 + number + leased
        took.append(each_ns(1000, partial(broker.tick, moment)))
        broker.pull(Pull(("q",), 1000, lease_ms=1 if leased == 1000 else LONG_LEASE_MS), moment)
    return median(took)


def freeing(held: int) -> float:
    """Microseconds that Python takes to free a thousand payloads, while so many are held."""
    lists, took = deque(payloads(1000) for _ in range(held // 1000)), []
    for _ in range(SETTLED // 1000):
        oldest = [lists.popleft()]
        took.append(each_ns(1, oldest.clear))
        lists.append(payloads(1000))
    return median(took) / 1000


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


def compared(few: float, many: float) -> str:
    """Both, and how many times the first the second is."""
    return f"{few:.2f} {many:.2f} ({many / few:.2f})"


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
            few, many = settling(1000, at_once, action), settling(1_000_000, at_once, action)
            print(f"{action.value} of {at_once} with 1,000 and 1,000,000 leased:", compared(few, many), "us a request")
    print("expiry with 1,000 and 1,000,000 leased:", compared(expiry(1000), expiry(1_000_000)), "ns a message")
    few, many = freeing(1000), freeing(1_000_000)
    print("Python alone, freeing 1,000 of 1,000 and of 1,000,000 payloads:", compared(few, many), "us")
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
