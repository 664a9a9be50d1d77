"""Our server for a run: its command, and its own numbers, read over HTTP."""

from __future__ import annotations

import shlex
import time
import urllib.request
from dataclasses import dataclass

from perf.compare.servers import OURS, Server
from perf.spawn import HOST, free_ports, twistd_command

ANSWER_SECONDS = 20.0

SETTLE_SECONDS = 10.0
"""For the server to notice that connections are gone."""

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Metrics:
    """What the server has counted.

    connections: open ones of the mode's transport; None where the server does not know (grpcio)
    """

    enqueued: int
    dequeued: int
    depth: int
    undelivered: int
    connections: int | None


def ours(mode: str, options: str, capacity: int, queued: int = 0) -> Server:
    """A server of this mode on free ports.

    options: further ones of `twistd quickpulse`
    queued: messages that are in its queue from the beginning
    """
    with free_ports(2) as (port, http_port):
        pass
    command = [*twistd_command(), "--pidfile=", "-n", "quickpulse", "--mode", mode, "--host", HOST]
    command += ["--ws-port" if mode == "ws" else "--grpc-port", str(port), "--http-port", str(http_port)]
    command += ["--capacity", str(capacity)]
    environment = {}
    if queued:
        command += ["--queue", "perf.storm.prefilled:make_queue"]
        environment["PERF_STORM_QUEUED"] = str(queued)
    return Server(OURS, (*command, *shlex.split(options)), port, http_port, environment)


def read_metrics(server: Server) -> Metrics:
    """Now."""
    with urllib.request.urlopen(f"http://{HOST}:{server.http_port}/metrics", timeout=ANSWER_SECONDS) as page:
        lines = page.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("quickpulse_"))
    connections = [
        value
        for name, value in values.items()
        if name.startswith("quickpulse_connections_open") and 'transport="http"' not in name
    ]
    enqueued, dequeued, depth, undelivered = (
        int(float(values[f"quickpulse_{name}"]))
        for name in ("enqueue_total", "dequeue_total", "queue_depth", "undelivered_total")
    )
    return Metrics(
        enqueued, dequeued, depth, undelivered, sum(int(float(value)) for value in connections) if connections else None
    )


def settled_metrics(server: Server, connections: int) -> Metrics:
    """As soon as the server has noticed that only so many connections are left, or after a while."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        metrics = read_metrics(server)
        if metrics.connections is None:  # grpcio's server does not tell
            time.sleep(1.0)
            return read_metrics(server)
        if metrics.connections <= connections or time.monotonic() > deadline:
            return metrics
        time.sleep(_POLL_SECONDS)
