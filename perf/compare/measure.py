"""One measurement: a server, the load beside it, and our counters against what was sent."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perf import http_pages
from perf.compare.process import ROOT, running
from perf.compare.servers import Server
from perf.load.rows import CONSUMING, Row
from perf.spawn import HOST

MEASURE_SECONDS = 600.0
"""No row takes that long; what does is ended."""


class WrongRunError(Exception):
    """A measurement that is worth nothing: a wrong answer, or counters that say something else than was sent."""


@dataclass(frozen=True)
class Measurement:
    """What one run of the load on one server gave.

    rate: messages a second
    load_share: of a core that the load used
    server_share: and the server; None where unknown
    server_microseconds: of processor time for each message
    is_shared_core: whether both ran on one core
    server_bytes: of memory that the server held at the end, its connections open; None where unknown
    """

    rate: float
    load_share: float
    server_share: float | None
    server_microseconds: float | None
    is_shared_core: bool
    server_bytes: int | None = None


def cores_for(row: Row, is_pinned: bool, is_threaded: bool) -> tuple[int | None, int | None]:
    """(the server's core, the load's): one for both where messages go singly, so that no wake-up of another counts.

    A server that can use more cores may, in the other rows.
    """
    if not is_pinned:
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    if row.is_single:
        return usable[0], usable[0]
    return None if is_threaded else usable[0], usable[-1]


def measure(row: Row, server: Server, is_pinned: bool, silence_seconds: float) -> Measurement:
    """Starts the server, drives it, ends it. Raises SpawnError, WrongRunError, ServerEndedError."""
    server_core, load_core = cores_for(row, is_pinned, server.is_threaded)
    with running(server, server_core) as pid:
        options = ["--server-pid", str(pid), "--silence", str(silence_seconds)]
        options += [] if load_core is None else ["--core", str(load_core)]
        options += ["--echo"] if server.is_echo else []
        options += ["--plain"] if server.is_plain else []
        options += [] if server.fills_itself else ["--fill"]
        result = _drive(server.name, row, [row.text, str(server.port), *options])
        if server.http_port is not None:
            _check_counters(row, server.http_port, result["sent"])
    return measurement(result, server_core is not None and server_core == load_core)


def measurement(result: dict[str, Any], is_shared_core: bool) -> Measurement:
    """The figures in what the load has said."""
    seconds, answered, server = result["seconds"], result["answered"], result["server_seconds"]
    return Measurement(
        rate=answered / seconds,
        load_share=result["load_seconds"] / seconds,
        server_share=None if server is None else server / seconds,
        server_microseconds=None if server is None else server / answered * 1e6,
        is_shared_core=is_shared_core,
        server_bytes=result.get("server_bytes"),
    )


def _drive(name: str, row: Row, arguments: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "perf.load", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MEASURE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise WrongRunError(f"{row.text} on {name}: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _check_counters(row: Row, http_port: int, sent: int) -> None:
    """Each message that was sent was counted in, or out, or both."""
    counters = asyncio.run(http_pages.read_counters(HOST, http_port))
    if counters is None:
        raise WrongRunError(f"{row.text}: no counters on /metrics")
    due = (0 if row.kind in CONSUMING else sent, sent if row.kind in CONSUMING or row.kind == "stream" else 0)
    if (counters.enqueued, counters.dequeued) != due:
        raise WrongRunError(
            f"{row.text}: {due[0]} messages in and {due[1]} out are due, "
            f"/metrics says {counters.enqueued} and {counters.dequeued}"
        )
