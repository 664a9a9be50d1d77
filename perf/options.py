"""What a run is asked to do: the command line, as one frozen object. No other module reads arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from perf.arguments import seconds, whole
from perf.payloads import MIN_PAYLOAD_BYTES

MODES = ("ws", "grpc", "grpc_stream")

MAX_CONNECTIONS = 1000
"""Producers, and likewise consumers: below the usual limit of 1,024 open files."""

MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
"""Far above the server's own default bound of 1 MiB, so that the bound itself can be tried."""

MAX_IN_FLIGHT = 100_000

MAX_WINDOW_BYTES = 256 * 1024 * 1024
"""Of the payloads that one connection may have in flight: a window is held in memory, perhaps twice."""

MAX_SECONDS = 3600.0

MAX_MESSAGES = 200_000_000
"""In all. The ledger keeps ten bytes of each to the end; a timed run ends early when it gets here."""

DEFAULT_MESSAGES = 500_000
"""A few seconds, with our own server."""

DEFAULT_IN_FLIGHT = 100


@dataclass(frozen=True)
class Options:
    """One run.

    mode: ws, grpc or grpc_stream
    producers, consumers: connections of each kind; without consumers the delivery is not checked (ws, grpc)
    messages: how many to publish in all, or None where `seconds` decides
    seconds: for how long to publish, or None where `messages` decides
    payload_bytes: the size of every payload
    in_flight: unanswered requests per connection
    target: (host, port) of a running server, or None to start one
    server_arguments: handed to `twistd quickpulse` where one is started
    in_turn: publish everything first, and only then consume
    timeout_seconds: for a connect, and for how long a connection may leave a request unanswered
    idle_seconds: how long an empty queue is asked again when acknowledged messages are missing
    drain_seconds: how long consuming may go on after publishing has ended
    json: one JSON object on standard output, everything else on standard error
    plot: the PNG to draw, or None
    progress: a live bar, where standard error is a terminal
    """

    mode: str
    producers: int = 4
    consumers: int = 4
    messages: int | None = None
    seconds: float | None = None
    payload_bytes: int = 64
    in_flight: int = 100
    target: tuple[str, int] | None = None
    server_arguments: tuple[str, ...] = ()
    in_turn: bool = False
    timeout_seconds: float = 10.0
    idle_seconds: float = 1.0
    drain_seconds: float = 300.0
    json: bool = False
    plot: str | None = None
    progress: bool = True


def parse(arguments: Sequence[str], mode: str | None = None) -> Options:
    """The options of a command line; `mode` where the program decides it. Exits with status 2 on an error."""
    parser = _parser(mode)
    given = parser.parse_args(arguments)
    if given.server_arguments and given.target is not None:
        parser.error("--server-argument is for a server that perf starts: it does not go with --target")
    chosen = mode or given.mode
    in_flight = given.in_flight or DEFAULT_IN_FLIGHT
    if in_flight * given.payload_bytes > MAX_WINDOW_BYTES:
        parser.error(f"--in-flight times --payload-bytes may not exceed {MAX_WINDOW_BYTES:,} bytes")
    messages = given.messages
    if messages is None and given.seconds is None:
        messages = DEFAULT_MESSAGES
    return Options(
        mode=chosen,
        producers=given.producers,
        consumers=given.consumers,
        messages=messages,
        seconds=given.seconds,
        payload_bytes=given.payload_bytes,
        in_flight=in_flight,
        target=given.target,
        server_arguments=tuple(given.server_arguments),
        in_turn=given.in_turn,
        timeout_seconds=given.timeout,
        idle_seconds=given.idle,
        drain_seconds=given.drain,
        json=given.json,
        plot=given.plot,
        progress=not given.no_progress,
    )


def _parser(mode: str | None) -> argparse.ArgumentParser:
    program = "python -m perf" if mode is None else f"python -m perf.perf_{mode}_throughput"
    parser = argparse.ArgumentParser(
        prog=program,
        description="Measure a QuickPulse server, and check that every acknowledged message came out "
        "exactly once, unaltered and in order.",
        epilog="Exit status: 0 all checks passed, 1 a check failed, 2 wrong usage, 5 the server is unavailable.",
        allow_abbrev=False,
    )
    if mode is None:
        parser.add_argument("--mode", choices=MODES, required=True, help="the server's mode")
    _add_load(parser)
    _add_server(parser)
    _add_output(parser)
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    load, duration = parser.add_argument_group("load"), seconds(MAX_SECONDS)
    load.add_argument("--producers", type=whole(1, MAX_CONNECTIONS), default=4, metavar="N")
    load.add_argument("--consumers", type=whole(0, MAX_CONNECTIONS), default=4, metavar="N")
    amount = load.add_mutually_exclusive_group()
    amount.add_argument("--messages", type=whole(1, MAX_MESSAGES), metavar="N", help="publish N in all")
    amount.add_argument("--seconds", type=duration, metavar="S", help="publish for S seconds")
    load.add_argument(
        "--payload-bytes",
        type=whole(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
        default=64,
        metavar="N",
        help=f"size of each payload, {MIN_PAYLOAD_BYTES} or more (default 64)",
    )
    load.add_argument(
        "--in-flight",
        type=whole(1, MAX_IN_FLIGHT),
        metavar="N",
        help=f"unanswered requests per connection (default {DEFAULT_IN_FLIGHT})",
    )
    load.add_argument("--in-turn", action="store_true", help="publish everything first, then consume")
    load.add_argument("--timeout", type=duration, default=10.0, metavar="S", help="silence allowed (default 10)")
    load.add_argument("--idle", type=duration, default=1.0, metavar="S", help="wait for missing messages (default 1)")
    load.add_argument("--drain", type=duration, default=300.0, metavar="S", help="consuming's end (default 300)")


def _add_server(parser: argparse.ArgumentParser) -> None:
    server = parser.add_argument_group("server")
    where = server.add_mutually_exclusive_group()
    where.add_argument("--target", type=_address, metavar="HOST:PORT", help="a server that runs already")
    where.add_argument("--spawn", action="store_true", help="start one for the run (the default without --target)")
    server.add_argument(
        "--server-argument",
        dest="server_arguments",
        action="append",
        default=[],
        metavar="ARG",
        help="for the server that is started; may be repeated: --server-argument=--capacity=10",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="the result as JSON on stdout, the rest on stderr")
    output.add_argument("--plot", metavar="FILE.png", help="draw throughput and latency over time")
    output.add_argument("--no-progress", action="store_true", help="no live bar")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port")
    return host.strip("[]"), int(port)
