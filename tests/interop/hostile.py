"""What tests of hostile peers share: a server with a good client beside it, its memory, and how both came through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from twisted.python import log

from tests.interop.good_client import GoodClient, resident_bytes
from tests.interop.server import POLL_SECONDS, RealServerTestCase

KEPT_BYTES = 30 * 1024 * 1024
"""What a server may have more than before, after an attack is over: allocators keep some."""

HELD_BYTES = 64 * 1024 * 1024
"""What a peer may make the server hold, --max-inflight-bytes and what buffers add; and what allocators keep at most of
a queue that was large."""

MILLION = 1_000_000

SHORT_ENOUGH = 4096
"""A receive buffer of this size makes a slow reader slow at once."""

REFUSED = 'quickpulse_requests_refused_total{{reason="{}"}}'


class Outcome(NamedTuple):
    """What must come of an attack.

    :ivar text: for people.
    :ivar ends: whether the server ends the connection.
    :ivar holds: whether the answers are right.
    """

    text: str
    ends: bool
    holds: Callable[[Any], bool]


async def is_over(sending: asyncio.Future[None], reading: Coroutine[Any, Any, bool], seconds: float) -> bool:
    """What the reading says, or False where it takes longer; nothing is sent any more then."""
    try:
        return await asyncio.wait_for(reading, seconds)
    except asyncio.TimeoutError:
        return False
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def storm(sock: socket.socket, sent: bytes, mark: bytes, seconds: float = 60.0) -> bytes:
    """Send very much, and read until a mark comes or the server ends the connection."""
    loop, received = asyncio.get_running_loop(), bytearray()

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(sock, sent)

    async def read() -> None:
        with contextlib.suppress(ConnectionError):
            while part := await loop.sock_recv(sock, 1 << 18):
                seen = max(len(received) - len(mark), 0)
                received.extend(part)
                if received.find(mark, seen) >= 0:
                    return

    sending = asyncio.ensure_future(send())
    try:
        await asyncio.wait_for(read(), seconds)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return bytes(received)


async def slow_connection(port: int) -> socket.socket:
    """A socket whose kernel takes little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SHORT_ENOUGH)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def until_cut(sock: socket.socket, sent: bytes, more: bytes, seconds: float) -> bool:
    """Send, then a little more again and again, and never read; whether the server cut the connection in time."""
    began, loop = time.monotonic(), asyncio.get_running_loop()
    try:
        await asyncio.wait_for(loop.sock_sendall(sock, sent), seconds)
        while time.monotonic() - began < seconds:
            await loop.sock_sendall(sock, more)
            await asyncio.sleep(0.1)
    except ConnectionError:
        return True
    except asyncio.TimeoutError:
        pass
    return False


class HostileTestCase(RealServerTestCase):
    """One server and one good client for a test."""

    bystanders = 1
    """Connections that stay open: the good client's."""

    transport = "grpc"
    """Whose connections are counted."""

    @property
    def open_connections(self) -> str:
        """The metric."""
        return f'quickpulse_connections_open{{transport="{self.transport}"}}'

    def start(self, mode: str, *arguments: str) -> None:
        """Start both."""
        self.server = self.serve(mode, *arguments)
        self.good = GoodClient(self.server.port, mode, self.server.process.pid)
        self.addCleanup(self.good.end)
        self.rss_before, self.worst_rss = self.rss(), 0

    def rss(self) -> int:
        """The server's memory, in bytes."""
        return resident_bytes(self.server.process.pid)

    async def lap(self, name: str) -> dict[str, Any]:
        """How the good client was served since the last time; it goes to the log of the tests too."""
        lap = await asyncio.to_thread(self.good.lap)
        self.worst_rss = max(self.worst_rss, lap["worst_rss"])
        log.msg(
            f"hostile: {name}: good client's worst of {lap['answered']} {lap['worst_seconds'] * 1000:.1f} ms, "
            f"its own {lap['worst_own_seconds'] * 1000:.1f} ms, "
            f"server at most {lap['worst_rss'] / 2**20:.0f} MiB, "
            f"now {self.rss() / 2**20:.0f}, before {self.rss_before / 2**20:.0f}"
        )
        return lap

    async def counts_without_attackers(self, seconds: float = 20.0) -> dict[str, float]:
        """The metrics, once no connection but the bystanders' is open."""
        deadline = time.monotonic() + seconds
        while (counts := await self.server.metrics())[self.open_connections] != self.bystanders:
            if time.monotonic() > deadline:
                raise AssertionError(f"{counts[self.open_connections]} connections are open")
            await asyncio.sleep(POLL_SECONDS)
        return counts

    async def miscounted(self, reason: str | None) -> str | None:
        """What is wrong with the refusals since the last time, once the attacker is gone: there is one, of a reason."""
        before, self.counts = self.counts, await self.counts_without_attackers()
        grown = {key: n - before[key] for key, n in self.counts.items() if "refused" in key and n > before[key]}
        if grown == ({} if reason is None else {REFUSED.format(reason): 1}):
            return None
        return f"counted {grown}"

    async def finish(self, name: str) -> dict[str, float]:
        """After the attack: its connections are gone, and what was acknowledged is accounted for."""
        await self.counts_without_attackers()
        lap = await self.lap(name)
        counts = await self.server.metrics()
        enqueued, dequeued = counts["quickpulse_enqueue_total"], counts["quickpulse_dequeue_total"]
        self.assertGreaterEqual(enqueued, lap["acknowledged"], name)
        self.assertEqual(counts["quickpulse_queue_depth"], enqueued - dequeued, name)
        self.assertNotIn("Traceback", self.server.log())
        return counts

    def assert_memory_is_back(self, kept: int = KEPT_BYTES) -> None:
        """After an attack, with what it left in the queue taken out."""
        self.assertLess(self.rss() - self.rss_before, kept)
