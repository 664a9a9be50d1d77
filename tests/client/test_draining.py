"""A server that is to end: its clients settle what they hold, and what it refuses waits for the next one, or fails.

Every face tells the same story to one server, each over every transport, at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.trial.unittest import TestCase

from quickpulse.client import Options, PartialPublish, Timeout
from tests.client.peers import AioPeer, BlockingPeer, ClientPeer, TxPeer
from tests.client.proxy import free_port
from tests.interop.server import POLL_SECONDS, RealServer
from tests.serving import in_loop

STORY_SECONDS = 120.0

LONG = "100"
"""Of a drain, in seconds: no test waits so long."""

REFUSED = 'quickpulse_v1_errors_total{reason="draining"}'

PATIENT = Options(timeout_seconds=40, first_backoff_seconds=0.02, max_backoff_seconds=0.1)

HASTY = Options(timeout_seconds=2, first_backoff_seconds=0.02, max_backoff_seconds=0.1)


class Waiting:
    """One client, what it holds, and what it asks of a server that drains.

    :param peer: the client.
    :param name: of its queues.
    """

    def __init__(self, peer: ClientPeer, name: str) -> None:
        self.peer = peer
        self.queue, self.other, self.third = (peer.client.queue(f"{name}{end}") for end in ("", ".other", ".third"))

    async def prepare(self) -> None:
        """Hold two messages, wait for another one, subscribe."""
        call = self.peer.call
        await call(self.queue.publish_many, [b"0", b"1"])
        self.batch = await call(self.queue.pull, max_messages=2)
        self.messages = await self.peer.made(self.third.subscribe)
        self.getting = asyncio.ensure_future(call(self.other.get, wait_seconds=40))
        while sum(each.waiters for each in await call(self.peer.client.list_queues, f"{self.queue.name}.")) < 2:
            await asyncio.sleep(POLL_SECONDS)

    def ask(self) -> None:
        """What will be refused."""
        self.publishing = asyncio.ensure_future(self.peer.call(self.queue.publish, b"refused"))
        self.pulling = asyncio.ensure_future(self.peer.call(self.third.get))

    async def settle(self) -> None:
        """One way, and the other."""
        await self.peer.call(self.batch[0].ack, confirm=True)
        self.batch[1].ack()

    async def see(self) -> list[Any]:
        """What comes of it all, from the next server."""
        call = self.peer.call
        sequence, pulled = await self.publishing, await self.pulling
        await call(self.other.publish, b"at last")
        await call(self.third.publish, b"pushed")
        got, pushed = await self.getting, await self.peer.next(self.messages)
        stored = await call(self.queue.take_many, 10)
        await self.peer.close()
        return [sequence, pulled, got.payload, pushed.payload, stored, self.peer.client.lost_leases]


class Stories:
    """Below is said over which server for gRPC, and over which schemes."""

    timeout = 150

    grpc_server: str
    schemes: dict[str, str]

    def start(self: Any, *arguments: str) -> RealServer:
        """A server that ends with the test."""
        server = RealServer("all", "--grpc-server", self.grpc_server, "--drain-seconds", LONG, *arguments)
        self.addCleanup(server.end)
        return server

    async def peers(self, server: RealServer, options: Options) -> list[ClientPeer]:
        """A client of each face, over each scheme."""
        found = []
        for scheme, listener in self.schemes.items():
            for kind in (AioPeer, TxPeer, BlockingPeer):
                peer = kind()
                peer.scheme = scheme
                found.append(await peer.open(f"127.0.0.1:{server.ports[listener]}", options))
        return found

    def story(self, play: Callable[[], Awaitable[None]]) -> Any:
        """What a test returns."""
        return in_loop(asyncio.wait_for(play(), STORY_SECONDS))

    def test_next_server(self: Any) -> Any:
        """Acks are taken; then the server ends, and the next one does what was refused, and serves who waits."""
        ports = ("--grpc-port", str(free_port()), "--ws-port", str(free_port()))
        first = self.start(*ports)

        async def play() -> None:
            peers = await self.peers(first, PATIENT)
            waiting = [Waiting(peer, f"q{number}") for number, peer in enumerate(peers)]
            await asyncio.gather(*[each.prepare() for each in waiting])
            first.signal()
            await until_draining(first)
            for each in waiting:
                each.ask()
            while await first.metric(REFUSED) < 3 * len(waiting):
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.gather(*[each.settle() for each in waiting])
            self.assertEqual(await first.ended(STORY_SECONDS), 0, first.log())
            self.assertEqual(first.left_over(), (0, 0))
            await asyncio.to_thread(self.start, *ports)
            expected = [1, None, b"at last", b"pushed", [b"refused"], 0]
            for seen in await asyncio.gather(*[each.see() for each in waiting]):
                self.assertEqual(seen, expected)

        return self.story(play)

    def test_no_other_server(self: Any) -> Any:
        """Whatever is refused fails when its time is up, and says why; acks are taken all the while."""
        server = self.start()

        async def fail(peer: ClientPeer, queue: Any, message: Any, out: Any) -> None:
            call = peer.call
            confirmation = await call(out.publish, b"buffered")
            refused = (
                call(queue.publish, b"x"),
                call(queue.publish_many, [b"x"]),
                call(queue.get),
                call(queue.take_many, 1),
                peer.confirmed(confirmation),
            )
            for error in await asyncio.gather(*refused, return_exceptions=True):
                self.assertIsInstance(error, Timeout)
                self.assertIn("draining", str(error))
            with self.assertRaises(PartialPublish):
                await call(out.close)
            await call(message.ack, confirm=True)
            await peer.close()

        async def play() -> None:
            holding = []
            for number, peer in enumerate(await self.peers(server, HASTY)):
                queue = peer.client.queue(f"q{number}")
                await peer.call(queue.publish, b"held")
                holding.append((peer, queue, await peer.call(queue.get), await peer.made(queue.publisher)))
            server.signal()
            await until_draining(server)
            await asyncio.gather(*[fail(*each) for each in holding])
            self.assertEqual(await server.ended(STORY_SECONDS), 0, server.log())
            self.assertEqual(server.left_over(), (0, 0))

        return self.story(play)


async def until_draining(server: RealServer) -> None:
    """Until it says so."""
    while (await server.get("/readyz"))[0] != 503:
        await asyncio.sleep(POLL_SECONDS)


class NativeTests(Stories, TestCase):
    """The server for gRPC that is our own, and WebSocket."""

    grpc_server = "native"
    schemes = {"quickpulse": "gRPC", "quickpulse+ws": "WebSocket"}


class GrpcioTests(Stories, TestCase):
    """grpcio's."""

    grpc_server = "grpcio"
    schemes = {"quickpulse": "gRPC"}
