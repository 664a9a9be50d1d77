"""SIGTERM while unary pulls wait, and while replies are on their way to a client that does not read them yet.

In a real process, and the same over both gRPC servers.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc

from quickpulse.requests import Batch, GetQueue, Publish, Pull, Settle
from quickpulse.wire.v1.table import BY_KIND
from tests.interop import http2_bytes as h2
from tests.interop.hostile import slow_connection
from tests.interop.hostile_http2 import OPEN_WINDOWS, OPENING
from tests.interop.server import POLL_SECONDS, RealServerTestCase
from tests.transports.grpc_v1_peers import GrpcPeer

MARK = b"<a message>"

MESSAGE = MARK.ljust(65_536, b"\0")

MESSAGES = 320
"""20 MiB in all: more than kernels keep for a connection."""

CALLS = 400
"""Pulls that wait: more than there are messages."""

WAITS = Pull(("q",), wait_ms=600_000)

DRAIN_SECONDS, SLACK_SECONDS = 4.0, 20.0


class Behaviour:
    """What a client of unary calls sees of the end."""

    def test_pulls_that_wait(self) -> Any:
        """Each is answered at once, with nothing; then the server ends."""
        server = self.serve("all")

        async def talk() -> None:
            async with grpc.aio.insecure_channel(server.target) as channel:
                peer = GrpcPeer(channel)
                waiting = [asyncio.ensure_future(peer.ask(WAITS)) for _ in range(50)]
                await self.until_waiting(peer, 50)
                server.signal()
                self.assertEqual({len(reply.batch.payloads) for reply in await asyncio.gather(*waiting)}, {0})
            self.assertEqual(await self.assert_drained(server, SLACK_SECONDS), (0, 0))

        return self.story(asyncio.wait_for(talk(), 60))

    def test_who_holds_leases_settles_them(self) -> Any:
        """The server waits for that, and no longer."""
        server = self.serve("all", "--drain-seconds", "60")

        async def talk() -> None:
            async with grpc.aio.insecure_channel(server.target) as channel:
                peer = GrpcPeer(channel)
                await peer.ask(Publish("q", Batch((b"a", b"b"))))
                receipt = (await peer.ask(Pull(("q",), 2))).first_receipt
                server.signal()
                while (await server.get("/readyz"))[0] == 200:
                    await asyncio.sleep(POLL_SECONDS)
                for _ in range(40):  # it does not hurry
                    await asyncio.sleep(POLL_SECONDS)
                    self.assertEqual((await peer.ask(GetQueue("q"))).leased, 2)
                reply = await peer.ask(Settle("q", ((receipt, receipt + 1),)))
                self.assertEqual(reply.settled, 2)
                self.assertEqual(await self.assert_drained(server, SLACK_SECONDS), (0, 0))

        return self.story(asyncio.wait_for(talk(), 60))

    def test_replies_on_their_way(self) -> Any:
        """What was leased before the signal arrives, though it is read after it; every call is answered."""
        server = self.serve("all", "--drain-seconds", str(DRAIN_SECONDS))

        async def talk() -> None:
            async with grpc.aio.insecure_channel(server.target) as channel:
                peer = GrpcPeer(channel)
                with await slow_connection(server.port) as sock:
                    row = BY_KIND[Pull]
                    calls = h2.pipelined(row.grpc_path, h2.message(row.request.serialize(WAITS)), CALLS)
                    await asyncio.get_running_loop().sock_sendall(sock, OPENING + OPEN_WINDOWS + calls)
                    await self.until_waiting(peer, CALLS)
                    for _ in range(MESSAGES // 40):
                        await peer.ask(Publish("q", Batch((MESSAGE,) * 40)))
                    held = await self.leased_at_rest(peer)
                    server.signal()
                    while (await server.get("/readyz"))[0] == 200:
                        await asyncio.sleep(POLL_SECONDS)
                    answers = h2.Answers(await self.read_to_the_end(sock))
                self.assertEqual(sum(body.count(MARK) for body in answers.bodies.values()), held)
                self.assertEqual({answers.grpc_status(1 + 2 * at) for at in range(CALLS)}, {0})
            left = await self.assert_drained(server, DRAIN_SECONDS + SLACK_SECONDS)
            self.assertEqual(left, (MESSAGES, 0))

        return self.story(asyncio.wait_for(talk(), 90))

    async def until_waiting(self, peer: GrpcPeer, pulls: int) -> None:
        """Look at the queue until so many wait for it."""
        await peer.ask(Pull(("q",)))  # which makes the queue
        while (await peer.ask(GetQueue("q"))).waiters != pulls:
            await asyncio.sleep(POLL_SECONDS)

    async def leased_at_rest(self, peer: GrpcPeer) -> int:
        """How many are leased, when that changes no more."""
        before = -1
        while before != (now := (await peer.ask(GetQueue("q"))).leased):
            before = now
            await asyncio.sleep(0.2)
        return before

    async def read_to_the_end(self, sock: socket.socket) -> bytes:
        """All that comes until the server closes."""
        received = bytearray()
        while part := await asyncio.get_running_loop().sock_recv(sock, 1 << 22):
            received += part
        return bytes(received)


class NativeTests(Behaviour, RealServerTestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioTests(Behaviour, RealServerTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"
