"""gRPC in both modes, through grpcio's own client."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from twisted.application.service import IServiceCollection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse.errors import ListenError, SettingsError
from quickpulse.interfaces import ITransportService
from quickpulse.queues.memory import MessageQueue
from quickpulse.transports.grpc_addresses import host_and_port, read_endpoint
from quickpulse.transports.grpc_calls import at_leisure
from quickpulse.transports.grpc_contract import SERVICE
from quickpulse.transports.grpc_server import GrpcStreamServer, GrpcUnaryServer, loop_of
from tests.serving import ServiceTestCase, in_loop
from tests.transports.test_websocket import LateQueue


class LateSingles(LateQueue):
    """LateQueue with the methods that the gRPC calls use."""

    depth = capacity = 0

    def enqueue(self, message):
        return self._later(self.inner.enqueue, message)

    def dequeue(self):
        return self._later(lambda _: self.inner.dequeue(), None)

    def exchange_many(self, messages):
        return self._later(self.inner.exchange_many, messages)


async def until(condition) -> None:
    """Let the loop turn until something holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass")


async def error_of(call) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")


class UnaryTests(ServiceTestCase):
    """Mode grpc."""

    def test_the_service_holds_the_bridge(self) -> None:
        """The MultiService contains grpcio's server as one of its services, in the reactor's own loop."""
        service = self.start("grpc")
        self.assertIn(service.transport, list(IServiceCollection(service)))
        self.assertIsInstance(service.transport, GrpcUnaryServer)
        self.assertTrue(verifyObject(ITransportService, service.transport))
        self.assertIs(loop_of(reactor), reactor._asyncioEventloop)
        return service.transport.when_listening()

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

    def test_a_watch_that_comes_during_the_drain(self) -> Deferred:
        """Watchers call again at once when they are told UNAVAILABLE; they do not hold the drain up."""
        service = self.start("grpc", drain_seconds=60.0)
        stub = health_pb2_grpc.HealthStub(self.channel(service))

        async def talk():
            await until(lambda: service.lifecycle.is_listening)
            service.transport._streams.is_draining = True
            watch = stub.Watch(health_pb2.HealthCheckRequest())
            error = await error_of(watch.read())
            self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, "server is draining"))

        return in_loop(asyncio.wait_for(talk(), 10))

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


class StreamTests(ServiceTestCase):
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

    def test_a_cancelled_stream_is_forgotten(self) -> Deferred:
        """Its client went away; the server has nothing to drain."""
        service = self.start("grpc_stream")
        stub = self.stub(service)

        async def talk():
            call = stub.StreamMessages()
            await call.write(StreamMessage(payload=b"a"))
            await call.read()
            call.cancel()
            await until(lambda: not service.transport._streams._streams)

        return in_loop(talk())


