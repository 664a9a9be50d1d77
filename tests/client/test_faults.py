"""A client whose server is restarted, paused, slow, refusing or full, or whose neighbour is killed.

Nothing hangs without a timeout, nothing is lost without a word, and what a client holds is bounded: in asyncio's and
the blocking face, by gRPC and by WebSocket; with both servers for gRPC where the server has a part in it.
"""

from __future__ import annotations

import asyncio
import atexit
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import ConnectionLost, Options, PartialPublish, Timeout
from quickpulse.errors import MessageTooLarge, QueueFull, RequestTooLarge
from quickpulse.requests import Policy
from tests.client.faces import AioFace, BlockingFace
from tests.client.proxy import Proxy, free_port
from tests.client.worlds import run
from tests.interop.server import ROOT, RealServer

PATIENT = Options(timeout_seconds=30.0, first_backoff_seconds=0.02, max_backoff_seconds=0.1)
HASTY = Options(timeout_seconds=0.5, first_backoff_seconds=0.02, max_backoff_seconds=0.1)

BUFFERED = 100

WAIT_SECONDS = 60.0


@cache
def server_of(grpc_server: str) -> RealServer:
    """One of this process for all that need not end it."""
    server = RealServer("all", "--grpc-server", grpc_server)
    atexit.register(server.end)
    return server


@cache
def small_server() -> RealServer:
    """One whose frames and messages are short."""
    server = RealServer("all", "--max-batch-bytes", "70000", "--max-message-bytes", "1000")
    atexit.register(server.end)
    return server


async def until(condition: Any) -> None:
    """Wait for it; the test's own time is the bound."""
    while not condition():
        await asyncio.sleep(0.01)


class Faults:
    """The stories; a class below says of whom."""

    face: Any
    scheme = "quickpulse"
    port_name = "gRPC"
    grpc_server = "native"

    def url(self, server: RealServer) -> str:
        """Where it is reached by this scheme."""
        return self.url_of(server.ports[self.port_name])

    def url_of(self, port: int) -> str:
        """Likewise, of a port."""
        return f"{self.scheme}://127.0.0.1:{port}"

    @property
    def name(self) -> str:
        """Of a queue that only this test has."""
        return self.id().removeprefix("tests.client.")

    def start(self, *arguments: str) -> RealServer:
        """A server that ends with the test."""
        server = RealServer("all", "--grpc-server", self.grpc_server, *arguments)
        self.addCleanup(server.end)
        return server

    async def connect(self, url: str, options: Options = PATIENT, wait_seconds: float = 30.0) -> Any:
        """A client of this face."""
        return await self.face.connect(url, options, wait_seconds)

    async def all_in(self, queue: Any) -> list[bytes]:
        """Everything that is ready, taken out."""
        payloads: list[bytes] = []
        while batch := await self.face.do(queue.take_many, 10_000):
            payloads += batch
        return payloads


