"""A server of a comparison as a process: started on its core, awaited, ended by SIGTERM."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from perf.compare.servers import Server
from perf.spawn import HOST, LOG_LINES, SpawnError

ROOT = Path(__file__).resolve().parents[2]

START_SECONDS = 60.0
"""A million messages are queued before the port opens."""

STOP_SECONDS = 30.0

_POLL_SECONDS = 0.05


class ServerEndedError(Exception):
    """Our server ended with another status than 0."""


@contextlib.contextmanager
def running(server: Server, core: int | None) -> Iterator[int]:
    """The server's process id while it serves. Raises SpawnError, and at the end ServerEndedError."""
    environment = {**os.environ, **server.environment}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            server.command,
            env=environment,
            cwd=home,  # an empty one: nothing is found or written by accident
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
        try:
            _await_port(process, server.port)
            yield process.pid
        except SpawnError as error:
            log.seek(0)
            words = log.read().decode(errors="replace").splitlines()[-LOG_LINES:]
            raise SpawnError(f"{server.name}: {error}\n" + "\n".join(words)) from None
        finally:
            status = _stop(process)
    if server.is_ours and status:
        raise ServerEndedError(f"{server.name}: ended with status {status}")


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SpawnError(f"ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), 1.0).close()
            return
        time.sleep(_POLL_SECONDS)
    raise SpawnError(f"no port after {START_SECONDS:g} seconds")


def _stop(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
