"""SIGTERM under full load: what was acknowledged is accounted for to the last message, and the process ends in time."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections import Counter
from typing import Any

import grpc
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from tests.interop import wire
from tests.interop.ledger import Ledger, payload
from tests.interop.server import RealServer, RealServerTestCase

LOAD_SECONDS = 0.5

DEADLINE_SECONDS = 8.0
"""--drain-seconds, as it is without being given."""

SLACK_SECONDS = 3.0
"""For a busy machine: from the end of the drain to the end of the process."""

ENDLESS = 10**9

ONE_EACH = [("grpc.use_local_subchannel_pool", 1)]
"""Channels to the same target share a connection otherwise."""


class AccountTestCase(RealServerTestCase):
    """Four producers and four consumers at full speed, and then the signal."""

    timeout = 60

    async def end_under_load(self, server: RealServer, clients: list[Any]) -> tuple[int, int]:
        """Let the clients run, send SIGTERM, await them and the server's end; what it says was left over."""
        tasks = [asyncio.ensure_future(client) for client in clients]
        await asyncio.sleep(LOAD_SECONDS)
        server.signal()
        began = time.monotonic()
        left = await self.assert_drained(server, DEADLINE_SECONDS + SLACK_SECONDS)
        self.assertLess(time.monotonic() - began, SLACK_SECONDS, "well-behaved clients do not hold it up")
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        return left

    def account(self, ledger: Ledger, left: tuple[int, int]) -> None:
        """Every acknowledged message was received, or was in the queue, or was on its way."""
        self.assertEqual(ledger.faults[:5], [])
        self.assertGreater(len(ledger.received), 100)
        self.assertLessEqual(len(ledger.missing), sum(left))


class WsAccountTests(AccountTestCase):
    """WebSocket."""

    def test_ws(self):
        """All are told 1012 behind their last answer; nothing is on its way, so the account is exact."""
        server, ledger, codes = self.serve("ws"), Ledger(), Counter()

        async def produce(number):
            """Write without waiting for answers, at most a window ahead; read to the end."""
            async with connect(f"ws://{server.target}/ws/publish", proxy=None) as socket:
                window, answers = asyncio.Semaphore(200), 0

                async def write():
                    for sequence in range(ENDLESS):
                        await window.acquire()
                        await socket.send(payload(number, sequence))

                writer = asyncio.ensure_future(write())
                try:
                    while True:
                        self.assertEqual(await socket.recv(), "ok")
                        ledger.accepted(number, answers)
                        answers += 1
                        window.release()
                except ConnectionClosed as closed:
                    codes[closed.rcvd.code if closed.rcvd else None] += 1
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)

        async def consume(number):
            name = f"consumer {number}"
            async with connect(f"ws://{server.target}/ws/consume", proxy=None) as socket:
                try:
                    while True:
                        asked = [ledger.asks(name) for _ in range(50)]
                        for _ in asked:
                            await socket.send(b"")
                        for then in asked:
                            answer = await socket.recv()
                            if isinstance(answer, bytes):
                                ledger.got(name, answer)
                            else:
                                ledger.was_empty(name, then)
                except ConnectionClosed:
                    while True:  # what had arrived before the Close is still to be read
                        try:
                            answer = await socket.recv()
                        except ConnectionClosed as closed:
                            codes[closed.rcvd.code if closed.rcvd else None] += 1
                            return
                        if isinstance(answer, bytes):
                            ledger.got(name, answer)

        async def talk():
            left, undelivered = await self.end_under_load(server, [f(n) for n in range(4) for f in (produce, consume)])
            self.account(ledger, (left, undelivered))
            self.assertEqual(codes, {1012: 8})
            self.assertEqual(undelivered, 0)
            self.assertEqual(len(ledger.acknowledged), len(ledger.received) + left)

        return self.story(talk())


