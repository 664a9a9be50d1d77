"""`python -m perf.load ROW PORT`: one measurement against a server that runs, told as one JSON object."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence

from perf.load.faults import LoadFaultError
from perf.load.files import raise_file_limit
from perf.load.job import Job, run
from perf.load.rows import RowError, parse_row

FAILED = 1

DEFAULT_MESSAGES = 100_000


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0, or 1 with a line on stderr when the server did what it must not."""
    given = _parser().parse_args(arguments)
    try:
        row = parse_row(given.row).with_messages(DEFAULT_MESSAGES)
    except RowError as error:
        _parser().error(str(error))
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    raise_file_limit()
    gc.disable()  # a collection would stand in the server's place
    try:
        result = run(Job(row, given.port, given.server_pid, given.echo, given.fill, given.plain, given.silence))
    except (LoadFaultError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return FAILED
    print(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perf.load", description=__doc__, allow_abbrev=False)
    parser.add_argument("row", help="KIND:CONNECTIONSxIN_FLIGHT[:MESSAGES][:payload=BYTES][:depth=QUEUED][:idle=N]")
    parser.add_argument("port", type=int, help="of the server, on 127.0.0.1")
    parser.add_argument("--echo", action="store_true", help="the server sends back the bytes that it gets")
    parser.add_argument("--fill", action="store_true", help="put the messages in that are queued before the clock")
    parser.add_argument("--plain", action="store_true", help="the server speaks HTTP/2 without gRPC")
    parser.add_argument("--server-pid", type=int, metavar="PID", help="whose processor time is read")
    parser.add_argument("--core", type=int, metavar="N", help="run on this core only")
    parser.add_argument("--silence", type=float, default=20.0, metavar="S", help="an answer is lost after this")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
