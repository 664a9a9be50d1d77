"""How each server is started: on a free port of loopback, with nothing written to disk that has to last."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from perf.brokers.rows import BEANSTALKD, NATS, QUICKPULSE, REDIS
from perf.compare.servers import CAPACITY, Server
from perf.spawn import HOST, free_ports, twistd_command

PROGRAMS = {REDIS: "redis-server", NATS: "nats-server", BEANSTALKD: "beanstalkd"}

LIBRARIES = {REDIS: ("redis", "hiredis"), NATS: ("nats",), BEANSTALKD: ("greenstalk",)}

CONFIGURATIONS = {
    QUICKPULSE: f"`twistd quickpulse --mode grpc --capacity {CAPACITY}`, metrics on",
    REDIS: "`redis-server --save '' --appendonly no`, streams are not trimmed",
    NATS: "`nats-server --jetstream` with its store in an empty folder, streams in memory",
    BEANSTALKD: "`beanstalkd` without `-b`",
}
"""For people; persistence is off everywhere."""

_VERSIONS = {REDIS: ("--version", r"v=([\d.]+)"), NATS: ("--version", r"v([\d.]+)"), BEANSTALKD: ("-v", r"([\d.]+)")}


def program(name: str) -> str | None:
    """Where the server's program is: beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(PROGRAMS[name])
    return str(beside) if beside.exists() else shutil.which(PROGRAMS[name])


def missing(name: str, has_module: Callable[[str], bool]) -> str | None:
    """Why this server cannot be measured here; None where it can."""
    if name == QUICKPULSE:
        return None
    if program(name) is None:
        return f"{PROGRAMS[name]} is not on the path"
    absent = [module for module in LIBRARIES[name] if not has_module(module)]
    return f"its client's {' and '.join(absent)} cannot be imported" if absent else None


def make_server(name: str) -> Server:
    """The server on ports that are free now."""
    with free_ports(2) as (port, http_port):
        pass
    if name == QUICKPULSE:
        command = [*twistd_command(), "--pidfile=", "-n", "quickpulse", "--mode", "grpc", "--host", HOST]
        command += ["--grpc-port", str(port), "--http-port", str(http_port), "--capacity", str(CAPACITY)]
        return Server(name, tuple(command), port, http_port)
    found = program(name) or PROGRAMS[name]
    options = {
        REDIS: ("--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no"),
        NATS: ("--addr", HOST, "--port", str(port), "--jetstream", "--store_dir", "store"),
        BEANSTALKD: ("-l", HOST, "-p", str(port)),
    }
    return Server(name, (found, *options[name]), port)


def version(name: str) -> str:
    """As the program says it; "" where it does not."""
    option, pattern = _VERSIONS[name]
    try:
        done = subprocess.run([program(name) or "", option], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else ""
