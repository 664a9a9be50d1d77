"""What tests of hostile HTTP/2 share: a server with a good client beside it, and the ledger that must balance after."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.hostile import HostileTestCase, is_over, storm
from tests.interop.http2_bytes import Answers

GOOD_SECONDS = 5.0
"""Longest time that the good client may wait for one answer: generous, as the machine may be busy with other tests."""

MARK = b"the end."
"""In a PING behind an attack: its answer says that the connection lives, and that all was read."""

SERVICE = "/messagequeue.MessageQueue"

PRODUCE, CONSUME, STREAM = f"{SERVICE}/Produce", f"{SERVICE}/Consume", f"{SERVICE}/StreamMessages"

OPENING = h2.PREFACE + h2.settings()

OPEN_WINDOWS = h2.settings((h2.INITIAL_WINDOW_SIZE, 2**31 - 1)) + h2.window_update(0, 2**31 - 1 - 65_535)
"""From a client that takes everything as far as HTTP/2 goes."""

AT_ONCE = 900
"""Calls of one connection at the same time: fewer than a server allows."""


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

    has_ended = await is_over(asyncio.ensure_future(send()), read(), seconds)
    return Answers(bytes(received)), has_ended


class HostileHttp2TestCase(HostileTestCase):
    """One native server and one good client for a test."""

    def begin(self, mode: str, *arguments: str) -> None:
        """Start both."""
        self.start(mode, "--grpc-server", "native", *arguments)

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
        """How the good client was served since the last time; no answer took very long."""
        lap = await super().lap(name)
        self.assertLess(lap["worst_seconds"], GOOD_SECONDS, name)
        return lap