class LateTests(ServiceTestCase):
    """A queue that answers with Deferreds."""

    def late(self, mode: str):
        """A service over a queue that answers when told to, and its stub."""
        service = self.start(mode)
        queue = LateSingles()
        service.transport._calls._queue = queue
        return service, queue, self.stub(service)

    def test_answers_come_when_the_queue_has_answered(self) -> Deferred:
        """Produce, Consume, full and empty, as if at once."""
        _service, queue, stub = self.late("grpc")
        queue.inner = MessageQueue(1)

        async def ask(call):
            task = asyncio.ensure_future(call)
            await until(lambda: queue.waiting)
            result, method, argument = queue.waiting.pop()
            try:
                result.callback(method(argument))
            except Exception:
                result.errback()
            return await task

        async def talk():
            self.assertTrue((await ask(stub.Produce(ProduceRequest(payload=b"a")))).success)
            self.assertEqual((await ask(stub.Produce(ProduceRequest(payload=b"b")))).error, "queue is full")
            self.assertEqual((await ask(stub.Consume(ConsumeRequest()))).payload, b"a")
            self.assertEqual((await ask(stub.Consume(ConsumeRequest()))).error, "queue is empty")

        return in_loop(talk())

    def test_a_failing_queue_is_unavailable(self) -> Deferred:
        """UNAVAILABLE in each call; the cause is in the log."""
        service, queue, stub = self.late("grpc")

        async def talk():
            for method, request in (
                (stub.Produce, ProduceRequest(payload=b"a")),
                (stub.Consume, ConsumeRequest()),
            ):
                task = asyncio.ensure_future(error_of(method(request)))
                await until(lambda: queue.waiting)
                queue.fail()
                error = await task
                self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, "queue is unavailable"))
            self.assertEqual(service.traffic.refused_total["queue_unavailable"], 2)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

        return in_loop(talk())

    def test_a_failing_queue_ends_a_stream(self) -> Deferred:
        """UNAVAILABLE."""
        _service, queue, stub = self.late("grpc_stream")

        async def talk():
            task = asyncio.ensure_future(error_of(stub.StreamMessages(iter([StreamMessage(payload=b"a")])).read()))
            await until(lambda: queue.waiting)
            queue.fail()
            self.assertEqual((await task).code(), grpc.StatusCode.UNAVAILABLE)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

        return in_loop(talk())

    def test_a_message_for_a_caller_that_left_is_counted(self) -> Deferred:
        """The queue had taken it out when the call was cancelled."""
        service, queue, stub = self.late("grpc")
        queue.inner.enqueue(b"a")

        async def talk():
            call = stub.Consume(ConsumeRequest())
            await until(lambda: queue.waiting)
            call.cancel()
            await asyncio.sleep(0.1)
            queue.answer()
            self.assertEqual(service.traffic.undelivered_total, 1)

        return in_loop(talk())

    def test_messages_for_a_stream_that_left_are_counted(self) -> Deferred:
        """Likewise."""
        service, queue, stub = self.late("grpc_stream")

        async def talk():
            call = stub.StreamMessages()
            await call.write(StreamMessage(payload=b"a"))
            await until(lambda: queue.waiting)
            call.cancel()
            await asyncio.sleep(0.1)
            queue.answer()
            self.assertEqual(service.traffic.undelivered_total, 1)

        return in_loop(talk())

    def test_a_failure_after_the_caller_left_is_logged(self) -> Deferred:
        """There is nobody to tell; a full or empty queue is no news at all."""
        _service, queue, stub = self.late("grpc")

        async def talk():
            for _ in range(2):
                call = stub.Consume(ConsumeRequest())
                await until(lambda: queue.waiting)
                call.cancel()
                await asyncio.sleep(0.1)
                if queue.calls == 1:
                    queue.fail()
                else:
                    result, method, argument = queue.waiting.pop()
                    try:
                        method(argument)
                    except Exception:
                        result.errback()

        return in_loop(talk())

    def test_cancelled_after_the_answer(self) -> Deferred:
        """The Deferred fired and the cancellation came in the same turn: the answer is accounted for."""
        lost = []

        async def talk():
            result = Deferred()
            task = asyncio.ensure_future(at_leisure(result, lost.append))
            await asyncio.sleep(0)
            result.callback(b"taken")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.assertEqual(lost, [b"taken"])

        return in_loop(talk())


class ListeningTests(ServiceTestCase):
    """Where grpcio listens."""

    def test_a_taken_port_fails_the_start(self) -> Deferred:
        """ListenError with the address in front; the port is not shared silently."""
        first = self.start("grpc")
        taken = int(self.address(first.transport).rpartition(":")[2])
        error = self.assertRaises(ListenError, self.start, "grpc_stream", grpc_port=taken)
        self.assertTrue(str(error).startswith(f"127.0.0.1:{taken}: "), error)
        return in_loop(asyncio.sleep(0.05))

    def test_modes(self) -> Deferred:
        """Each mode has its own server."""
        service = self.start("grpc_stream")
        self.assertIsInstance(service.transport, GrpcStreamServer)
        return service.transport.when_listening()

    def test_unix_endpoint(self) -> Deferred:
        """A UNIX socket serves as well."""
        path = self.mktemp()[-60:].replace("/", "_")
        service = self.start("grpc", grpc_endpoint=f"unix:{path}")
        self.assertEqual(service.transport.addresses, [f"unix:{path}"])
        stub = self.stub(service)

        async def talk():
            self.assertTrue((await stub.Produce(ProduceRequest(payload=b"a"))).success)

        return in_loop(talk())

    def test_endpoint_strings(self) -> None:
        """tcp, tcp6 and unix are understood as Twisted understands them."""
        for text, target in (
            ("tcp:50051", "0.0.0.0:50051"),
            ("tcp:50051:interface=127.0.0.1", "127.0.0.1:50051"),
            ("tcp:port=50051:interface=127.0.0.1", "127.0.0.1:50051"),
            ("tcp6:50051", "[::]:50051"),
            ("unix:/run/q.sock", "unix:/run/q.sock"),
            ("50051", "0.0.0.0:50051"),
        ):
            self.assertEqual(read_endpoint("--grpc-endpoint", text).target, target)
        self.assertEqual(host_and_port("::1", 1).target, "[::1]:1")

    def test_endpoints_that_grpcio_cannot_take(self) -> None:
        """One line that names the option."""
        for text in (
            "systemd:domain=INET:name=grpc",
            "tcp:none",
            "ssl:443:privateKey=/nonexistent.pem",
            "ssl:443",
            "tcp:",
        ):
            error = self.assertRaises(SettingsError, read_endpoint, "--grpc-endpoint", text)
            self.assertTrue(str(error).startswith("--grpc-endpoint"), error)
            self.assertNotIn("\n", str(error))

    def test_another_reactor_is_refused(self) -> None:
        """Grpcio's asyncio server would hang there."""
        error = self.assertRaises(SettingsError, loop_of, object())
        self.assertIn("--reactor=asyncio", str(error))
