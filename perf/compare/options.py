"""The command line of `python -m perf compare`, as one frozen object."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from perf.arguments import seconds, whole
from perf.compare.servers import ECHO, OURS, STOCK, Other
from perf.load.rows import MODES, Row, RowError, parse_row

MOST_ROUNDS, MOST_SECONDS = 99, 600.0


@dataclass(frozen=True)
class CompareOptions:
    """One comparison.

    rows: what is measured
    rounds: times that each server is started for each row
    servers: of OURS, STOCK, ECHO
    ours: further options of our server
    others: servers by their command
    is_pinned: server and load keep to a core each; both to one where messages go singly
    silence_seconds: after which an answer is taken for lost
    json, png: files to write
    """

    rows: tuple[Row, ...]
    rounds: int = 3
    servers: tuple[str, ...] = (OURS, STOCK, ECHO)
    ours: tuple[str, ...] = ()
    others: tuple[Other, ...] = ()
    is_pinned: bool = False
    silence_seconds: float = 20.0
    json: str | None = None
    png: str | None = None


def parse(arguments: Sequence[str]) -> CompareOptions:
    """The options of a command line. Exits with status 2 on an error."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = [*given.servers, *(other.name for other in given.other)]
    if len(set(names)) < len(names):
        parser.error("two servers have one name")
    if not names:
        parser.error("no server is left to measure")
    return CompareOptions(
        rows=tuple(dict.fromkeys(given.rows)),
        rounds=given.rounds,
        servers=given.servers,
        ours=tuple(shlex.split(given.ours)),
        others=tuple(given.other),
        is_pinned=given.pin,
        silence_seconds=given.silence,
        json=given.json,
        png=given.png,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m perf compare",
        description="Measure our server beside the stock library's, a bare echo and others, started in turn. "
        f"A row is KIND:CONNECTIONSxIN_FLIGHT[:MESSAGES][:payload=BYTES][:depth=QUEUED][:idle=CONNECTIONS], "
        f"KIND one of {', '.join(MODES)}.",
        epilog="Exit status: 0 every answer was right, 1 one was not, 2 wrong usage, 5 a server did not start.",
        allow_abbrev=False,
    )
    parser.add_argument("rows", nargs="+", type=_row, metavar="ROW")
    parser.add_argument(
        "--rounds", type=whole(1, MOST_ROUNDS), default=3, metavar="N", help="starts of each server (default 3)"
    )
    parser.add_argument(
        "--servers",
        type=_servers,
        default=(OURS, STOCK, ECHO),
        metavar="NAMES",
        help="of ours,stock,echo (default all; the echo is for WebSocket rows)",
    )
    parser.add_argument("--ours", default="", metavar="OPTIONS", help='for our server: --ours "--ws-frames plain"')
    parser.add_argument(
        "--other",
        action="append",
        type=_other,
        default=[],
        metavar="NAME=COMMAND",
        help="any other server, {port} in its command; may be repeated",
    )
    parser.add_argument(
        "--http2",
        dest="other",
        action="append",
        type=_plain,
        metavar="NAME=COMMAND",
        help="likewise one without gRPC, such as nghttpd: any answer with status 200 counts",
    )
    parser.add_argument("--pin", action="store_true", help="keep server and load to cores; one for both in rows Nx1")
    parser.add_argument(
        "--silence", type=seconds(MOST_SECONDS), default=20.0, metavar="S", help="an answer is lost after this"
    )
    parser.add_argument("--json", metavar="FILE", help="write the whole result")
    parser.add_argument("--png", metavar="FILE", help="draw it")
    return parser


def _row(text: str) -> Row:
    try:
        return parse_row(text)
    except RowError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _servers(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    for name in names:
        if name not in (OURS, STOCK, ECHO):
            raise argparse.ArgumentTypeError(f"{name!r} is none of ours, stock, echo")
    return names


def _other(text: str) -> Other:
    name, _, command = text.partition("=")
    if not name or "{port}" not in command:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=COMMAND with {{port}} in the command")
    return Other(name, command)


def _plain(text: str) -> Other:
    other = _other(text)
    return Other(other.name, other.command, is_plain=True)
