"""The gRPC port under hostile input: each gets its clear error, and the queue loses nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from tests.interop import wire
from tests.interop.server import RealServer, RealServerTestCase, allow_many_connections
from tests.interop.wire import http2_frame

SERVICE = "/messagequeue.MessageQueue"

CONNECTIONS = 1000

CALLS = 1000

KEPT = [b"kept", "também".encode(), bytes(2000)]
"""In the queue before the attack, acknowledged."""


WHOLE = b"\x00\x00\x00\x00\x07\x0a\x05whole"
"""A gRPC message with this payload; a ProduceRequest as well as a StreamMessage."""

HALF = b"\x00\x00\x00\x27\x10" + bytes(9_000)
"""The beginning of one of 10,000 bytes."""


def fill(server: RealServer, messages: list[bytes]) -> None:
    """Put messages in, in order, by calls."""
    with grpc.insecure_channel(server.target) as channel:
        stub = MessageQueueStub(channel)
        for message in messages:
            assert stub.Produce(ProduceRequest(payload=message), timeout=10).success


def take_all(server: RealServer) -> list[bytes]:
    """Take all that is in, by calls."""
    taken = []
    with grpc.insecure_channel(server.target) as channel:
        stub = MessageQueueStub(channel)
        while not (answer := stub.Consume(ConsumeRequest(), timeout=10)).error:
            taken.append(answer.payload)
    assert answer.error == "queue is empty", answer
    return taken


class HostileCallsTests(RealServerTestCase):
    """Well-formed HTTP/2 with calls that are not right; the connection lives through all of them."""

    timeout = 60

    async def error(self, call: Any) -> tuple[str, str]:
        """Status and details of a call that fails."""
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()
        raise AssertionError("the call did not fail")

    def test_unary(self):
        """Garbage, unknown methods, the other mode's call, too much payload: one connection, and it serves on."""
        server = self.serve("grpc")

        async def talk():
            await asyncio.to_thread(fill, server, KEPT)
            async with grpc.aio.insecure_channel(server.target) as channel:
                for method in ("Produce", "Consume"):
                    for garbage in (b"\x0a\xff\xff", b"\xff" * 100, b"\x0a\x05ab", b"\x0b"):
                        told = await self.error(channel.unary_unary(f"{SERVICE}/{method}")(garbage))
                        self.assertEqual(told, ("INTERNAL", "the request is not a valid protobuf message"), garbage)
                for path in (f"{SERVICE}/Peek", "/nobody.Knows/This", "/", f"{SERVICE}/"):
                    told = await self.error(channel.unary_unary(path)(b""))
                    self.assertEqual(told[0], "UNIMPLEMENTED", path)
                stub = MessageQueueStub(channel)
                for size in (1_048_577, 1_500_000):
                    told = await self.error(stub.Produce(ProduceRequest(payload=bytes(size))))
                    self.assertEqual(told[0], "RESOURCE_EXHAUSTED", size)
                told = await self.error(stub.StreamMessages(iter([StreamMessage()])).read())
                self.assertEqual(told, ("UNIMPLEMENTED", "StreamMessages is not implemented in unary mode"))
                large = stub.Produce(ProduceRequest(payload=b"x"), metadata=[("x-large", "x" * 30_000)])
                self.assertEqual((await self.error(large))[0], "RESOURCE_EXHAUSTED")
                self.assertTrue((await stub.Produce(ProduceRequest(payload=b"after"))).success)
            self.assertEqual(await asyncio.to_thread(take_all, server), [*KEPT, b"after"])
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    def test_stream(self):
        """The answers to what came before a fault arrive before its error; others' streams go on."""
        server = self.serve("grpc_stream")
        too_long = StreamMessage(payload=bytes(1_048_577)).SerializeToString()
        faults = {b"\x0a\xff\xff": "INTERNAL", too_long: "RESOURCE_EXHAUSTED"}

        async def talk():
            async with grpc.aio.insecure_channel(server.target) as channel:
                bystander = MessageQueueStub(channel).StreamMessages()
                for fault, status in faults.items():
                    call = channel.stream_stream(f"{SERVICE}/StreamMessages")()
                    for number in range(50):
                        await call.write(StreamMessage(payload=b"%d" % number).SerializeToString())
                    await call.write(fault)
                    for number in range(50):
                        self.assertEqual(StreamMessage.FromString(await call.read()).payload, b"%d" % number)
                    self.assertEqual((await self.error(call.read()))[0], status)
                    await bystander.write(StreamMessage(payload=b"hello"))
                    self.assertEqual((await bystander.read()).payload, b"hello")
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())


