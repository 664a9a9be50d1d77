"""`python -m perf --mode ws|grpc|grpc_stream`, `perf compare`, `perf scale`: picks the tool; all else is beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from perf import command
from perf.options import parse

DRIVERS = {
    "ws": ("perf.perf_ws_throughput", "WebSocketDriver"),
    "grpc": ("perf.perf_grpc_throughput", "GrpcDriver"),
    "grpc_stream": ("perf.perf_grpc_stream_throughput", "GrpcStreamDriver"),
}
"""By name, so that measuring WebSocket does not load gRPC."""

COMMANDS = {"compare": "perf.compare.command", "scale": "perf.scale.command"}
"""Tools with a command line of their own."""


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    if arguments and arguments[0] in COMMANDS:
        status: int = import_module(COMMANDS[arguments[0]]).main(arguments[1:])
        return status
    options = parse(arguments)
    module, name = DRIVERS[options.mode]
    return command.run(options, getattr(import_module(module), name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
