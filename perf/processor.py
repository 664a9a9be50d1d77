"""Who had the processor during a run: whether a figure is the server's, the load's, or the machine's."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from perf.load.process_facts import server_clock

BUSY_CORES = 0.9
"""From which on a process with one thread that works may be what was measured."""

SHORT_CORES = 0.1
"""With fewer of them idle, others than the two sides held the two sides up if they used more than this."""

LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ProcessorUse:
    """Processor seconds per second of a run: 1.0 is one whole core.

    load: of the load itself
    server: of the server, where it is known which process that is
    others: of all other programs, where the server's is known
    idle: of nobody
    """

    load: float
    server: float | None = None
    others: float | None = None
    idle: float = 0.0

    @property
    def load_is_limit(self) -> bool:
        """Whether the load hardly ever waited for the server, so that the figures are the load's."""
        return self.load >= BUSY_CORES

    def told(self) -> list[str]:
        """For people."""
        server = "" if self.server is None else f", the server {self.server:.0%}"
        lines = [f"processor: the load {self.load:.0%} of a core{server}"]
        if self.load_is_limit:
            lines.append("THE LOAD IS THE LIMIT: it was busy all the time, and the server may be faster than this")
        elif self.server is not None and self.server >= BUSY_CORES:
            lines.append("the server is the limit: it was busy all the time, and the load was not")
        if self.others is not None and self.others >= SHORT_CORES and self.idle < SHORT_CORES:
            lines.append(f"other programs took {self.others:.0%} of a core, and none was idle: the figures are too low")
        return lines


class ProcessorMeter:
    """Reads all clocks together. The time runs from the beginning.

    server_pid: None where it is not known
    """

    def __init__(self, server_pid: int | None) -> None:
        self._server_seconds = server_clock(server_pid)
        self._began = self._read()

    def use(self) -> ProcessorUse:
        """Up to now."""
        (began_at, load_then, idle_then, server_then), (at, load_now, idle_now, server_now) = self._began, self._read()
        wall = at - began_at
        load, idle = (load_now - load_then) / wall, (idle_now - idle_then) / wall
        server = None if server_now is None or server_then is None else (server_now - server_then) / wall
        others = None if server is None else max(0.0, (psutil.cpu_count() or 1) - idle - load - server)
        return ProcessorUse(load, server, others, idle)

    def _read(self) -> tuple[float, float, float, float | None]:
        return time.perf_counter(), time.process_time(), psutil.cpu_times().idle, self._server_seconds()


def listener_pid(target: tuple[str, int]) -> int | None:
    """The process that listens there, if it is one of this machine's and of this user's."""
    host, port = target
    if host not in LOCAL_HOSTS:
        return None
    try:
        listeners = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    pids = {each.pid for each in listeners if each.status == psutil.CONN_LISTEN and each.laddr.port == port}
    return pids.pop() if len(pids) == 1 else None
