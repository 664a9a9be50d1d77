"""A server on the test's own reactor."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from quickpulse.client import aio
from quickpulse.errors import NotFound
from quickpulse.testing import TwistedServer
from tests.serving import in_loop


class TwistedServerTests(TestCase):
    """Server and client in one loop."""

    timeout = 60

    async def start(self, **settings: object) -> TwistedServer:
        """Ended after the test."""
        server = TwistedServer(reactor, **settings)  # type: ignore[arg-type]
        self.addCleanup(server.stop)
        self.assertIs(await server.start(), server)
        return server

    async def test_messages(self) -> None:
        """From a client to the test."""

        async def use() -> None:
            async with await aio.connect(server.url) as client:
                await client.queue("jobs").publish(b"one")
                message = await client.queue("jobs").get()
                assert message is not None
                self.assertEqual((message.payload, server.stats("jobs").leased), (b"one", 1))
                await message.ack(confirm=True)

        server = await self.start()
        await in_loop(use())
        self.assertEqual(server.payloads("jobs"), [])
        self.assertEqual(server.stats("jobs").counts["acked"], 1)

    async def test_faults(self) -> None:
        """A connection that is cut after the publish: it is stored once."""

        async def use() -> None:
            async with await aio.connect(server.url) as client:
                await client.queue("jobs").publish(b"one")

        server = await self.start()
        server.faults.drop_after("publish")
        await in_loop(use())
        self.assertEqual(server.payloads("jobs"), [b"one"])

    async def test_time(self) -> None:
        """It stands still until it is moved."""

        async def use() -> None:
            async with await aio.connect(server.url) as client:
                jobs = client.queue("jobs")
                await jobs.publish(b"one", ttl_seconds=10)
                server.advance(11)
                self.assertIsNone(await jobs.get())

        server = await self.start(still_clock=True)
        await in_loop(use())

    async def test_stopped(self) -> None:
        """The ports are free, and nothing is there any more; to stop it again is nothing."""
        server = await self.start()
        port = int(server.http_url.rpartition(":")[2])
        await server.stop()
        await server.stop()
        again = await self.start(http_port=port)
        self.assertEqual(again.http_url, f"http://127.0.0.1:{port}")
        self.assertRaises(NotFound, again.stats, "jobs")

    async def test_modes(self) -> None:
        """The URL is that of what is served."""
        for mode, scheme in (("ws", "quickpulse+ws"), ("grpc", "quickpulse"), ("grpc_stream", "quickpulse")):
            server = await self.start(mode=mode)
            self.assertEqual(server.url.partition("://")[0], scheme)
        self.assertRaises(ValueError, lambda: server.ws_url)
