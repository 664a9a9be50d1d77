"""What tests of hostile HTTP/2 share: a server with a good client beside it, and the ledger that must balance after."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.python import log

from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.good_client import GoodClient, resident_bytes
from tests.interop.http2_bytes import Answers
from tests.interop.server import POLL_SECONDS, RealServerTestCase

GOOD_SECONDS = 5.0
"""Longest time that the good client may wait for one answer: generous, as the machine may be busy with other tests."""

KEPT_BYTES = 30 * 1024 * 1024
"""What a server may have more than before, after an attack is over: allocators keep some."""

HELD_BYTES = 64 * 1024 * 1024
"""What a peer may make the server hold, --max-inflight-bytes and what buffers add; and what allocators keep at most of
a queue that was large."""

MARK = b"the end."
"""In a PING behind an attack: its answer says that the connection lives, and that all was read."""

SERVICE = "/messagequeue.MessageQueue"

PRODUCE, CONSUME, STREAM = f"{SERVICE}/Produce", f"{SERVICE}/Consume", f"{SERVICE}/StreamMessages"

OPENING = h2.PREFACE + h2.settings()

OPEN_WINDOWS = h2.settings((h2.INITIAL_WINDOW_SIZE, 2**31 - 1)) + h2.window_update(0, 2**31 - 1 - 65_535)
"""From a client that takes everything as far as HTTP/2 goes."""

AT_ONCE = 900
"""Calls of one connection at the same time: fewer than a server allows."""

OPEN = 'quickpulse_connections_open{transport="grpc"}'


def last_of(count: int) -> bytes:
    """How the trailers of the last of so many calls begin."""
    return bytes((h2.HEADERS, h2.END_HEADERS | h2.END_STREAM)) + (2 * count - 1).to_bytes(4, "big")


async def talk_until(
    sock: socket.socket, sent: bytes, is_enough: Callable[[Answers], bool], seconds: float = 10.0
) -> tuple[Answers, bool]:
    """Send bytes, and read until there is enough or the server ends the connection; gives also whether it did.

    What takes too long is given as it is.
    """
    loop, received = asyncio.get_running_loop(), bytearray()

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(sock, sent)

    async def read() -> bool:
        while not is_enough(Answers(bytes(received))):
            try:
                part = await loop.sock_recv(sock, 1 << 18)
            except ConnectionError:
                return True
            if not part:
                return True
            received.extend(part)
        return False

    sending = asyncio.ensure_future(send())
    try:
        has_ended = await asyncio.wait_for(read(), seconds)
    except asyncio.TimeoutError:
        has_ended = False
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return Answers(bytes(received)), has_ended


async def storm(sock: socket.socket, sent: bytes, mark: bytes = MARK, seconds: float = 60.0) -> bytes:
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


class HostileHttp2TestCase(RealServerTestCase):
    """One server and one good client for a test."""

    bystanders = 1
    """Connections that stay open: the good client's."""

    def begin(self, mode: str, *arguments: str) -> None:
        """Start both."""
        self.server = self.serve(mode, "--grpc-server", "native", *arguments)
        self.good = GoodClient(self.server.port, mode, self.server.process.pid)
        self.addCleanup(self.good.end)
        self.rss_before, self.worst_rss = self.rss(), 0

    def rss(self) -> int:
        """The server's memory, in bytes."""
        return resident_bytes(self.server.process.pid)

    async def take(self, count: int) -> bytes:
        """Take so many at once; gives the answers as they came."""
        sock = await wire.connect(self.server.port)
        with sock:
            asked = h2.pipelined(CONSUME, h2.message(b""), count)
            return await storm(sock, OPENING + OPEN_WINDOWS + asked, last_of(count))

    async def take_all(self) -> list[bytes]:
        """Take all that is in, but for what the good client puts in meanwhile."""
        taken: list[bytes] = []
        for _ in range(await self.server.metric("quickpulse_queue_depth") // AT_ONCE + 1):
            bodies = h2.Answers(await self.take(AT_ONCE)).bodies
            taken += [h2.payload_in(bodies[stream]) for stream in sorted(bodies) if bodies[stream][5:6] == b"\x0a"]
        return taken

    async def take_acknowledged(self) -> list[bytes]:
        """Take all; what the good client had acknowledged before is there, once."""
        acknowledged = (await self.lap("before all is taken"))["acknowledged"]
        taken = await self.take_all()
        good = [payload for payload in taken if payload.startswith(b"good ")]
        self.assertEqual(good[:acknowledged], [b"good %d" % number for number in range(acknowledged)])
        return taken

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
        while (counts := await self.server.metrics())[OPEN] != self.bystanders:
            if time.monotonic() > deadline:
                raise AssertionError(f"{counts[OPEN]} connections are open")
            await asyncio.sleep(POLL_SECONDS)
        return counts

    async def finish(self, name: str) -> dict[str, float]:
        """After the attack: its connections are gone, memory is back, what was acknowledged is accounted for."""
        counts = await self.counts_without_attackers()
        lap = await self.lap(name)
        counts = await self.server.metrics()
        enqueued, dequeued = counts["quickpulse_enqueue_total"], counts["quickpulse_dequeue_total"]
        self.assertLess(lap["worst_seconds"], GOOD_SECONDS, name)
        self.assertGreaterEqual(enqueued, lap["acknowledged"], name)
        self.assertEqual(counts["quickpulse_queue_depth"], enqueued - dequeued, name)
        self.assertNotIn("Traceback", self.server.log())
        return counts

    def assert_memory_is_back(self, kept: int = KEPT_BYTES) -> None:
        """After an attack, with what it left in the queue taken out."""
        self.assertLess(self.rss() - self.rss_before, kept)
