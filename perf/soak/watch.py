"""Looks at the server from outside, once in a while."""

from __future__ import annotations

import os
from dataclasses import dataclass

from perf.compare.servers import Server
from perf.load.process_facts import resident_bytes
from perf.soak.tally import Tally
from perf.storm.server import read_metrics


@dataclass(frozen=True)
class Sample:
    """One look.

    seconds: since the load is held
    resident_bytes: memory of the server
    open_files: of the server
    connections: open, by the server's own count; None where it does not know
    depth: messages queued
    came: messages that came out so far
    """

    seconds: float
    resident_bytes: int
    open_files: int
    connections: int | None
    depth: int
    came: int


def look(server: Server, pid: int, tally: Tally, seconds: float) -> Sample:
    """Now."""
    metrics = read_metrics(server)
    return Sample(
        seconds,
        resident_bytes(pid) or 0,
        len(os.listdir(f"/proc/{pid}/fd")),
        metrics.connections,
        metrics.depth,
        tally.came,
    )
