"""`python -m perf.delivery`: at least once, shown while consumers are killed and connections are cut."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perf import spawn
from perf.delivery.cuts import Cuts
from perf.delivery.numbers import number_of
from perf.delivery.verdict import Account, problems, read
from quickpulse.client import Client, connect
from quickpulse.requests import Policy, QueueInfo

FAILED, UNAVAILABLE = 1, 5

QUEUE = "jobs"

MOST_DELIVERIES = 20
"""Of a message, before it is a dead letter; poison needs all of them."""

SPARE_CAPACITY = 100_000

LEAST_RATE = 2_000
"""Messages a second, or it is given up."""

END_SECONDS = 60.0

POLL_SECONDS = 0.1


@dataclass
class Crew:
    """The processes of a run.

    folder: for their journals
    kills: consumers that were killed
    """

    given: argparse.Namespace
    url: str
    folder: Path
    dice: random.Random
    producers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    consumers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: int = 0
    _born: int = 0

    def start(self) -> None:
        """All of them."""
        share = -(-self.given.messages // self.given.producers)
        for place in range(self.given.producers):
            first = place * share
            numbers = first, min(first + share, self.given.messages), self.dice.randrange(1 << 30)
            self.producers.append(self._spawn("producer", *map(str, numbers)))
        for _ in range(self.given.consumers):
            self.consumers.append(self._consumer())

    def kill_one(self) -> None:
        """A consumer, at once; another takes its place."""
        place = self.dice.randrange(len(self.consumers))
        self.consumers[place].kill()
        self.consumers[place].wait()
        self.consumers[place] = self._consumer()
        self.kills += 1

    def is_published(self) -> bool:
        """Whether the producers are done. Raises RuntimeError if one failed."""
        statuses = [producer.poll() for producer in self.producers]
        if any(statuses):
            raise RuntimeError(f"a producer failed: {statuses}")
        return None not in statuses

    def end(self) -> list[str]:
        """Consumers are told to end, and producers are killed; what did not do so."""
        for producer in self.producers:
            producer.kill()
        for consumer in self.consumers:
            consumer.send_signal(signal.SIGTERM)
        found = []
        for consumer in self.consumers:
            try:
                consumer.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                consumer.kill()
                found.append("a consumer did not end when it was told to")
            if consumer.wait():
                found.append(f"a consumer ended with status {consumer.returncode}")
        for producer in self.producers:
            producer.wait()
        return found

    def _consumer(self) -> subprocess.Popen[bytes]:
        hold_seconds = 2 * self.given.lease_seconds
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))  # inherited: it waits for the handler
        try:
            return self._spawn("consumer", str(self.dice.randrange(1 << 30)), str(hold_seconds))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _spawn(self, role: str, *rest: str) -> subprocess.Popen[bytes]:
        self._born += 1
        journal = self.folder / f"{role}-{self._born}"
        command = [sys.executable, "-m", f"perf.delivery.{role}", self.url, QUEUE, str(journal), *rest]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if all is well, 1 if not, 5 if the server does not start."""
    given = _parser().parse_args(arguments)
    try:
        result = asyncio.run(_with_server(given))
    except spawn.SpawnError as error:
        print(f"delivery: {error}", file=sys.stderr)
        return UNAVAILABLE
    print(json.dumps(result) if given.json else _readable(result))
    return FAILED if result["problems"] else 0


async def _with_server(given: argparse.Namespace) -> dict[str, Any]:
    capacity = given.messages + SPARE_CAPACITY
    mode = "ws" if given.scheme == "quickpulse+ws" else "grpc"
    server = await spawn.start(mode, ("--capacity", str(capacity), *given.server.split()))
    try:
        result = await asyncio.to_thread(_run, given, server.target[1])
    except BaseException:
        print(server.last_words(), file=sys.stderr)
        raise
    finally:
        status = await server.stop()
        server.close()
    if status:
        result["problems"].append(f"the server ended with status {status}")
    return result


