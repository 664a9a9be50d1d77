"""`python -m perf.storm --mode ws|grpc|grpc_stream`: runs a storm and says what came of it."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from perf.compare.process import ServerEndedError, running
from perf.compare.servers import Server
from perf.load.faults import LoadFaultError
from perf.spawn import SpawnError
from perf.storm.account import Account
from perf.storm.links import EndedError, Peer, roles
from perf.storm.loop import Loop
from perf.storm.numbered import BLOCK
from perf.storm.server import Metrics, ours, read_metrics, settled_metrics
from perf.storm.verdict import problems

FAILED, UNAVAILABLE = 1, 5

RESET, HALF_CLOSE, CANCEL = "reset", "half-close", "cancel"
"""Ways to end what is under way: RST, FIN in the middle of a frame, RST_STREAM (in gRPC)."""

SPARE_CAPACITY = 1_000_000

QUEUED = 40 * BLOCK
"""Messages in the queue from the beginning in mode grpc_stream."""

DRAIN_TURNS = 25
"""Between looks at the depth."""


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if all is well, 1 if not, 5 if the server does not start."""
    given = _parser().parse_args(arguments)
    if given.mode == "ws":
        given.ways = [way for way in given.ways if way != CANCEL] or [RESET]
    gc.disable()  # nothing here makes cycles
    queued = QUEUED if given.mode == "grpc_stream" and "--queue" not in given.server else 0
    account = Account(-(-given.messages // BLOCK) * BLOCK, queued)
    server = ours(given.mode, given.server, account.total + SPARE_CAPACITY, queued)
    kills: Counter[str] = Counter()
    metrics, found = None, []
    began = ended = time.monotonic()
    try:
        with running(server, None):
            began = time.monotonic()
            metrics = _storm(given, server, account, kills)
            ended = time.monotonic()
        found = problems(account, metrics)
    except SpawnError as error:
        print(f"storm: {error}", file=sys.stderr)
        return UNAVAILABLE
    except (LoadFaultError, EndedError, ServerEndedError, OSError) as error:
        found = [str(error)] + ([] if metrics is None else problems(account, metrics))
    result = {
        "mode": given.mode,
        "server": given.server,
        "seconds": round(ended - began, 3),
        "seed": given.seed,
        "counts": dataclasses.asdict(account.counts()),
        "queued": account.queued,
        "kills": dict(kills),
        "killed_in_flight": account.killed_in_flight,
        "metrics": None if metrics is None else dataclasses.asdict(metrics),
        "problems": found,
        "examples": account.examples,
    }
    print(json.dumps(result) if given.json else _readable(result))
    return FAILED if found else 0


def _storm(given: argparse.Namespace, server: Server, account: Account, kills: Counter[str]) -> Metrics:
    """All of it; the server's numbers at the end."""
    loop = Loop(server.port, account)
    kinds = roles(given.mode)
    try:
        for _ in range(given.connections):
            for kind in kinds:
                loop.open(kind)
        _blow(loop, account, random.Random(given.seed), given.ways, given.kill_every, kills)
        _land(loop)
        settled_metrics(server, len(loop.links))
        _drain(loop, server, given.mode)
        loop.close(loop.links)
        return settled_metrics(server, 0)
    finally:
        loop.stop()


def _blow(
    loop: Loop, account: Account, dice: random.Random, ways: list[str], kill_every: float, kills: Counter[str]
) -> None:
    """Until all messages are given out."""
    due = time.monotonic() + (dice.expovariate(1 / kill_every) if kill_every else float("inf"))
    while not account.is_given_out:
        loop.turn()
        if time.monotonic() >= due:
            due = time.monotonic() + dice.expovariate(1 / kill_every)
            way = dice.choice(ways)
            kills[way] += _end_one(loop, dice.choice(loop.links), way)


def _end_one(loop: Loop, link: Peer, way: str) -> bool:
    """Ends a connection in this way and opens another in its place; whether that could be done."""
    if way == CANCEL:
        return link.drop_calls()
    if way == HALF_CLOSE:
        loop.half_close(link)
    else:
        loop.kill(link)
    loop.open(type(link))
    return True


def _land(loop: Loop) -> None:
    """Until all that was put is answered; then only consumers are left."""
    while loop.is_ending or any(link.outstanding for link in loop.links if link.puts):
        loop.turn()
    loop.close(link for link in loop.links if link.puts)


def _drain(loop: Loop, server: Server, mode: str) -> None:
    """Until nothing is queued and every request is answered."""
    if mode == "grpc_stream":
        from perf.storm.calls import Drainer

        loop.open(Drainer)
    while read_metrics(server).depth:
        for _ in range(DRAIN_TURNS):
            loop.turn()
    for link in loop.links:
        link.is_leaving = True
    while any(link.outstanding for link in loop.links):
        loop.turn()


def _readable(result: dict[str, Any]) -> str:
    counts, metrics = result["counts"], result["metrics"]
    lines = [
        f"{result['mode']}: {counts['sent'] - result['queued']} messages in {result['seconds']:.1f} s, seed "
        f"{result['seed']}",
        f"  acknowledged {counts['acknowledged'] - result['queued']}, unknown {counts['unknown']} (of which "
        f"{counts['received_unknown']} came out), queued before {result['queued']}",
        f"  received {counts['received']}, each once; missing {counts['missing']}",
        f"  killed: {', '.join(f'{count} by {way}' for way, count in result['kills'].items()) or 'none'}, with "
        f"at most {result['killed_in_flight']} messages under way",
        f"  server: {metrics}",
        *(f"  FAILED: {problem}" for problem in result["problems"]),
        *(f"    {example}" for example in result["examples"]),
    ]
    return "\n".join(lines)


def _ways(text: str) -> list[str]:
    ways = text.split(",")
    if not set(ways) <= {RESET, HALF_CLOSE, CANCEL}:
        raise ValueError
    return ways


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perf.storm", description=__doc__, allow_abbrev=False)
    parser.add_argument("--mode", required=True, choices=("ws", "grpc", "grpc_stream"))
    parser.add_argument("--messages", type=int, default=10_000_000, metavar="N", help="how many (default 10,000,000)")
    parser.add_argument("--connections", type=int, default=4, metavar="N", help="of each kind (default 4)")
    parser.add_argument(
        "--kill-every", type=_seconds, default=0.2, metavar="S", help="on average; 0 is never (default 0.2)"
    )
    parser.add_argument(
        "--ways",
        type=_ways,
        default=[RESET, HALF_CLOSE, CANCEL],
        metavar="WAYS",
        help=f"how: some of {RESET},{HALF_CLOSE},{CANCEL} (default all; {CANCEL} is for gRPC)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what is killed, and when")
    parser.add_argument("--server", default="", metavar="OPTIONS", help="further options of twistd quickpulse")
    parser.add_argument("--json", action="store_true", help="the whole result as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