class CancelledCallsTests(RealServerTestCase):
    """Callers that change their minds."""

    timeout = 60

    def test_cancelled_consumes(self):
        """A thousand at once: none is delivered twice, what was not taken is still there, and the server serves on.

        A message that was taken for a call whose cancellation the server had not seen yet is gone: at most once.
        """
        server = self.serve("grpc")

        async def receive(call: Any) -> bytes | None:
            try:
                return (await call).payload
            except asyncio.CancelledError:
                return None

        async def talk():
            sent = [b"%4d" % number for number in range(CALLS)]
            await asyncio.to_thread(fill, server, sent)
            async with grpc.aio.insecure_channel(server.target) as channel:
                stub = MessageQueueStub(channel)
                calls = [stub.Consume(ConsumeRequest()) for _ in sent]
                receiving = [asyncio.ensure_future(receive(call)) for call in calls]
                await asyncio.sleep(0.02)
                for call in calls:
                    call.cancel()
                received = [payload for payload in await asyncio.gather(*receiving) if payload is not None]
            await asyncio.sleep(0.5)  # the server is still at what it did not know to be cancelled
            counts = await server.metrics()
            left = await asyncio.to_thread(take_all, server)
            self.assertEqual(len(left), counts["quickpulse_queue_depth"])
            self.assertEqual(counts["quickpulse_dequeue_total"], CALLS - len(left))
            self.assertEqual(len(received) + len(left), len({*received, *left}), "nothing came out twice")
            self.assertLessEqual({*received, *left}, set(sent))
            self.assertEqual(left, sorted(left))
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    def test_cancelled_produces(self):
        """An acknowledged message is there; one of a cancelled call is there once or not at all."""
        server = self.serve("grpc")

        async def produce(stub: MessageQueueStub, payload: bytes, seconds: float) -> bytes | None:
            call = stub.Produce(ProduceRequest(payload=payload))
            asyncio.get_running_loop().call_later(seconds, call.cancel)
            try:
                return payload if (await call).success else None
            except asyncio.CancelledError:
                return None

        async def talk():
            async with grpc.aio.insecure_channel(server.target) as channel:
                stub = MessageQueueStub(channel)
                calls = [produce(stub, b"%4d" % n, n % 40 / 100) for n in range(CALLS)]
                acknowledged = [payload for payload in await asyncio.gather(*calls) if payload is not None]
            await asyncio.sleep(0.3)
            taken = await asyncio.to_thread(take_all, server)
            self.assertEqual(len(taken), len(set(taken)))
            self.assertLessEqual(set(acknowledged), set(taken))

        return self.story(talk())

    def test_cancelled_streams(self):
        """Two hundred streams cancelled with answers under way: no answer comes twice, and the queue goes on."""
        server = self.serve("grpc_stream")

        async def stream(stub: MessageQueueStub, number: int) -> list[bytes]:
            call = stub.StreamMessages()
            got = []
            for sequence in range(20):
                await call.write(StreamMessage(payload=b"%d.%d" % (number, sequence)))
            for _ in range(number % 20):
                got.append((await call.read()).payload)
            call.cancel()
            return got

        async def talk():
            async with grpc.aio.insecure_channel(server.target) as channel:
                stub = MessageQueueStub(channel)
                streams = await asyncio.gather(*(stream(stub, number) for number in range(200)))
                got = [payload for payloads in streams for payload in payloads]
                self.assertEqual(len(got), len(set(got)))
                self.assertLessEqual(set(got), {b"%d.%d" % (n, s) for n in range(200) for s in range(20)})
                requests = iter([StreamMessage(payload=b"after"), StreamMessage()])
                answers = [answer async for answer in stub.StreamMessages(requests)]
            counts = await server.metrics()
            self.assertEqual(counts["quickpulse_enqueue_total"], counts["quickpulse_dequeue_total"])
            self.assertEqual([answer.payload or answer.error for answer in answers], [b"after", "queue is empty"])
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())