class GrpcAccountBehaviour:
    """gRPC in both modes."""

    def unary(self) -> tuple[RealServer, Ledger, Counter, list[Any]]:
        """Clients of mode grpc, each with ten calls under way, that end with the first error."""
        server, ledger, codes = self.serve("grpc"), Ledger(), Counter()

        async def produce(stub, number):
            try:
                for sequence in range(ENDLESS):
                    await stub.Produce(ProduceRequest(payload=payload(number, sequence)))
                    ledger.accepted(number, sequence)
            except grpc.aio.AioRpcError as error:
                codes[error.code()] += 1

        async def consume(stub, name):
            try:
                while True:
                    then = ledger.asks(name)
                    answer = await stub.Consume(ConsumeRequest())
                    if answer.error:
                        ledger.was_empty(name, then)
                    else:
                        ledger.got(name, answer.payload)
            except grpc.aio.AioRpcError as error:
                codes[error.code()] += 1

        async def client(number):
            async with grpc.aio.insecure_channel(server.target, options=ONE_EACH) as channel:
                stub = MessageQueueStub(channel)
                calls = [produce(stub, number * 10 + call) for call in range(10)]
                calls += [consume(stub, f"consumer {number}.{call}") for call in range(10)]
                await asyncio.gather(*calls)

        return server, ledger, codes, [client(number) for number in range(4)]

    def test_grpc(self):
        """A call either took effect and was answered, or ended with an error; no message is on its way."""
        server, ledger, codes, clients = self.unary()

        async def talk():
            left = await self.end_under_load(server, clients)
            self.account(ledger, left)
            if self.grpc_server == "native":
                self.assertEqual(len(ledger.acknowledged), len(ledger.received) + left[0])
            self.assertEqual(sum(codes.values()), 80)
            self.assertLessEqual(set(codes), {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})

        return self.story(talk())

    def test_grpc_is_unavailable(self):
        """Every call that was not served is told UNAVAILABLE, which clients know to try elsewhere."""
        server, _ledger, codes, clients = self.unary()

        async def talk():
            await self.end_under_load(server, clients)
            self.assertEqual(codes, {grpc.StatusCode.UNAVAILABLE: 80})

        return self.story(talk())

    def test_grpc_stream(self):
        """An answer acknowledges its payload: each one whose answer came is accounted for; UNAVAILABLE at the end."""
        server, ledger, codes = self.serve("grpc_stream"), Ledger(), Counter()

        def requests(number):
            for sequence in range(ENDLESS):
                ledger.asks(f"producer {number}")
                yield StreamMessage(payload=payload(number, sequence))

        def produce(number):
            with grpc.insecure_channel(server.target, options=ONE_EACH) as channel:
                answers = 0
                call = MessageQueueStub(channel).StreamMessages(requests(number))
                try:
                    for answer in call:
                        ledger.accepted(number, answers)
                        ledger.got(f"producer {number}", answer.payload)
                        answers += 1
                except grpc.RpcError as error:
                    codes[error.code()] += 1

        async def consume(number):
            async with grpc.aio.insecure_channel(server.target, options=ONE_EACH) as channel:
                call = MessageQueueStub(channel).StreamMessages()
                name = f"consumer {number}"
                try:
                    while True:
                        then = ledger.asks(name)
                        await call.write(StreamMessage())
                        answer = await call.read()
                        if answer.error:
                            ledger.was_empty(name, then)
                        else:
                            ledger.got(name, answer.payload)
                except grpc.aio.AioRpcError as error:
                    # grpcio's coroutine client says INTERNAL for itself when the end meets a write
                    codes["a consumer's", error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)] += 1
                except asyncio.InvalidStateError:
                    codes["a consumer's", True] += 1

        async def talk():
            clients = [asyncio.to_thread(produce, number) for number in range(4)]
            left = await self.end_under_load(server, [*clients, *(consume(number) for number in range(4))])
            self.account(ledger, left)
            self.assertEqual(codes, {grpc.StatusCode.UNAVAILABLE: 4, ("a consumer's", True): 4})

        return self.story(talk())


class NativeAccountTests(GrpcAccountBehaviour, AccountTestCase):
    """Our own server: nothing that was taken is lost, and the account is exact."""

    grpc_server = "native"

    def account(self, ledger: Ledger, left: tuple[int, int]) -> None:
        """Nothing was on its way."""
        super().account(ledger, left)
        self.assertEqual(left[1], 0)


