"""Mode all: what goes in by one transport comes out by any other, and all of them end together."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from websockets.asyncio.client import connect

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from quickpulse.requests import Batch, Delivery, GetQueue, Publish, Pull, Subscribe, Subscribed, SubscriptionEnded
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS
from tests.broker_peers import FramesPeer
from tests.interop import wire
from tests.interop.server import POLL_SECONDS, RealServer, RealServerTestCase
from tests.transports.grpc_v1_peers import ConnectConversation, GrpcPeer
from tests.transports.http_v1_peers import HttpPeer
from tests.transports.ws_v1_peers import open_conversation

BIN, JSON = SUBPROTOCOLS.values()

QUEUE = "default"

GONE = grpc.StatusCode.UNAVAILABLE

DEADLINE_SECONDS = 8.0 + 3.0
"""--drain-seconds, and some more for a busy machine."""


class WebSocketWay:
    """v0: a connection for either direction."""

    async def open(self, server: RealServer, channel: grpc.aio.Channel) -> None:
        """Both."""
        url = f"ws://127.0.0.1:{server.ports['WebSocket']}/ws"
        self.publisher, self.consumer = await connect(f"{url}/publish"), await connect(f"{url}/consume")

    async def put(self, payload: bytes) -> None:
        """Publish."""
        await self.publisher.send(payload)
        assert await self.publisher.recv() == "ok"

    async def take(self) -> bytes:
        """Consume."""
        await self.consumer.send(b"")
        answer = await self.consumer.recv()
        assert isinstance(answer, bytes), answer
        return answer

    async def close(self) -> None:
        """Both."""
        await self.publisher.close()
        await self.consumer.close()


class UnaryWay:
    """v0: Produce and Consume."""

    async def open(self, server: RealServer, channel: grpc.aio.Channel) -> None:
        """A stub."""
        self.stub = MessageQueueStub(channel)

    async def put(self, payload: bytes) -> None:
        """Produce."""
        assert (await self.stub.Produce(ProduceRequest(payload=payload))).success

    async def take(self) -> bytes:
        """Consume."""
        answer = await self.stub.Consume(ConsumeRequest())
        assert not answer.error, answer.error
        return answer.payload

    async def close(self) -> None:
        """The channel is the test's."""


class StreamWay(UnaryWay):
    """v0: StreamMessages, on the port of the other two. What it puts into an empty queue is its own answer."""

    async def open(self, server: RealServer, channel: grpc.aio.Channel) -> None:
        """A call that stays open."""
        await super().open(server, channel)
        self.call = self.stub.StreamMessages()

    async def put(self, payload: bytes) -> None:
        """Against one that is in the queue."""
        await super().put(b"stays for a moment")
        await self.call.write(StreamMessage(payload=payload))
        assert (await self.call.read()).payload == b"stays for a moment"

    async def take(self) -> bytes:
        """With an empty message."""
        await self.call.write(StreamMessage())
        answer = await self.call.read()
        assert not answer.error, answer.error
        return answer.payload

    async def close(self) -> None:
        """Half-close, and the end."""
        await self.call.done_writing()
        assert await self.call.read() is grpc.aio.EOF


class V1Way:
    """v1, by whichever peer."""

    def __init__(self, make_peer: Any) -> None:
        self._make_peer = make_peer

    async def open(self, server: RealServer, channel: grpc.aio.Channel) -> None:
        """Its peer."""
        self.peer = self._make_peer(server, channel)

    async def put(self, payload: bytes) -> None:
        """Publish."""
        assert not (await self.peer.ask(Publish(QUEUE, Batch((payload,))))).rejections

    async def take(self) -> bytes:
        """Pull, at most once."""
        (payload,) = (await self.peer.ask(Pull((QUEUE,), delivery=Delivery.TAKEN))).batch.payloads
        return bytes(payload)

    async def close(self) -> None:
        """Leave."""
        await self.peer.close()


def frames_peer(subprotocol: Any) -> Any:
    """/ws/v1 in one of its forms."""

    def make(server: RealServer, _channel: Any) -> FramesPeer:
        return FramesPeer(lambda: open_conversation(f"127.0.0.1:{server.ports['WebSocket']}", subprotocol))

    return make


def connect_peer(_server: RealServer, channel: grpc.aio.Channel) -> FramesPeer:
    """Connect."""

    async def converse() -> ConnectConversation:
        return ConnectConversation(channel)

    return FramesPeer(converse)