def _run(given: argparse.Namespace, port: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, Cuts(port, given.cut_every, given.seed) as cuts:
        with connect(f"{given.scheme}://127.0.0.1:{port}") as client:
            client.queue(QUEUE).set_policy(
                Policy(
                    lease_ms=round(given.lease_seconds * 1000),
                    max_deliveries=MOST_DELIVERIES,
                    retry_delays_ms=(0,),
                )
            )
            crew = Crew(given, f"{given.scheme}://127.0.0.1:{cuts.port}", Path(name), random.Random(given.seed))
            began = time.monotonic()
            found = []
            try:
                crew.start()
                if not _storm(given, crew, cuts, client):
                    found.append("it was given up: too slow")
            finally:
                found += crew.end()
            seconds = time.monotonic() - began
            queue = client.queue(QUEUE).stats()
            dead = [number_of(payload) for payload in _drain(client)]
        account = read(Path(name).iterdir(), given.messages)
    found += problems(account, queue, dead)
    return _result(given, account, queue, crew.kills, dict(cuts.counts), seconds, found)


def _storm(given: argparse.Namespace, crew: Crew, cuts: Cuts, client: Client) -> bool:
    """Until all is published and nothing is left; whether that came to pass."""
    deadline = time.monotonic() + END_SECONDS + given.messages / LEAST_RATE
    next_kill = time.monotonic() + given.kill_every
    while time.monotonic() < deadline:
        is_published = crew.is_published()
        if is_published:
            cuts.stop_cutting()
            queue = client.queue(QUEUE).stats()
            if not queue.ready + queue.leased + queue.delayed:
                return True
        elif given.kill_every and time.monotonic() >= next_kill:
            crew.kill_one()
            next_kill = time.monotonic() + crew.dice.expovariate(1 / given.kill_every)
        time.sleep(POLL_SECONDS)
    return False


def _drain(client: Client) -> list[bytes]:
    """The dead letters."""
    dead: list[bytes] = []
    while batch := client.queue(f"{QUEUE}.dead").take_many(10_000):
        dead += batch
    return dead


def _result(
    given: argparse.Namespace,
    account: Account,
    queue: QueueInfo,
    kills: int,
    cuts: dict[str, int],
    seconds: float,
    found: list[str],
) -> dict[str, Any]:
    return {
        "messages": given.messages,
        "seconds": round(seconds, 3),
        "seed": given.seed,
        "confirmed": int(account.confirmed.sum()),
        "unconfirmed": int(account.unconfirmed.sum()),
        "delivered": int(account.delivered.sum()),
        "doubles": int((account.delivered - 1).clip(min=0).sum()),
        "acks_unsure": int(account.unsure.sum()),
        "kills": kills,
        "cuts": cuts,
        "server": dict(queue.counts),
        "problems": found,
    }


def _readable(result: dict[str, Any]) -> str:
    server = result["server"]
    cuts = ", ".join(f"{count} {kind}" for kind, count in sorted(result["cuts"].items())) or "none"
    lines = [
        f"{result['messages']} messages in {result['seconds']:.1f} s, seed {result['seed']}",
        f"  confirmed {result['confirmed']}, stored {server['published']}; acked {server['acked']}, "
        f"dead letters {server['dead_lettered']}",
        f"  came {result['delivered']} times: {result['doubles']} again; returned: {server['expired']} leases ran out, "
        f"{server['nacked']} nacked, {server['released']} released",
        f"  {result['kills']} consumers killed; connections cut: {cuts}",
        f"  acks without an answer, or too late: {result['acks_unsure']}",
        *(f"  FAILED: {problem}" for problem in result["problems"]),
    ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perf.delivery", description=__doc__, allow_abbrev=False)
    parser.add_argument("--messages", type=int, default=1_000_000, metavar="N", help="how many (default 1,000,000)")
    parser.add_argument("--producers", type=int, default=8, metavar="N", help="processes (default 8)")
    parser.add_argument("--consumers", type=int, default=8, metavar="N", help="processes (default 8)")
    parser.add_argument("--scheme", default="quickpulse", choices=("quickpulse", "quickpulse+ws"))
    parser.add_argument(
        "--kill-every", type=float, default=1.0, metavar="S", help="a consumer, on average; 0 is never (default 1)"
    )
    parser.add_argument(
        "--cut-every", type=float, default=0.2, metavar="S", help="a connection, on average; 0 is never (default 0.2)"
    )
    parser.add_argument("--lease-seconds", type=float, default=2.0, metavar="S", help="of the queue (default 2)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what is killed and cut, and when")
    parser.add_argument("--server", default="", metavar="OPTIONS", help="further options of twistd quickpulse")
    parser.add_argument("--json", action="store_true", help="the whole result as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