class GrpcioAccountTests(GrpcAccountBehaviour, AccountTestCase):
    """grpcio's."""

    grpc_server = "grpcio"


class WsSlowReaderTests(RealServerTestCase):
    """Clients with many unread answers when the signal comes."""

    timeout = 60

    async def slow_consumer(self, server: RealServer, messages: int, size: int, asked: int) -> socket.socket:
        """Fill the queue, then ask `asked` times on a connection with a small buffer that reads nothing.

        When this is done the server has written what the way to the client holds, and waits.
        """
        async with connect(f"ws://{server.target}/ws/publish", proxy=None) as publisher:
            for at in range(0, messages, 100):
                for number in range(at, at + 100):
                    await publisher.send(number.to_bytes(4, "big") * (size // 4))
                for _ in range(100):
                    self.assertEqual(await publisher.recv(), "ok")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.setblocking(False)
        self.addCleanup(sock.close)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        await loop.sock_sendall(sock, wire.upgrade("/ws/consume") + wire.frame(b"") * asked)
        before, depth = None, messages
        while depth != before or depth == messages:
            await asyncio.sleep(0.2)
            before, depth = depth, await server.metric("quickpulse_queue_depth")
        self.assertGreater(depth, 0, "the server took more than the client reads")
        return sock

    def test_ws_slow_reader_gets_everything(self):
        """Megabytes of answers, read from the signal on: all to what was read, in order, then Close 1012; none is lost.

        More requests are under way than the server reads: they must not make its kernel answer with a reset.
        """
        server = self.serve("ws")

        async def talk():
            sock = await self.slow_consumer(server, 2000, 10_000, 60_000)
            server.signal()
            await asyncio.sleep(0.3)
            loop, data, at_end = asyncio.get_running_loop(), bytearray(), False
            while not at_end:
                part = await asyncio.wait_for(loop.sock_recv(sock, 1 << 16), 10)
                data += part
                if not part:
                    self.fail("the server ended the connection before its Close was answered")
                at_end = b"server is restarting" in data[-200:]
            await loop.sock_sendall(sock, wire.frame(b"\x03\xf4", wire.CLOSE))
            self.assertEqual(await wire.read_all(sock), b"")
            sock.close()
            answers = list(wire.read_frames(bytes(data[data.index(b"\r\n\r\n") + 4 :])))
            opcode, close = answers.pop()
            self.assertEqual((opcode, close), (wire.CLOSE, b"\x03\xf4server is restarting"))
            messages = [answer for opcode, answer in answers if opcode == wire.BINARY]
            self.assertEqual(messages, [number.to_bytes(4, "big") * 2500 for number in range(len(messages))])
            self.assertLessEqual({a for o, a in answers if o == wire.TEXT}, {b"error: queue is empty"})
            left = await self.assert_drained(server, DEADLINE_SECONDS + SLACK_SECONDS)
            self.assertEqual(left, (2000 - len(messages), 0))

        return self.story(talk())

    def test_ws_reader_that_never_reads(self):
        """It is cut at the deadline, status 0; what it had not received is counted, and what it had can be read."""
        server = self.serve("ws", "--drain-seconds", "1.5")

        async def talk():
            sock = await self.slow_consumer(server, 2000, 10_000, 2000)
            server.signal()
            left, undelivered = await self.assert_drained(server, 1.5 + SLACK_SECONDS)
            data = await wire.read_all(sock)
            received = [a for o, a in wire.read_frames(data[data.index(b"\r\n\r\n") + 4 :]) if o == wire.BINARY]
            self.assertEqual(received, [number.to_bytes(4, "big") * 2500 for number in range(len(received))])
            self.assertGreater(left, 0)
            self.assertGreaterEqual(len(received) + left + undelivered, 2000)
            self.assertLess(len(received) + left + undelivered, 2000 + 32)  # two slices may be on either side

        return self.story(talk())


class GrpcSlowReaderBehaviour:
    """The same over a stream."""

    timeout = 60

    def test_reader_that_wakes_up(self):
        """300 answers unread at the signal, all there after the server's end, then UNAVAILABLE."""
        server = self.serve("grpc_stream")

        async def talk():
            async with grpc.aio.insecure_channel(server.target) as channel:
                call = MessageQueueStub(channel).StreamMessages()
                for sequence in range(300):
                    await call.write(StreamMessage(payload=payload(1, sequence)))
                await server.until_metric("quickpulse_dequeue_total", 300)
                server.signal()
                self.assertEqual(await self.assert_drained(server, DEADLINE_SECONDS + SLACK_SECONDS), (0, 0))
                for sequence in range(300):
                    self.assertEqual((await call.read()).payload, payload(1, sequence))
                with self.assertRaises(grpc.aio.AioRpcError) as raised:
                    await call.read()
                self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
                self.assertEqual(raised.exception.details(), "server is draining")

        return self.story(talk())

    def test_reader_that_never_reads(self):
        """Flow control stops the server in the middle: cut at the deadline, and what is in its hands is counted."""
        server = self.serve("grpc_stream", "--drain-seconds", "2")

        async def talk():
            async with grpc.aio.insecure_channel(server.target) as channel:
                call = MessageQueueStub(channel).StreamMessages()

                async def write():
                    for sequence in range(4000):
                        await call.write(StreamMessage(payload=sequence.to_bytes(4, "big") * 2500))

                writing = asyncio.ensure_future(write())
                await asyncio.sleep(1)
                server.signal()
                left, undelivered = await self.assert_drained(server, 2 + SLACK_SECONDS)
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
                self.assertEqual(left, 0)
                self.assertGreater(undelivered, 0)
                self.assertLessEqual(undelivered, self.most_in_hand)

        return self.story(talk())


class NativeSlowReaderTests(GrpcSlowReaderBehaviour, RealServerTestCase):
    """Our own server."""

    grpc_server = "native"

    most_in_hand = 128
    """A slice of messages, and what waits for the window."""


class GrpcioSlowReaderTests(GrpcSlowReaderBehaviour, RealServerTestCase):
    """grpcio's."""

    grpc_server = "grpcio"

    most_in_hand = 1


class SecondSignalTestCase(RealServerTestCase):
    """Who cannot wait."""

    timeout = 60

    async def interrupt(self, server: RealServer, first: int, second: int) -> None:
        """Two signals while a client holds the drain up."""
        server.signal(first)
        await asyncio.sleep(0.5)
        self.assertIsNone(server.process.poll(), "the drain waits for the client")
        server.signal(second)
        self.assertEqual(await server.ended(2), 1)
        self.assertIn("again: stopping at once", server.log())


class WsSecondSignalTests(SecondSignalTestCase):
    """WebSocket."""

    def test_ws(self):
        """Status 1, at once, though a client that never reads had eight seconds."""
        server = self.serve("ws")

        async def talk():
            sock = await wire.connect(server.port)
            with sock:
                await asyncio.get_running_loop().sock_sendall(sock, wire.upgrade("/ws/consume"))
                await server.until_metric('quickpulse_connections_open{transport="ws"}', 1)
                await self.interrupt(server, signal.SIGTERM, signal.SIGTERM)

        return self.story(talk())


class GrpcSecondSignalBehaviour:
    """gRPC."""

    def test_grpc_stream(self):
        """Likewise, whichever of the two signals it is."""
        server = self.serve("grpc_stream")

        async def talk():
            async with grpc.aio.insecure_channel(server.target) as channel:
                call = MessageQueueStub(channel).StreamMessages()

                async def write():
                    for _ in range(2000):
                        await call.write(StreamMessage(payload=bytes(10_000)))

                writing = asyncio.ensure_future(write())
                await asyncio.sleep(1)
                await self.interrupt(server, signal.SIGTERM, signal.SIGINT)
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

        return self.story(talk())


class NativeSecondSignalTests(GrpcSecondSignalBehaviour, SecondSignalTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioSecondSignalTests(GrpcSecondSignalBehaviour, SecondSignalTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
