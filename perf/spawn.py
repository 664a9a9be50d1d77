"""A server of one's own for a run: free ports, `twistd quickpulse`, readiness, and its end by SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from perf import http_pages

HOST = "127.0.0.1"

READY_SECONDS = 30.0
"""A cold start on a slow disk; a warm one takes one or two seconds."""

READY_POLL_SECONDS = 0.05

STOP_SECONDS = 30.0
"""The server drains first; after this it is killed, and its status is no longer 0."""

STARTS = 3
"""Another program may take a port between its choice and its use; then the next start has others."""

LOG_LINES = 15
"""Of the server's last words, shown when it fails."""

_PORT_TAKEN = ("CannotListenError", "Address already in use", "Couldn't listen")


class SpawnError(Exception):
    """The server did not become ready; the text has its last words."""


class SpawnedServer:
    """A running server.

    target: (host, port) of the transport
    http_port: of metrics and health
    """

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes], port: int, http_port: int) -> None:
        self.target = (HOST, port)
        self.http_port = http_port
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def wait_until_ready(self) -> None:
        """Until /readyz says yes. Raises SpawnError."""
        for _ in range(int(READY_SECONDS / READY_POLL_SECONDS)):
            if self._process.returncode is not None:
                raise SpawnError(f"the server ended with status {self._process.returncode}\n{self.last_words()}")
            if await http_pages.is_ready(HOST, self.http_port):
                return
            await asyncio.sleep(READY_POLL_SECONDS)
        raise SpawnError(f"the server was not ready within {READY_SECONDS:g} seconds\n{self.last_words()}")

    async def counters(self) -> http_pages.ServerCounters | None:
        """What it has counted so far."""
        return await http_pages.read_counters(HOST, self.http_port)

    async def stop(self) -> int:
        """Asks it to end by SIGTERM; its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        status = self._process.returncode
        return -1 if status is None else status

    def last_words(self) -> str:
        """The end of the server's log."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])

    def close(self) -> None:
        """Forgets the log."""
        self._log.close()


async def start(mode: str, arguments: tuple[str, ...]) -> SpawnedServer:
    """A server of this mode, ready to be used. Raises SpawnError."""
    for remaining in reversed(range(STARTS)):
        server = await _start_once(mode, arguments)
        try:
            await server.wait_until_ready()
        except BaseException as error:
            await server.stop()
            server.close()
            if remaining and isinstance(error, SpawnError) and any(sign in str(error) for sign in _PORT_TAKEN):
                continue
            raise
        return server
    raise AssertionError("the last start returns or raises")


async def _start_once(mode: str, arguments: tuple[str, ...]) -> SpawnedServer:
    with free_ports(2) as (port, http_port):
        pass
    port_option = "--ws-port" if mode == "ws" else "--grpc-port"
    command = [*twistd_command(), "--pidfile=", "-n", "quickpulse", "--mode", mode, "--host", HOST]
    command += [port_option, str(port), "--http-port", str(http_port), *arguments]
    log = tempfile.TemporaryFile()  # noqa: SIM115 - the server object closes it
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=asyncio.subprocess.STDOUT
    )
    return SpawnedServer(process, log, port, http_port)


def twistd_command() -> list[str]:
    """The `twistd` of this very Python, or the one on the path."""
    beside = Path(sys.executable).with_name("twistd")
    found = str(beside) if beside.exists() else shutil.which("twistd")
    return [found] if found else [sys.executable, "-m", "twisted.scripts.twistd"]


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports that nobody uses now; held together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
