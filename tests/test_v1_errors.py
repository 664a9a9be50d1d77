"""Each request of v1 that is answered with an error is counted once, on every transport, whoever found the error.

Asked everywhere: what the broker refuses, what the codec does, and bytes that are no request at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.requests import GetQueue, Publish
from quickpulse.service import QuickPulseService
from quickpulse.wire.v1.frames import Encoding, write_request
from quickpulse.wire.v1.json_form import to_json
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS
from tests.serving import ServiceTestCase, error_of, in_loop, until
from tests.transports.grpc_v1_peers import ConnectConversation
from tests.transports.ws_v1_peers import open_conversation

SECONDS = 30

MOST_BYTES = 2 * 1024 * 1024
"""Of a request."""

UNKNOWN = GetQueue("nowhere")

TWICE = pb.PublishRequest(queue="q", batch=pb.Batch(payloads=[b"a"], texts=["a"]))
"""A batch says its payloads in two ways; no client of ours writes this."""

NO_REQUEST = b"\xff\xff"
"""Neither protobuf nor JSON."""

ALL = {"NOT_FOUND": 1, "INVALID_ARGUMENT": 1, "MALFORMED_REQUEST": 1}


def frames(encoding: Encoding) -> list[bytes]:
    """The three, as a client would send them; the last one ends its connection."""
    unknown = write_request(1, UNKNOWN, encoding)
    return [unknown, encoding.serialize(pb.ClientFrame(request_id=2, publish=TWICE)), NO_REQUEST]


class ErrorsTestCase(ServiceTestCase):
    """A service, and what it counts."""

    def count(
        self, mode: str, story: Callable[[QuickPulseService], Coroutine[Any, Any, None]], expected: dict[str, int]
    ) -> Deferred:
        """Play a story, and look at what was counted."""

        async def play() -> None:
            service = self.start(mode, max_batch_bytes=MOST_BYTES)
            await until(lambda: service.lifecycle.is_listening)
            await story(service)
            counted = {code: count for code, count in service.traffic.errors_total.items() if count}
            self.assertEqual(counted, expected)

        return in_loop(asyncio.wait_for(play(), SECONDS))


class GrpcBehaviour:
    """Over gRPC."""

    def test_unary(self) -> Deferred:
        """Each as a call of its own, and one that is too long."""

        async def story(service: QuickPulseService) -> None:
            channel = self.channel(service)
            publish = channel.unary_unary(BY_KIND[Publish].grpc_path)
            row = BY_KIND[GetQueue]
            await error_of(channel.unary_unary(row.grpc_path)(row.request.serialize(UNKNOWN)))
            await error_of(publish(TWICE.SerializeToString()))
            await error_of(publish(NO_REQUEST))
            await error_of(publish(bytes(MOST_BYTES + 1)))

        return self.count("grpc", story, {**ALL, "REQUEST_TOO_LARGE": 1})

    def test_connect(self) -> Deferred:
        """As frames; and in another call one that is too long."""

        async def story(service: QuickPulseService) -> None:
            channel = self.channel(service)
            conversation = ConnectConversation(channel)
            for frame in frames(SUBPROTOCOLS["quickpulse.v1.bin"].encoding):
                await conversation.call.write(frame)
            for number in (1, 2):
                self.assertEqual((await conversation.receive())[0], number)
            await error_of(conversation.call.read())
            long = channel.stream_stream(CONNECT_PATH)()
            await long.write(bytes(MOST_BYTES + 1))
            await error_of(long.read())

        return self.count("grpc", story, {**ALL, "REQUEST_TOO_LARGE": 1})


class NativeTests(GrpcBehaviour, ErrorsTestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioTests(GrpcBehaviour, ErrorsTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"


class WebSocketTests(ErrorsTestCase):
    """Over /ws/v1."""

    def converse(self, name: str) -> Deferred:
        """The frames in one subprotocol."""

        async def story(service: QuickPulseService) -> None:
            subprotocol = SUBPROTOCOLS[name]
            conversation = await open_conversation(self.address(service.transport), subprotocol)
            unknown, twice, none = frames(subprotocol.encoding)
            for data in (unknown, twice, none if subprotocol.is_binary else b"{"):
                await conversation.client.send(data if subprotocol.is_binary else data.decode())
            for number in (1, 2, 0):
                self.assertEqual((await conversation.receive())[0], number)
            await conversation.client.wait_closed()

        return self.count("ws", story, ALL)

    def test_binary(self) -> Deferred:
        """In protobuf."""
        return self.converse("quickpulse.v1.bin")

    def test_json(self) -> Deferred:
        """In JSON."""
        return self.converse("quickpulse.v1.json")


class HttpTests(ErrorsTestCase):
    """Over HTTP."""

    async def ask(
        self, service: QuickPulseService, line: str, body: bytes = b"", kind: str = "application/json"
    ) -> int:
        """The status of the answer."""
        host, port = self.address(service.http).rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1])

    def test_json(self) -> Deferred:
        """The three, one that is too long, and one whose query is wrong."""

        async def story(service: QuickPulseService) -> None:
            publish = "POST /api/v1/queues/q/publish"
            asked = [
                await self.ask(service, "GET /api/v1/queues/nowhere"),
                await self.ask(service, publish, to_json(TWICE)),
                await self.ask(service, publish, NO_REQUEST),
                await self.ask(service, publish, bytes(MOST_BYTES + 1)),
                await self.ask(service, "GET /api/v1/queues/q?texts=perhaps"),
            ]
            self.assertEqual(asked, [404, 400, 400, 413, 400])

        return self.count("ws", story, {**ALL, "REQUEST_TOO_LARGE": 1, "INVALID_ARGUMENT": 2})

    def test_one_message(self) -> Deferred:
        """A raw body that the queue does not take: what became of it is the answer."""

        async def story(service: QuickPulseService) -> None:
            await self.ask(service, "POST /api/v1/queues/q/set_policy", b'{"policy": {"capacity": "1"}}')
            for status in (200, 429):
                asked = self.ask(service, "POST /api/v1/queues/q/messages", b"x", "application/octet-stream")
                self.assertEqual(await asked, status)

        return self.count("ws", story, {"QUEUE_FULL": 1})
