"""gRPC over a queue that answers with Deferreds: each behaviour over both servers."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from twisted.internet.defer import Deferred

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from tests.serving import ServiceTestCase, error_of, in_loop, until
from tests.transports.late import LATE

DEADLINE_SECONDS = 0.2
"""Of calls that are to miss it."""


class LateBehaviour:
    """What clients see, and what becomes of the messages."""

    def late(self, mode: str, **settings: Any):
        """A service over a queue that answers when told to, the queue, and a stub."""
        service = self.start(mode, queue=LATE, **settings)
        return service, service.queue.queue, self.stub(service)

    async def left(self, service: Any, messages: int) -> None:
        """So many messages were taken and not delivered."""
        await until(lambda: service.traffic.undelivered_total == messages)

    def test_answers_come_when_the_queue_has_answered(self) -> Deferred:
        """Produce, Consume, full and empty, as if at once."""
        _service, queue, stub = self.late("grpc", capacity=1)

        async def ask(call):
            task = asyncio.ensure_future(call)
            await until(lambda: queue.waiting)
            queue.answer()
            return await task

        async def talk():
            self.assertTrue((await ask(stub.Produce(ProduceRequest(payload=b"a")))).success)
            self.assertEqual((await ask(stub.Produce(ProduceRequest(payload=b"b")))).error, "queue is full")
            self.assertEqual((await ask(stub.Consume(ConsumeRequest()))).payload, b"a")
            self.assertEqual((await ask(stub.Consume(ConsumeRequest()))).error, "queue is empty")

        return in_loop(talk())

    def test_many_calls_under_way(self) -> Deferred:
        """All are answered, whatever the queue needs for each, and nothing is lost between them."""
        service, queue, stub = self.late("grpc", capacity=1000)

        async def talk():
            calls = [asyncio.ensure_future(stub.Produce(ProduceRequest(payload=b"%d" % n))) for n in range(100)]
            while not all(call.done() for call in calls):
                await until(lambda: queue.waiting or all(call.done() for call in calls))
                while queue.waiting:
                    queue.answer()
            self.assertTrue(all(call.result().success for call in calls))
            calls = [asyncio.ensure_future(stub.Consume(ConsumeRequest())) for _ in range(101)]
            while not all(call.done() for call in calls):
                await until(lambda: queue.waiting or all(call.done() for call in calls))
                while queue.waiting:
                    queue.answer()
            self.assertEqual({call.result().payload for call in calls}, {b"", *(b"%d" % n for n in range(100))})
            self.assertEqual(service.traffic.undelivered_total, 0)

        return in_loop(talk())

    def test_a_stream_waits_for_the_queue(self) -> Deferred:
        """Answers come in order, and the call ends with OK behind the last of them."""
        _service, queue, stub = self.late("grpc_stream")

        async def talk():
            call = stub.StreamMessages(iter([StreamMessage(payload=p) for p in (b"a", b"", b"b")]))
            reading = asyncio.ensure_future(self.payloads_of(call))
            while not reading.done():
                await until(lambda: queue.waiting or reading.done())
                while queue.waiting:
                    queue.answer()
            self.assertEqual(reading.result(), [b"a", b"", b"b"])
            self.assertEqual(await call.code(), grpc.StatusCode.OK)

        return in_loop(talk())

    async def payloads_of(self, call: Any) -> list[bytes]:
        """Of every answer."""
        return [answer.payload async for answer in call]

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
            await self.left(service, 1)

        return in_loop(talk())

    def test_a_message_for_a_caller_whose_time_is_up_is_counted(self) -> Deferred:
        """Likewise, with a deadline."""
        service, queue, stub = self.late("grpc")
        queue.inner.enqueue(b"a")

        async def talk():
            error = await error_of(stub.Consume(ConsumeRequest(), timeout=DEADLINE_SECONDS))
            self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            await asyncio.sleep(0.1)
            queue.answer()
            await self.left(service, 1)

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
            await self.left(service, 1)

        return in_loop(talk())

    def test_a_message_for_a_connection_that_ended_is_counted(self) -> Deferred:
        """The client is gone, and with it all that was under way."""
        service, queue, stub = self.late("grpc")
        queue.inner.enqueue(b"a")

        async def talk():
            call = asyncio.ensure_future(stub.Consume(ConsumeRequest()))
            await until(lambda: queue.waiting)
            await self.channels[-1].close()
            await asyncio.gather(call, return_exceptions=True)
            await asyncio.sleep(0.1)
            queue.answer()
            await self.left(service, 1)

        return in_loop(talk())

    def test_an_empty_queue_is_no_news_to_who_left(self) -> Deferred:
        """Nothing was taken, nothing is counted, nothing is logged."""
        service, queue, stub = self.late("grpc")

        async def talk():
            call = stub.Consume(ConsumeRequest())
            await until(lambda: queue.waiting)
            call.cancel()
            await asyncio.sleep(0.1)
            queue.answer()
            await asyncio.sleep(0.05)
            self.assertEqual(service.traffic.undelivered_total, 0)

        return in_loop(talk())

    def test_a_failure_after_the_caller_left_is_logged(self) -> Deferred:
        """There is nobody to tell."""
        _service, queue, stub = self.late("grpc")
        logged = []

        async def talk():
            call = stub.Consume(ConsumeRequest())
            await until(lambda: queue.waiting)
            call.cancel()
            await asyncio.sleep(0.1)
            with self.log_to(logged):
                queue.fail()
                await asyncio.sleep(0.05)
            self.flushLoggedErrors(RuntimeError)
            self.assertIn("disk on fire", "".join(logged))

        return in_loop(talk())


class NativeLateTests(LateBehaviour, ServiceTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioLateTests(LateBehaviour, ServiceTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
