"""The command line of `python -m perf compare brokers`, as one frozen object."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

from perf.arguments import seconds, whole
from perf.brokers.measure import Load
from perf.brokers.rows import BEANSTALKD, NATS, QUICKPULSE, REDIS, ROWS, Row

SERVERS = (QUICKPULSE, REDIS, NATS, BEANSTALKD)

MOST_ROUNDS, MOST_SECONDS, MOST_MESSAGES = 99, 60.0, 10_000_000


@dataclass(frozen=True)
class BrokersOptions:
    """One comparison.

    rows: what is measured
    servers: which may be started
    load: of each measurement
    rounds: how often each is measured; memory is, once
    json, png: files to write
    document: a page in which the tables take the place of those between two marks
    note: a sentence for the tables, such as what else the machine did
    """

    rows: tuple[Row, ...]
    servers: tuple[str, ...] = SERVERS
    load: Load = field(default_factory=Load)
    rounds: int = 3
    json: str | None = None
    png: str | None = None
    document: str | None = None
    note: str = ""


def parse(arguments: Sequence[str]) -> BrokersOptions:
    """The options of a command line. Exits with status 2 on an error."""
    given = _parser().parse_args(arguments)
    return BrokersOptions(
        rows=tuple(ROWS[key] for key in given.rows or ROWS),
        servers=given.servers,
        load=Load(given.seconds, given.messages, given.loop),
        rounds=given.rounds,
        json=given.json,
        png=given.png,
        document=given.document,
        note=given.note,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m perf compare brokers",
        description="v1 beside Redis, NATS and beanstalkd, with their own Python clients. Tables go to stdout.",
        epilog=f"Rows: {', '.join(ROWS)}. All of them, with three rounds, take about six minutes.",
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="all by default", type=_row)
    parser.add_argument("--rounds", type=whole(1, MOST_ROUNDS), default=3, metavar="N")
    parser.add_argument(
        "--seconds", type=seconds(MOST_SECONDS), default=1.5, metavar="S", help="that producers publish"
    )
    parser.add_argument(
        "--messages",
        type=whole(1, MOST_MESSAGES),
        default=1_000_000,
        metavar="N",
        help="in a queue, for its memory",
    )
    parser.add_argument("--servers", type=_servers, default=SERVERS, metavar="NAMES", help=",".join(SERVERS))
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="of clients on asyncio")
    parser.add_argument("--json", metavar="FILE", help="the whole result")
    parser.add_argument("--png", metavar="FILE", help="a chart")
    parser.add_argument(
        "--document", metavar="FILE", help="put the tables between its marks <!-- brokers --> and <!-- /brokers -->"
    )
    parser.add_argument("--note", default="", metavar="TEXT", help="a sentence for the tables")
    return parser


def _row(text: str) -> str:
    if text not in ROWS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(ROWS)}")
    return text


def _servers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in SERVERS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SERVERS)}")
    return names
