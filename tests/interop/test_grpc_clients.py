"""grpcio's two clients over a real server of either kind: what ordinary programs do, at its limits."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from tests.interop.server import RealServer, RealServerTestCase

AT_ONCE = 1000
"""Calls and streams on one connection."""

LONG = bytes(1024 * 1024)
"""The longest message by default."""

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]

COMPRESSIONS = (grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate)

METADATA = (("x-one", "1"), ("x-one", "2"), ("x-two-bin", b"\x00\xff"))

NAMES = {b"%d" % number for number in range(AT_ONCE)}


def status_of(call: Any) -> Any:
    """How a call of the synchronous client ends; None for an answer."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return None


class ClientsBehaviour:
    """Both clients, both modes."""

    timeout = 60

    def ask(self, mode: str, story: Any) -> Any:
        """Tell a story to a stub of the synchronous client, in a thread; then the server ends in order."""
        server = self.serve(mode)

        def talk() -> None:
            with grpc.insecure_channel(server.target, options=OPTIONS) as channel:
                story(MessageQueueStub(channel))

        return self.story(self.ended_in_order(server, asyncio.to_thread(talk)))

    def ask_async(self, mode: str, story: Any) -> Any:
        """Likewise to one of the asyncio client."""
        server = self.serve(mode)

        async def talk() -> None:
            async with grpc.aio.insecure_channel(server.target, options=OPTIONS) as channel:
                await story(MessageQueueStub(channel))

        return self.story(self.ended_in_order(server, talk()))

    async def ended_in_order(self, server: RealServer, talk: Any) -> None:
        """Talk, then SIGTERM: status 0 and no traceback."""
        await talk
        server.signal()
        await self.assert_drained(server, 11)

    def test_long_and_compressed(self):
        """1 MiB each way, with each compression; one byte more is refused."""

        def story(stub: Any) -> None:
            for compression in COMPRESSIONS:
                self.assertTrue(stub.Produce(ProduceRequest(payload=LONG), compression=compression).success)
                taken = stub.Consume(ConsumeRequest(), compression=compression, metadata=METADATA)
                self.assertEqual(taken.payload, LONG)
                too_long = ProduceRequest(payload=LONG + b"x")
                code = status_of(lambda: stub.Produce(too_long, compression=compression))  # noqa: B023 - called here
                self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)

        return self.ask("grpc", story)

    def test_long_and_compressed_streams(self):
        """Likewise, ten on a stream."""

        def story(stub: Any) -> None:
            for compression in COMPRESSIONS:
                call = stub.StreamMessages(iter([StreamMessage(payload=LONG)] * 10), compression=compression)
                self.assertEqual([answer.payload for answer in call], [LONG] * 10)
                self.assertEqual(call.code(), grpc.StatusCode.OK)

        return self.ask("grpc_stream", story)

    def test_calls_that_are_given_up(self):
        """Cancellations among calls that go on; each message of those is there."""

        def story(stub: Any) -> None:
            accepted = 0
            for number in range(500):
                future = stub.Produce.future(ProduceRequest(payload=b"%d" % number))
                if number % 2:
                    future.cancel()
                else:
                    accepted += future.result().success
            self.assertEqual(accepted, 250)
            taken = set()
            while not (answer := stub.Consume(ConsumeRequest())).error:
                taken.add(answer.payload)
            self.assertLessEqual({b"%d" % number for number in range(0, 500, 2)}, taken)

        return self.ask("grpc", story)

    def test_many_calls_at_once(self):
        """All under way together; each has its answer."""

        async def story(stub: Any) -> None:
            produced = await asyncio.gather(*(stub.Produce(ProduceRequest(payload=name)) for name in NAMES))
            self.assertTrue(all(answer.success for answer in produced))
            taken = await asyncio.gather(*(stub.Consume(ConsumeRequest(), timeout=30) for _ in NAMES))
            self.assertEqual({answer.payload for answer in taken}, NAMES)

        return self.ask_async("grpc", story)

    def test_many_streams_at_once(self):
        """All open together; each is answered and ends with OK."""

        async def story(stub: Any) -> None:
            calls = [stub.StreamMessages() for _ in NAMES]
            for call, name in zip(calls, NAMES, strict=True):
                await call.write(StreamMessage(payload=name))
            self.assertEqual({(await call.read()).payload for call in calls}, NAMES)
            for call in calls:
                await call.done_writing()
            self.assertEqual({await call.code() for call in calls}, {grpc.StatusCode.OK})

        return self.ask_async("grpc_stream", story)

    def test_streams_that_are_given_up(self):
        """A deadline and a cancellation end their own stream and no other."""

        async def story(stub: Any) -> None:
            other, timed, cancelled = stub.StreamMessages(), stub.StreamMessages(timeout=0.5), stub.StreamMessages()
            for call in (other, timed, cancelled):
                await call.write(StreamMessage(payload=b"a"))
                self.assertEqual((await call.read()).payload, b"a")
            cancelled.cancel()
            self.assertEqual(await timed.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            await other.write(StreamMessage())
            self.assertEqual((await other.read()).error, "queue is empty")
            await other.done_writing()
            self.assertEqual(await other.code(), grpc.StatusCode.OK)

        return self.ask_async("grpc_stream", story)


class NativeClientsTests(ClientsBehaviour, RealServerTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioClientsTests(ClientsBehaviour, RealServerTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