class ServerFaults(Faults):
    """A server that ends, is stopped, or takes nobody."""

    def restart(self, stop: Callable[[RealServer], None]) -> None:
        """Who waits goes on waiting, and what was not confirmed is sent to the next server, once."""
        flag = "--ws-port" if self.port_name == "WebSocket" else "--grpc-port"
        port = free_port()
        first = self.start(flag, str(port))
        face = self.face

        async def main() -> None:
            client = await self.connect(self.url_of(port))
            queue, other = client.queue("q"), client.queue("other")
            before = client.server.instance
            await face.do(queue.publish, b"before")
            waiting = asyncio.ensure_future(face.do(other.get, wait_seconds=60))
            out = await face.publisher(queue)
            await asyncio.to_thread(stop, first)
            publishing = asyncio.ensure_future(face.do(queue.publish, b"meanwhile"))
            expected = [b"%d" % number for number in range(20)]
            for payload in expected:
                await face.do(out.publish, payload)
            await asyncio.to_thread(self.start, flag, str(port))
            await publishing
            await face.do(out.close)
            await face.do(other.publish, b"at last")
            message = await waiting
            self.assertEqual(message.payload, b"at last")
            payloads = await self.all_in(queue)
            payloads.remove(b"meanwhile")
            self.assertEqual(payloads, expected)
            self.assertNotEqual(client.server.instance, before)
            await face.do(client.close)

        run(main())

    def test_killed_and_started_again(self) -> None:
        """Without a word, so that what is on its way is in the dark."""
        self.restart(RealServer.end)

    def test_restarted_in_order(self) -> None:
        """It says that it ends, and takes nothing new."""

        def stop(server: RealServer) -> None:
            server.signal(signal.SIGTERM)
            server.process.wait(WAIT_SECONDS)

        self.restart(stop)

    def test_gone(self) -> None:
        """Requests end in time, and say why; so do a publisher and the client."""
        server = self.start()
        face = self.face

        async def main() -> None:
            client = await self.connect(self.url(server), HASTY)
            queue = client.queue("q")
            await face.do(queue.publish, b"x")
            server.end()
            for ask in (face.do(queue.publish, b"y"), face.do(queue.get, wait_seconds=0.1), face.do(queue.stats)):
                with self.assertRaises((Timeout, ConnectionLost)) as caught:
                    await ask
                self.assertIn("connection", str(caught.exception))
            out = await face.publisher(queue)
            await face.do(out.publish, b"z")
            with self.assertRaises((PartialPublish, Timeout)):
                await face.do(client.close)
            with self.assertRaises(ConnectionLost):
                await self.connect(self.url(server), HASTY, 0.3)

        run(main())

    def test_paused(self) -> None:
        """Requests end in time; when the server goes on, so does the client, and nothing is there twice."""
        server = server_of(self.grpc_server)
        face = self.face

        async def main() -> None:
            client = await self.connect(self.url(server), HASTY)
            queue = client.queue(self.name)
            await face.do(queue.publish, b"before")
            server.signal(signal.SIGSTOP)
            try:
                with self.assertRaises(Timeout):
                    await face.do(queue.publish, b"meanwhile")
                with self.assertRaises(Timeout):
                    await face.do(queue.get, wait_seconds=0.1)
            finally:
                server.signal(signal.SIGCONT)
            after = await self.connect(self.url(server))
            await face.do(after.queue(self.name).publish, b"after")
            payloads = await self.all_in(after.queue(self.name))
            self.assertEqual(payloads, sorted(set(payloads), key=payloads.index))
            self.assertLessEqual({b"after", b"meanwhile"}, set(payloads))
            await face.do(client.close)
            await face.do(after.close)

        run(main())

    def test_publisher_of_a_paused_server(self) -> None:
        """It takes what its buffer holds, and no more; then it goes on, and all arrives in its order."""
        server = server_of(self.grpc_server)
        face = self.face
        taken: list[bytes] = []

        async def publish(out: Any) -> None:
            for number in range(5 * BUFFERED):
                await face.do(out.publish, b"%d" % number)
                taken.append(b"%d" % number)
            await face.do(out.close)

        async def main() -> None:
            client, hasty = await self.connect(self.url(server)), await self.connect(self.url(server), HASTY)
            queue = client.queue(self.name)
            out = await face.publisher(queue, max_buffered_messages=BUFFERED)
            server.signal(signal.SIGSTOP)
            try:
                publishing = asyncio.ensure_future(publish(out))
                await until(lambda: len(taken) >= BUFFERED)
                with self.assertRaises(Timeout):
                    await face.do(hasty.queue(self.name).stats)
                self.assertEqual(len(taken), BUFFERED)
            finally:
                server.signal(signal.SIGCONT)
            await publishing
            self.assertEqual(await self.all_in(queue), taken)
            await face.do(client.close)
            await face.do(hasty.close)

        run(main())


