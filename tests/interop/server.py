"""A real `twistd quickpulse` on free ports, and what it says of itself. What clients do with it is not here."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import TestCase

from tests.serving import in_loop

ROOT = Path(__file__).resolve().parents[2]

START_SECONDS = 30.0
"""A cold start on a busy machine; a warm one takes one second."""

POLL_SECONDS = 0.02

OPEN_FILES = 8192
"""For tests with a thousand connections; the usual soft limit is 1,024."""


def allow_many_connections() -> None:
    """Raise the soft limit of open files, here and in the servers that are started later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class RealServer:
    """One server process. It is ready when the constructor returns.

    :param mode: ws, grpc, grpc_stream or all.
    :param arguments: further flags.
    """

    def __init__(self, mode: str, *arguments: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        names = ("QUICKPULSE_", "WS_MODE", "RPC_")
        self.process = subprocess.Popen(
            [
                Path(sys.executable).with_name("twistd"),
                *("--pidfile=", "-n", "quickpulse", "--mode", mode, "--host", "127.0.0.1"),
                *("--ws-port", "0", "--grpc-port", "0", "--http-port", "0", *arguments),
            ],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(names)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self.ports = ports = self._ports()
            """Of each listener, by its name."""
        except BaseException:
            self.end()
            raise
        self.port = ports["WebSocket" if mode == "ws" else "gRPC"]
        self.http_port = ports["HTTP"]

    @property
    def target(self) -> str:
        """host:port of the messages' listener; in mode all of gRPC's."""
        return f"127.0.0.1:{self.port}"

    def log(self) -> str:
        """All that it has written so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, seconds: float) -> int:
        """Its exit status, once it has ended; AssertionError when that takes longer."""
        deadline = time.monotonic() + seconds
        while (status := self.process.poll()) is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"the server still runs after {seconds} s:\n{self.log()}")
            await asyncio.sleep(POLL_SECONDS)
        return status

    def end(self) -> None:
        """Kill what still runs, and forget the log."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._log.close()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page on the HTTP port."""
        return await asyncio.to_thread(self._get, path)

    async def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: `name` or `name{label="value"}` to value."""
        _, page = await self.get("/metrics")
        samples = {}
        for family in text_string_to_metric_families(page):
            for name, labels, value, *_ in family.samples:
                text = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
                samples[f"{name}{{{text}}}" if text else name] = value
        return samples

    async def metric(self, name: str) -> int:
        """One whole number of /metrics."""
        return int((await self.metrics())[name])

    async def until_metric(self, name: str, value: int, seconds: float = 10.0) -> None:
        """Wait until a sample has a value."""
        deadline = time.monotonic() + seconds
        while (now := await self.metric(name)) != value:
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is {now} and not {value}")
            await asyncio.sleep(POLL_SECONDS)

    def left_over(self) -> tuple[int, int]:
        """What the last line of a drain says: messages still queued, and messages taken but not delivered."""
        said = re.search(r"drained: (\d+) messages were still queued.* (\d+) were taken but not delivered", self.log())
        assert said, self.log()
        return int(said[1]), int(said[2])

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def _ports(self) -> dict[str, int]:
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            line = re.search(r"QuickPulse \S+, mode \w+: .*\n", self.log())
            if line:
                return {name: int(port) for name, port in re.findall(r"(\w+) on [\d.]+:(\d+)", line[0])}
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"the server did not start:\n{self.log()}")


class RealServerTestCase(TestCase):
    """Starts servers, ends them after the test, and runs coroutines in the reactor's loop."""

    timeout = 120

    grpc_server: str | None = None
    """Which gRPC server, where a class of tests is for one; None is the default one."""

    def serve(self, mode: str, *arguments: str) -> RealServer:
        """A server for the time of the test."""
        if self.grpc_server is not None:
            arguments = ("--grpc-server", self.grpc_server, *arguments)
        server = RealServer(mode, *arguments)
        self.addCleanup(server.end)
        return server

    def story(self, coroutine: Any) -> Any:
        """What a test returns: the Deferred of its coroutine."""
        return in_loop(coroutine)

    async def assert_drained(self, server: RealServer, seconds: float) -> tuple[int, int]:
        """It ends with status 0 in time, without a traceback; gives what it says was left over."""
        status = await server.ended(seconds)
        log = server.log()
        self.assertEqual(status, 0, log)
        self.assertNotIn("Traceback", log)
        return server.left_over()
