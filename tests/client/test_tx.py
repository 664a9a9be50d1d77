"""Twisted's client where it is not as the others: reactors, Deferreds, and being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase

from quickpulse.client.options import Options
from quickpulse.client.tx import Client, Queue, connect, run
from tests.client.certificates import WHY_NOT
from tests.client.servers import shared_server
from tests.client.test_blocking import python
from tests.client.test_dialing import certificate, tls_server
from tests.serving import in_loop

ON_A_REACTOR = """
import sys
if sys.argv[2] == "epoll":
    from twisted.internet import epollreactor as kind
elif sys.argv[2] == "poll":
    from twisted.internet import pollreactor as kind
else:
    from twisted.internet import asyncioreactor as kind
from quickpulse.client.tx import connect
assert "twisted.internet.reactor" not in sys.modules
kind.install()
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

async def main(reactor):
    async with await connect(sys.argv[1]) as client:
        queue = client.queue("tx." + sys.argv[2])
        async with queue.publisher() as out:
            for number in range(3000):
                await out.publish(b"%d" % number)
        got = []
        async with queue.subscribe(credit_messages=100) as messages:
            async for message in messages:
                got.append(message.payload)
                message.ack()
                if len(got) == 3000:
                    break
        assert got == [b"%d" % number for number in range(3000)]
        stats = await queue.stats()
        assert (stats.ready, stats.leased, stats.counts["acked"]) == (0, 0, 3000), stats
    print(type(reactor).__name__)

react(lambda reactor: ensureDeferred(main(reactor)))
"""


class ReactorTests(TestCase):
    """Any will do."""

    def url(self) -> str:
        """Of the tests' server."""
        return f"quickpulse://{shared_server().target}"

    def test_epoll(self) -> None:
        """Twisted's own on Linux; importing the client has chosen none."""
        self.assertEqual(python(ON_A_REACTOR, self.url(), "epoll"), "EPollReactor")

    def test_poll(self) -> None:
        """Another one."""
        self.assertEqual(python(ON_A_REACTOR, self.url(), "poll"), "PollReactor")

    def test_asyncio(self) -> None:
        """Asyncio's loop under Twisted."""
        self.assertEqual(python(ON_A_REACTOR, self.url(), "asyncio"), "AsyncioSelectorReactor")


class TxTestCase(TestCase):
    """A client and a queue for each test."""

    timeout = 60

    def setUp(self) -> Deferred[Any]:
        """Connect."""

        def connected(client: Client) -> None:
            self.client = client
            self.queue: Queue = client.queue(self.id().rpartition("tests.client.")[2])
            self.addCleanup(client.close)

        return connect(f"quickpulse://{shared_server().target}", reactor=reactor).addCallback(connected)


class DeferredTests(TxTestCase):
    """Not everybody has coroutines."""

    def test_callbacks(self) -> Deferred[Any]:
        """Each verb gives a Deferred."""
        publishing = self.queue.publish(b"one", headers={"a": "b"})
        publishing.addCallback(self.assertEqual, 1)
        publishing.addCallback(lambda _: self.queue.get(wait_seconds=10))

        def got(message: Any) -> Any:
            self.assertEqual((message.payload, message.headers), (b"one", {"a": "b"}))
            return message.ack(confirm=True)

        publishing.addCallback(got)
        publishing.addCallback(lambda _: self.queue.stats())
        return publishing.addCallback(lambda info: self.assertEqual((info.ready, info.leased), (0, 0)))

    @inlineCallbacks
    def test_generators(self) -> Any:
        """`yield` instead of `await`; a batch at a time instead of `async for`."""
        out = self.queue.publisher()
        confirmation = yield out.publish(b"x")
        yield confirmation.result()
        yield out.flush()
        yield out.close()
        messages = self.queue.subscribe()
        batch = yield messages.next_batch()
        self.assertEqual(list(batch.payloads), [b"x"])
        batch.ack()
        yield messages.close()
        info = yield self.queue.stats()
        self.assertEqual(info.counts["acked"], 1)

    def test_publishing_from_many(self) -> Deferred[Any]:
        """A confirmation that many wait for comes to each; one that is cancelled does not take it from the others."""

        async def story() -> None:
            out = self.queue.publisher()
            confirmation = await out.publish(b"x")
            first, second, third = (confirmation.result() for _ in range(3))
            second.cancel()
            await self.assertFailure(second, CancelledError)
            await first
            await third
            await confirmation
            await out.close()

        return run(story())