class RefusingFaults(Faults):
    """A server that has as many connections as it may."""

    def test_no_room(self) -> None:
        """It is an error in time; where there is time, the client gets in when another one has gone."""
        server = self.start("--max-connections", "1")
        face = self.face

        async def main() -> None:
            first = await self.connect(self.url(server))
            with self.assertRaises(ConnectionLost) as caught:
                await self.connect(self.url(server), HASTY, 0.3)
            self.assertIn("does not answer", str(caught.exception))
            connecting = asyncio.ensure_future(self.connect(self.url(server)))
            await face.do(first.queue("q").publish, b"x")
            await face.do(first.close)
            second = await connecting
            self.assertEqual(await self.all_in(second.queue("q")), [b"x"])
            await face.do(second.close)

        run(main())


class QueueFaults(Faults):
    """A line that is slow, a queue that is full, a neighbour that dies."""

    def test_slow(self) -> None:
        """A few bytes at a time, both ways: everything arrives once and in its order."""
        server = server_of(self.grpc_server)
        face = self.face
        expected = [b"%d" % number * 20 for number in range(400)]

        async def main() -> None:
            proxy = Proxy(server.ports[self.port_name])
            proxy.trickle_bytes = 700
            client = await self.connect(self.url_of(await proxy.start()))
            queue = client.queue(self.name)
            out = await face.publisher(queue)
            for payload in expected:
                await face.do(out.publish, payload)
            await face.do(out.close)
            messages = await face.subscription(queue, credit_messages=50)
            for payload in expected:
                message = await face.next(messages)
                self.assertEqual(message.payload, payload)
                message.ack()
            await face.do(messages.close)
            counts = (await face.do(queue.stats)).counts
            self.assertEqual((counts["published"], counts["acked"]), (len(expected), len(expected)))
            await face.do(client.close)
            await proxy.stop()

        run(main())

    def test_line_that_stands_still(self) -> None:
        """It is an error in time; when it moves again nothing is there twice."""
        server = server_of(self.grpc_server)
        face = self.face

        async def main() -> None:
            proxy = Proxy(server.ports[self.port_name])
            client = await self.connect(self.url_of(await proxy.start()), HASTY)
            queue = client.queue(self.name)
            proxy.flows.clear()
            with self.assertRaises(Timeout):
                await face.do(queue.publish, bytes(100_000))
            proxy.flows.set()
            patient = await self.connect(self.url(server))
            await face.do(queue.publish, b"after")
            payloads = await self.all_in(patient.queue(self.name))
            self.assertEqual([len(each) for each in payloads if each != b"after"], [100_000])
            self.assertEqual(payloads.count(b"after"), 1)
            await face.do(client.close)
            await face.do(patient.close)
            await proxy.stop()

        run(main())

    def test_full(self) -> None:
        """Each way of publishing says what was not accepted, and which; with room it goes on."""
        face = self.face

        async def main() -> None:
            client = await self.connect(self.url(server_of(self.grpc_server)))
            queue = client.queue(self.name)
            await face.do(queue.set_policy, Policy(capacity=3))
            with self.assertRaises(PartialPublish) as caught:
                await face.do(queue.publish_many, [b"%d" % number for number in range(5)])
            self.assertEqual([each.index for each in caught.exception.rejections], [3, 4])
            with self.assertRaises(QueueFull):
                await face.do(queue.publish, b"x")
            with self.assertRaises(PartialPublish) as caught:
                await face.do(queue.publish_many, [b"x"], atomic=True)
            self.assertEqual(caught.exception.accepted, 0)
            out = await face.publisher(queue)
            for _ in range(10):
                await face.do(out.publish, b"x")
            with self.assertRaises(PartialPublish) as caught:
                await face.do(out.close)
            self.assertEqual((caught.exception.accepted, caught.exception.rejected), (0, 10))
            message = await face.do(queue.get)
            await face.do(message.ack, confirm=True)
            await face.do(queue.publish, b"3")
            self.assertEqual(await self.all_in(queue), [b"1", b"2", b"3"])
            await face.do(client.close)

        run(main())

    def test_short_frames(self) -> None:
        """More than a frame holds goes in several; what no frame holds is told, by its place."""
        face = self.face
        first = [b"%04d" % number * 100 for number in range(1_000)]
        second = [bytes(900)] * 300

        async def main() -> None:
            client = await self.connect(self.url(small_server()))
            queue = client.queue(self.name)
            out = await face.publisher(queue)
            for payload in first:
                await face.do(out.publish, payload)
            await face.do(out.close)
            with self.assertRaises(PartialPublish) as caught:
                await face.do(queue.publish_many, [*second, bytes(1_001), bytes(100_000)])
            kinds = [(each.index, type(each.error)) for each in caught.exception.rejections]
            self.assertEqual(kinds, [(300, MessageTooLarge), (301, RequestTooLarge)])
            with self.assertRaises(RequestTooLarge):
                await face.do(queue.publish_many, second, atomic=True)
            payloads = await self.all_in(queue)
            self.assertTrue(payloads == [*first, *second])
            await face.do(client.close)

        run(main())

    def test_cut_while_the_server_takes_back(self) -> None:
        """What was pushed and nobody has seen comes again, once: it can be settled."""
        server = self.start()
        face = self.face

        async def main() -> None:
            proxy = Proxy(server.ports[self.port_name])
            client = await self.connect(self.url_of(await proxy.start()))
            queue = client.queue(self.name)
            await face.do(queue.publish_many, [b"0", b"1", b"2", b"3"])
            messages = await face.subscription(queue, release_on_disconnect=True)
            payloads = []
            for _ in range(4):
                message = await face.next(messages)
                await face.do(message.ack, confirm=True)
                payloads.append(message.payload)
                if not message.payload.strip(b"01"):
                    proxy.cut()
                    await face.do(queue.stats)  # whose reply comes by another connection
            self.assertEqual(payloads, [b"0", b"1", b"2", b"3"])
            await face.do(messages.close)
            await face.do(client.close)
            await proxy.stop()

        run(main())

    def test_killed_consumer(self) -> None:
        """What it held comes back after the lease, counted; what it had acked does not."""
        url = self.url(server_of(self.grpc_server))
        face = self.face

        async def main() -> None:
            client = await self.connect(url)
            queue = client.queue(self.name)
            await face.do(queue.publish_many, [b"%d" % number for number in range(10)])
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", face.consumer, url, self.name), cwd=ROOT, stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            self.assertEqual(await process.stdout.readline(), b"leased\n")
            process.kill()
            await process.wait()
            came = []
            while len(came) < 7:
                came += list(await face.do(queue.pull, max_messages=10, wait_seconds=30))
            self.assertEqual([each.payload for each in came], [b"%d" % number for number in range(3, 10)])
            self.assertEqual({each.delivery_count for each in came}, {2})
            for each in came:
                each.ack()
            await face.do(client.close)

        run(main())


class AioGrpcTests(ServerFaults, RefusingFaults, QueueFaults, SynchronousTestCase):
    """asyncio, gRPC."""

    face = AioFace()


class AioWebSocketTests(ServerFaults, RefusingFaults, QueueFaults, SynchronousTestCase):
    """asyncio, WebSocket."""

    face = AioFace()
    scheme, port_name = "quickpulse+ws", "WebSocket"


class AioGrpcioTests(ServerFaults, SynchronousTestCase):
    """asyncio, the other server for gRPC."""

    face = AioFace()
    grpc_server = "grpcio"


class BlockingGrpcTests(ServerFaults, RefusingFaults, QueueFaults, SynchronousTestCase):
    """Blocking, gRPC."""

    face = BlockingFace()


class BlockingWebSocketTests(ServerFaults, RefusingFaults, QueueFaults, SynchronousTestCase):
    """Blocking, WebSocket."""

    face = BlockingFace()
    scheme, port_name = "quickpulse+ws", "WebSocket"