def ways() -> dict[str, Any]:
    """Into the queue and out of it."""
    return {
        "WebSocket": WebSocketWay(),
        "unary": UnaryWay(),
        "stream": StreamWay(),
        "v1 unary": V1Way(lambda _, channel: GrpcPeer(channel)),
        "Connect": V1Way(connect_peer),
        "/ws/v1 binary": V1Way(frames_peer(BIN)),
        "/ws/v1 JSON": V1Way(frames_peer(JSON)),
        "HTTP": V1Way(lambda server, _: HttpPeer("127.0.0.1", server.http_port)),
    }


class AllBehaviour:
    """Both gRPC servers."""

    def test_each_pair(self) -> Any:
        """A message that was put in by one transport is taken by another, for every two of them; none is left."""
        server = self.serve("all")

        async def talk() -> None:
            async with grpc.aio.insecure_channel(server.target) as channel:
                every = ways()
                for way in every.values():
                    await way.open(server, channel)
                for into, producer in every.items():
                    for out_of, consumer in every.items():
                        payload = f"{into} to {out_of}".encode()
                        await producer.put(payload)
                        self.assertEqual(await consumer.take(), payload)
                for way in every.values():
                    await way.close()
            self.assertEqual(await server.metric("quickpulse_queue_depth"), 0)
            server.signal()
            self.assertEqual(await self.assert_drained(server, DEADLINE_SECONDS), (0, 0))

        return self.story(talk())

    def test_what_it_says_of_itself(self) -> Any:
        """Three listeners on the status page; both services are healthy."""
        server = self.serve("all")

        async def talk() -> None:
            _, page = await server.get("/status.json")
            status = json.loads(page)
            self.assertEqual(status["mode"], "all")
            self.assertEqual([line.split(" on ")[0] for line in status["listening"]], ["WebSocket", "gRPC", "HTTP"])
            async with grpc.aio.insecure_channel(server.target) as channel:
                health = health_pb2_grpc.HealthStub(channel)
                for name in ("", "messagequeue.MessageQueue", "quickpulse.v1.Queues"):
                    answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
                    self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)
            self.assertEqual((await server.get("/readyz"))[0], 200)

        return self.story(talk())

    def test_the_end(self) -> Any:
        """Who waits on any of them is told; HTTP says 503 as long as a client of another keeps the server."""
        server = self.serve("all")

        async def talk() -> None:
            holder = await wire.connect(server.ports["WebSocket"])  # it will not answer a Close
            await asyncio.get_running_loop().sock_sendall(holder, wire.upgrade("/ws/publish"))
            async with grpc.aio.insecure_channel(server.target) as channel:
                socket = await open_conversation(f"127.0.0.1:{server.ports['WebSocket']}", BIN)
                for conversation in (calls := ConnectConversation(channel)), socket:
                    await conversation.send(1, Subscribe(QUEUE, credit_messages=1))
                    self.assertEqual(await conversation.receive(), (1, Subscribed()))
                page = HttpPeer("127.0.0.1", server.http_port)
                waiting = asyncio.ensure_future(page.ask(Pull((QUEUE,), wait_ms=60_000)))
                while (await page.ask(GetQueue(QUEUE))).waiters < 3:
                    await asyncio.sleep(POLL_SECONDS)
                server.signal()
                for conversation in calls, socket:
                    request_id, ended = await asyncio.wait_for(conversation.receive(), wire.ANSWER_SECONDS)
                    self.assertIsInstance(ended, SubscriptionEnded)
                    self.assertEqual((request_id, ended.error.code), (1, "DRAINING"))
                self.assertEqual((await asyncio.wait_for(waiting, wire.ANSWER_SECONDS)).batch.payloads, [])
                self.assertEqual(await asyncio.wait_for(calls.call.code(), wire.ANSWER_SECONDS), GONE)
                await asyncio.wait_for(socket.client.wait_closed(), wire.ANSWER_SECONDS)
                self.assertEqual(socket.client.close_code, 1012)
            self.assertEqual((await server.get("/readyz"))[0], 503)
            holder.close()
            await self.assert_drained(server, DEADLINE_SECONDS)

        return self.story(talk())


class NativeAllTests(AllBehaviour, RealServerTestCase):
    """Our own."""

    grpc_server = "native"


class GrpcioAllTests(AllBehaviour, RealServerTestCase):
    """The library's."""

    grpc_server = "grpcio"