class CancelTests(TxTestCase):
    """A Deferred that is cancelled."""

    def test_get(self) -> Deferred[Any]:
        """What comes later is not for it."""

        async def story() -> None:
            waiting = self.queue.get(wait_seconds=50)
            await self.queue.publish_many([])  # the server knows of it
            waiting.cancel()
            await self.assertFailure(waiting, CancelledError)
            await self.queue.publish(b"x")
            message = await self.queue.get(wait_seconds=10)
            assert message is not None
            self.assertEqual(message.delivery_count, 1)
            await message.ack(confirm=True)

        return run(story())

    def test_consume(self) -> Deferred[Any]:
        """By a callback even: they end where they wait, and their messages go back as if nobody had seen them."""

        async def story() -> None:
            await self.queue.publish_many([b"0", b"1", b"2"])
            begun: Deferred[None] = Deferred()
            never: list[Deferred[None]] = []

            def work(message: Any) -> Deferred[None]:
                never.append(Deferred())
                if len(never) == 2:
                    begun.callback(None)
                return never[-1]

            consuming = self.queue.consume(work, concurrency=2)
            await begun
            consuming.cancel()
            await self.assertFailure(consuming, CancelledError)
            batch = await self.queue.pull(max_messages=5, wait_seconds=10)
            self.assertEqual([(each.payload, each.delivery_count) for each in batch], [(b"0", 1), (b"1", 1), (b"2", 1)])
            await batch.ack(confirm=True)

        return run(story())

    def test_connect(self) -> Deferred[Any]:
        """Nothing is left of it."""

        async def story() -> None:
            listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
            port = listener.sockets[0].getsockname()[1]
            connecting = connect(f"quickpulse://127.0.0.1:{port}", reactor=reactor)
            connecting.cancel()
            await self.assertFailure(connecting, CancelledError).asFuture(asyncio.get_running_loop())
            listener.close()

        return in_loop(story())

    def test_connect_by_tls(self) -> Deferred[Any]:
        """Nothing is left of it either, while the server lets it wait for TLS."""

        async def story() -> None:
            begun, ended = asyncio.Event(), asyncio.Event()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                begun.set()
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                ended.set()
                writer.close()

            listener = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = listener.sockets[0].getsockname()[1]
            options = Options(connect_seconds=600)
            connecting = connect(f"quickpulses://127.0.0.1:{port}", reactor=reactor, options=options, wait_seconds=600)
            await begun.wait()
            connecting.cancel()
            await self.assertFailure(connecting, CancelledError).asFuture(asyncio.get_running_loop())
            await asyncio.wait_for(ended.wait(), 20)
            listener.close()

        return in_loop(story())


class TlsTests(TestCase):
    """TLS of the standard library over Twisted's connections."""

    timeout = 60
    skip = WHY_NOT or None

    def test_grpc(self) -> Deferred[Any]:
        """As with asyncio."""
        return run(self.use("quickpulses", "gRPC"))

    def test_websocket(self) -> Deferred[Any]:
        """Likewise."""
        return run(self.use("quickpulse+wss", "WebSocket"))

    async def use(self, scheme: str, port: str) -> None:
        """Long messages, there and back."""
        url = f"{scheme}://localhost:{tls_server().ports[port]}"
        options = Options(ca_file=certificate().certificate)
        async with await connect(url, reactor=reactor, options=options) as client:
            queue = client.queue(f"tx.{port}")
            payloads = [bytes([number]) * 100_000 for number in range(20)]
            await queue.publish_many(payloads)
            self.assertEqual(await queue.take_many(20, wait_seconds=10), payloads)

    def test_who_is_not_trusted(self) -> Deferred[Any]:
        """It is an error at once, with the reason."""

        async def story() -> None:
            url = f"quickpulses://localhost:{tls_server().ports['gRPC']}"
            with self.assertRaises(Exception) as caught:
                await connect(url, reactor=reactor, wait_seconds=50)
            self.assertEqual(caught.exception.code, "TLS_FAILED")

        return run(story())
