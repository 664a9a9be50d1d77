"""The native server as a service: what its connections share, its port and its drain over real sockets."""

from __future__ import annotations

import asyncio

import grpc
from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse.interfaces import ITransportService
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue
from quickpulse.settings import Settings
from quickpulse.transports.grpc_native import GrpcFactory, NativeGrpcServer
from tests.serving import ServiceTestCase, error_of, in_loop, until
from tests.transports.grpc_conversation import (
    CONSUME,
    NOTHING,
    PRODUCE,
    GrpcConversation,
    exchange,
    produce,
)


class FactoryTests(SynchronousTestCase):
    """What connections share."""

    def test_one_queue(self) -> None:
        """What comes in on one goes out on another, and each has its own HPACK state."""
        one = GrpcConversation().open()
        other = GrpcConversation(factory=one.factory).open()
        one.call(PRODUCE, produce(b"a"))
        self.assertEqual(other.call(CONSUME, NOTHING).payloads, [b"a"])
        self.assertEqual(len(one.factory.connections), 2)
        one.lose()
        self.assertEqual(one.factory.connections, {other.protocol})
        self.assertEqual(other.call(CONSUME, NOTHING).errors, ["queue is empty"])

    def test_the_table(self) -> None:
        """Each mode knows all methods of v0, health and reflection."""
        for mode in ("grpc", "grpc_stream"):
            table = GrpcFactory(Clock(), MessageQueue(1), Traffic(), Settings(mode)).table
            self.assertEqual(
                {path.decode().split("/")[1] for path in table},
                {
                    "messagequeue.MessageQueue",
                    "grpc.health.v1.Health",
                    "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection",
                },
            )

    def test_a_drain_of_several(self) -> None:
        """It is over when the last has ended."""
        one = GrpcConversation("grpc_stream").open()
        other = GrpcConversation(factory=one.factory).open()
        response = one.begin()
        one.send(exchange(b"a"))
        over: list[None] = []
        one.factory.drain(8.0).addCallback(over.append)
        for it in (one, other):
            it.read()
            it.answer_pings()
        self.assertEqual(response.status, 14)
        other.lose()
        self.assertEqual(over, [])
        one.lose()
        self.assertEqual(over, [None])
        self.assertEqual(one.clock.getDelayedCalls(), [])

    def test_who_stays_is_cut(self) -> None:
        """After the time that a drain has; what was under way is counted."""
        it = GrpcConversation().open()
        it.queue.enqueue(bytes(100_000))
        it.call(CONSUME, NOTHING)
        over: list[None] = []
        it.factory.drain(3.0).addCallback(over.append)
        it.advance(2.9)
        self.assertNotIn("abort", it.transport.events)
        it.advance(0.2)
        self.assertIn("abort", it.transport.events)
        it.lose()
        self.assertEqual((over, it.undelivered), ([None], 1))


class ServiceTests(ServiceTestCase):
    """Over sockets."""

    grpc_server = "native"

    def test_the_service_holds_it(self) -> Deferred:
        """The MultiService contains the listener, in either mode."""
        for mode in ("grpc", "grpc_stream"):
            service = self.start(mode)
            self.assertIn(service.transport, list(IServiceCollection(service)))
            self.assertIsInstance(service.transport, NativeGrpcServer)
            self.assertTrue(verifyObject(ITransportService, service.transport))
        return service.transport.when_listening()

    def test_a_cancelled_stream_is_forgotten(self) -> Deferred:
        """Its client went away; the server has nothing to drain."""
        service = self.start("grpc_stream")
        stub = self.stub(service)

        async def talk():
            call = stub.StreamMessages()
            await call.write(StreamMessage(payload=b"a"))
            await call.read()
            [connection] = service.transport.factory.connections
            self.assertEqual(len(connection._http2.streams), 1)
            call.cancel()
            await until(lambda: not connection._http2.streams)

        return in_loop(talk())

    def test_connections_are_counted(self) -> Deferred:
        """One for a channel, gone with it."""
        service = self.start("grpc")
        stub = self.stub(service)

        async def talk():
            await stub.Produce(ProduceRequest(payload=b"a"))
            counts = service.traffic.of("grpc")
            self.assertEqual((counts.connections_open, counts.connections_total), (1, 1))
            await self.channels[-1].close()
            await until(lambda: counts.connections_open == 0)

        return in_loop(talk())

    def test_calls_under_way_when_the_drain_begins(self) -> Deferred:
        """Are served; the next ones find nobody."""
        service = self.start("grpc")
        stub = self.stub(service)

        async def talk():
            await stub.Produce(ProduceRequest(payload=b"a"))
            calls = [asyncio.ensure_future(stub.Consume(ConsumeRequest())) for _ in range(20)]
            await asyncio.sleep(0)
            await service.lifecycle.drain().asFuture(asyncio.get_running_loop())
            done = await asyncio.gather(*calls, return_exceptions=True)
            for one in done:
                if isinstance(one, grpc.aio.AioRpcError):
                    self.assertEqual(one.code(), grpc.StatusCode.UNAVAILABLE)
            taken = sum(getattr(one, "payload", b"") == b"a" for one in done)
            self.assertEqual(taken + service.queue.depth, 1)
            self.assertEqual(service.traffic.undelivered_total, 0)
            error = await error_of(stub.Consume(ConsumeRequest(), timeout=5))
            self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)

        return in_loop(talk())
