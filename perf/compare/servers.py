"""What is started for a row: ours, the stock library's, the bare echo, and others by their command."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from perf.load.rows import Row
from perf.spawn import HOST, free_ports, twistd_command

OURS, STOCK, ECHO = "ours", "stock", "echo"

CAPACITY = 60_000_000
"""Of our queue: above what any row puts in."""

MESSAGES = {
    ("ws", True): {STOCK: 30_000, OURS: 60_000},
    ("ws", False): {STOCK: 100_000, OURS: 1_000_000, ECHO: 3_000_000},
    ("grpc", True): {STOCK: 10_000, OURS: 40_000},
    ("grpc", False): {STOCK: 40_000, OURS: 300_000},
}
"""(protocol, whether each connection waits for each answer) -> messages where the row does not say how many.

About half a second each; servers that are not named get what ours gets.
"""


@dataclass(frozen=True)
class Server:
    """A server for one measurement.

    name: in tables
    command: with its ports in it
    port: that the load connects to
    http_port: of our metrics; None for others
    environment: beside the usual one
    is_echo: whether it sends back the bytes it gets
    fills_itself: whether a row's prefilled messages are in it when it has started
    is_plain: whether it speaks HTTP/2 without gRPC: any answer with status 200 will do
    is_threaded: whether it can use more than one core
    """

    name: str
    command: tuple[str, ...]
    port: int
    http_port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    is_echo: bool = False
    fills_itself: bool = True
    is_plain: bool = False
    is_threaded: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether its counters can be read."""
        return self.http_port is not None


@dataclass(frozen=True)
class Other:
    """Any other server.

    command: with {port} where its port goes
    is_plain: as a Server's
    """

    name: str
    command: str
    is_plain: bool = False


def names_for(row: Row, wanted: Sequence[str], others: Sequence[Other]) -> list[str]:
    """The servers that this row is measured on: an echo is the limit of WebSocket only, plain HTTP/2 of calls."""
    names = [name for name in wanted if name != ECHO or row.mode == "ws"]
    return names + [other.name for other in others if not other.is_plain or row.kind in ("unary-produce", "timeouts")]


def sized(row: Row, name: str) -> Row:
    """The row with a number of messages that suits the server."""
    counts = MESSAGES["ws" if row.mode == "ws" else "grpc", row.is_single]
    return row.with_messages(counts.get(name, counts[OURS]))


def make_server(row: Row, name: str, ours: Sequence[str], others: Sequence[Other]) -> Server:
    """The server of that name, on ports that are free now.

    row: with its number of messages
    ours: further options of `twistd quickpulse`
    """
    with free_ports(2) as (port, http_port):
        pass
    if name == OURS:
        return _ours(row, ours, port, http_port)
    if name == ECHO:
        return Server(name, _module("echo", port), port, is_echo=True)
    if name == STOCK:
        module = "stock_ws" if row.mode == "ws" else "stock_grpc"
        return Server(name, _module(module, port, row.prefill, row.payload), port, is_threaded=row.mode != "ws")
    other = next(other for other in others if other.name == name)
    command = tuple(word.replace("{port}", str(port)) for word in shlex.split(other.command))
    return Server(name, command, port, fills_itself=False, is_plain=other.is_plain, is_threaded=True)


def _ours(row: Row, options: Sequence[str], port: int, http_port: int) -> Server:
    port_option = "--ws-port" if row.mode == "ws" else "--grpc-port"
    command = [*twistd_command(), "--pidfile=", "-n", "quickpulse", "--mode", row.mode, "--host", HOST]
    command += [port_option, str(port), "--http-port", str(http_port), "--capacity", str(CAPACITY)]
    environment = {}
    if row.prefill:
        command += ["--queue", "perf.servers.prefilled:make_queue"]
        environment["PERF_PREFILL"] = f"{row.prefill}:{row.payload}"
    return Server(OURS, (*command, *options), port, http_port, environment)


def _module(name: str, *arguments: int) -> tuple[str, ...]:
    return (sys.executable, "-m", f"perf.servers.{name}", *map(str, arguments))
