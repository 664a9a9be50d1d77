"""gRPC in both modes, through grpcio's own client: each behaviour over the native server and over grpcio's."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from twisted.internet.defer import Deferred

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse.transports.grpc_contract import SERVICE
from tests.serving import ServiceTestCase, error_of, in_loop, until


class UnaryBehaviour:
    """Mode grpc."""

    def test_produce_and_consume(self) -> Deferred:
        """In and out, in order, an empty payload like any other; then empty, with status OK."""
        stub = self.stub(self.start("grpc"))

        async def talk():
            for payload in (b"a", b"", b"\xff" * 1000):
                answer = await stub.Produce(ProduceRequest(payload=payload))
                self.assertEqual((answer.success, answer.error), (True, ""))
            taken = [(await stub.Consume(ConsumeRequest())) for _ in range(4)]
            self.assertEqual([t.payload for t in taken], [b"a", b"", b"\xff" * 1000, b""])
            self.assertEqual([t.error for t in taken], ["", "", "", "queue is empty"])

        return in_loop(talk())

    def test_full(self) -> Deferred:
        """Status OK, success false, and the text; accepted again after one was taken."""
        service = self.start("grpc", capacity=1)
        stub = self.stub(service)

        async def talk():
            await stub.Produce(ProduceRequest(payload=b"a"))
            answer = await stub.Produce(ProduceRequest(payload=b"b"))
            self.assertEqual((answer.success, answer.error), (False, "queue is full"))
            await stub.Consume(ConsumeRequest())
            self.assertTrue((await stub.Produce(ProduceRequest(payload=b"b"))).success)
            self.assertEqual(service.traffic.refused_total["queue_full"], 1)

        return in_loop(talk())

    def test_the_limit(self) -> Deferred:
        """Exactly the limit passes; one byte more is RESOURCE_EXHAUSTED, also far more, and the connection lives."""
        service = self.start("grpc", max_message_bytes=100_000)
        stub = self.stub(service)

        async def talk():
            self.assertTrue((await stub.Produce(ProduceRequest(payload=b"x" * 100_000))).success)
            for size in (100_001, 100_900, 500_000):
                error = await error_of(stub.Produce(ProduceRequest(payload=b"x" * size)))
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            self.assertTrue((await stub.Produce(ProduceRequest(payload=b"a"))).success)
            self.assertEqual(service.queue.depth, 2)

        return in_loop(talk())

    def test_the_other_modes_call(self) -> Deferred:
        """UNIMPLEMENTED, with the exact text."""
        service = self.start("grpc")
        stub = self.stub(service)

        async def talk():
            error = await error_of(stub.StreamMessages(iter([StreamMessage(payload=b"a")])).read())
            self.assertEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED)
            self.assertEqual(error.details(), "StreamMessages is not implemented in unary mode")
            self.assertEqual(service.traffic.refused_total["unimplemented"], 1)

        return in_loop(talk())

    def test_garbage_protobuf(self) -> Deferred:
        """INTERNAL, as other servers say it; nothing is stored."""
        service = self.start("grpc")
        channel = self.channel(service)

        async def talk():
            for method in ("Produce", "Consume"):
                call = channel.unary_unary(f"/{SERVICE}/{method}")
                error = await error_of(call(b"\x0a\xff\xff"))
                self.assertEqual(error.code(), grpc.StatusCode.INTERNAL)
                self.assertIn("protobuf", error.details())
            self.assertEqual(service.queue.depth, 0)
            self.assertEqual(service.traffic.refused_total["bad_request"], 2)

        return in_loop(talk())

    def test_unknown_method(self) -> Deferred:
        """UNIMPLEMENTED."""
        channel = self.channel(self.start("grpc"))

        async def talk():
            error = await error_of(channel.unary_unary(f"/{SERVICE}/Peek")(b""))
            self.assertEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED)

        return in_loop(talk())

    def test_health(self) -> Deferred:
        """SERVING under both names; a drain says NOT_SERVING and ends the watcher with UNAVAILABLE."""
        service = self.start("grpc")
        stub = health_pb2_grpc.HealthStub(self.channel(service))

        async def talk():
            await until(lambda: service.lifecycle.is_listening)
            for name in ("", SERVICE):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
                self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)
            watch = stub.Watch(health_pb2.HealthCheckRequest())
            self.assertEqual((await watch.read()).status, health_pb2.HealthCheckResponse.SERVING)
            drained = service.lifecycle.drain().asFuture(asyncio.get_running_loop())
            self.assertEqual((await watch.read()).status, health_pb2.HealthCheckResponse.NOT_SERVING)
            self.assertEqual((await error_of(watch.read())).code(), grpc.StatusCode.UNAVAILABLE)
            await drained

        return in_loop(talk())

    def test_reflection(self) -> Deferred:
        """Served under v1alpha and v1; it ends at a drain instead of holding it up."""
        service = self.start("grpc")
        channel = self.channel(service)

        async def ask(name):
            call = channel.stream_stream(
                f"/grpc.reflection.{name}.ServerReflection/ServerReflectionInfo",
                reflection_pb2.ServerReflectionRequest.SerializeToString,
                reflection_pb2.ServerReflectionResponse.FromString,
            )()
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            services = {s.name for s in (await call.read()).list_services_response.service}
            self.assertIn(SERVICE, services)
            self.assertIn("grpc.health.v1.Health", services)
            return call

        async def talk():
            await (await ask("v1alpha")).done_writing()
            left_open = await ask("v1")
            await service.lifecycle.drain().asFuture(asyncio.get_running_loop())
            self.assertEqual((await error_of(left_open.read())).code(), grpc.StatusCode.UNAVAILABLE)

        return in_loop(talk())

    def test_reflection_ends_with_its_client(self) -> Deferred:
        """After half-close the call ends with OK."""
        channel = self.channel(self.start("grpc"))
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)

        async def talk():
            call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
            self.assertEqual(len([answer async for answer in call]), 1)
            self.assertEqual(await call.code(), grpc.StatusCode.OK)

        return in_loop(talk())


class StreamBehaviour:
    """Mode grpc_stream."""

    def test_one_answer_for_each_message(self) -> Deferred:
        """A payload goes in and the oldest comes out; an empty one only takes; OK after half-close."""
        service = self.start("grpc_stream")
        service.queue.enqueue(b"old")
        stub = self.stub(service)

        async def talk():
            call = stub.StreamMessages(iter([StreamMessage(payload=p) for p in (b"a", b"b", b"", b"")]))
            answers = [(answer.payload, answer.error) async for answer in call]
            self.assertEqual(answers, [(b"old", ""), (b"a", ""), (b"b", ""), (b"", "queue is empty")])
            self.assertEqual(await call.code(), grpc.StatusCode.OK)

        return in_loop(talk())

    def test_a_full_queue_exchanges(self) -> Deferred:
        """The oldest is the answer, the new one is kept, depth stays."""
        service = self.start("grpc_stream", capacity=1)
        service.queue.enqueue(b"old")
        stub = self.stub(service)

        async def talk():
            answers = [a async for a in stub.StreamMessages(iter([StreamMessage(payload=b"new")]))]
            self.assertEqual([(a.payload, a.error) for a in answers], [(b"old", "")])
            self.assertEqual(service.queue.dequeue(), b"new")

        return in_loop(talk())

    def test_a_bound_in_bytes_can_forbid_it(self) -> Deferred:
        """Then the answer is the text, nothing is taken, and the stream lives."""
        service = self.start("grpc_stream", capacity_bytes=4)
        service.queue.enqueue(b"old")
        stub = self.stub(service)

        async def talk():
            call = stub.StreamMessages(iter([StreamMessage(payload=b"large"), StreamMessage()]))
            answers = [(a.payload, a.error) async for a in call]
            self.assertEqual(answers, [(b"", "queue is full"), (b"old", "")])

        return in_loop(talk())

    def test_the_other_modes_calls(self) -> Deferred:
        """UNIMPLEMENTED, with the exact texts."""
        stub = self.stub(self.start("grpc_stream"))

        async def talk():
            error = await error_of(stub.Produce(ProduceRequest(payload=b"a")))
            self.assertEqual(error.details(), "Produce is not implemented in streaming mode")
            error = await error_of(stub.Consume(ConsumeRequest()))
            self.assertEqual(error.details(), "Consume is not implemented in streaming mode")
            self.assertEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED)

        return in_loop(talk())

    def test_faults_end_the_call_and_not_the_connection(self) -> Deferred:
        """A long payload is RESOURCE_EXHAUSTED, garbage INTERNAL; what came before them is answered."""
        service = self.start("grpc_stream", max_message_bytes=1000)
        channel = self.channel(service)

        async def talk():
            for bad, code in (
                (StreamMessage(payload=b"x" * 1001).SerializeToString(), grpc.StatusCode.RESOURCE_EXHAUSTED),
                (b"\x0a\xff\xff", grpc.StatusCode.INTERNAL),
            ):
                call = channel.stream_stream(f"/{SERVICE}/StreamMessages")()
                await call.write(StreamMessage(payload=b"good").SerializeToString())
                self.assertEqual(StreamMessage.FromString(await call.read()).payload, b"good")
                await call.write(bad)
                self.assertEqual((await error_of(call.read())).code(), code)

        return in_loop(talk())

    def test_a_drain_ends_waiting_streams(self) -> Deferred:
        """UNAVAILABLE, at once, after the answers."""
        service = self.start("grpc_stream")
        stub = self.stub(service)

        async def talk():
            call = stub.StreamMessages()
            await call.write(StreamMessage(payload=b"a"))
            self.assertEqual((await call.read()).payload, b"a")
            await service.lifecycle.drain().asFuture(asyncio.get_running_loop())
            error = await error_of(call.read())
            self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, "server is draining"))

        return in_loop(talk())


class NativeUnaryTests(UnaryBehaviour, ServiceTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioUnaryTests(UnaryBehaviour, ServiceTestCase):
    """grpcio's."""

    grpc_server = "grpcio"


class NativeStreamTests(StreamBehaviour, ServiceTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioStreamTests(StreamBehaviour, ServiceTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