class HostileBytesTests(RealServerTestCase):
    """What is no gRPC, on plain sockets."""

    timeout = 60

    def test_garbage(self):
        """Other protocols and broken HTTP/2 end their own connection; a call meanwhile is served."""
        hello = wire.PREFACE + wire.SETTINGS
        attacks = {
            "zeros": bytes(1000),
            "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "WebSocket": wire.upgrade("/ws/publish"),
            "a broken preface": wire.PREFACE[:-1] + b"x" * 50,
            "a frame that is too long": hello + http2_frame(0, 0, 1, b"", says=(1 << 24) - 1) + bytes(100),
            "HEADERS on stream 0": hello + http2_frame(1, 4, 0, b"\x82"),
            "broken HPACK": hello + http2_frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
            "a window of 2**31": hello + http2_frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2,
            "no SETTINGS": wire.PREFACE + http2_frame(6, 0, 0, bytes(9)),
        }
        server = self.serve("grpc")

        async def attack(sent: bytes) -> None:
            sock = await wire.connect(server.port)
            with sock:
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                sock.shutdown(socket.SHUT_WR)
                await wire.read_all(sock)

        async def talk():
            await asyncio.to_thread(fill, server, KEPT)
            for name, sent in attacks.items():
                try:
                    await attack(sent)
                except asyncio.TimeoutError:
                    self.fail(f"{name}: the connection stays open")
            self.assertEqual(await asyncio.to_thread(take_all, server), KEPT)
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    async def vanish(self, server: RealServer, whole: bytes, half: bytes, before: int) -> None:
        """A thousand connections, each with a whole message and half of another, that end by RST and by FIN."""
        allow_many_connections()

        async def begin(number: int) -> socket.socket:
            sock = await wire.connect(server.port)
            sent = wire.PREFACE + wire.SETTINGS + whole + half[: len(half) - number * 8]
            await asyncio.get_running_loop().sock_sendall(sock, sent)
            return sock

        sockets = await asyncio.gather(*(begin(number) for number in range(CONNECTIONS)))
        await server.until_metric("quickpulse_enqueue_total", before + CONNECTIONS, 20)
        for number, sock in enumerate(sockets):
            (wire.vanish if number % 2 else socket.socket.close)(sock)

    def test_producers_that_vanish(self):
        """The whole messages are in, the halves are not, and the server serves on."""
        server = self.serve("grpc")
        path = f"{SERVICE}/Produce"
        whole = wire.grpc_headers(path, 1) + http2_frame(0, 1, 1, WHOLE)
        half = wire.grpc_headers(path, 3) + http2_frame(0, 1, 3, HALF, says=10_005)

        async def talk():
            await asyncio.to_thread(fill, server, KEPT)
            await self.vanish(server, whole, half, len(KEPT))
            self.assertEqual(await asyncio.to_thread(take_all, server), [*KEPT, *[b"whole"] * CONNECTIONS])
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    def test_streams_that_vanish(self):
        """Each whole message was exchanged, the halves were not, and the next stream finds the queue empty."""
        server = self.serve("grpc_stream")
        whole = wire.grpc_headers(f"{SERVICE}/StreamMessages", 1) + http2_frame(0, 0, 1, WHOLE)
        half = http2_frame(0, 0, 1, HALF, says=10_005)

        async def talk():
            await self.vanish(server, whole, half, 0)
            async with grpc.aio.insecure_channel(server.target) as channel:
                requests = iter([StreamMessage(), StreamMessage(payload=b"after"), StreamMessage()])
                answers = [answer async for answer in MessageQueueStub(channel).StreamMessages(requests)]
            self.assertEqual([a.payload or a.error for a in answers], ["queue is empty", b"after", "queue is empty"])
            self.assertEqual(await server.metric("quickpulse_enqueue_total"), CONNECTIONS + 1)
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())
