"""--auth-token-file on every transport: who shows no valid token gets nothing of v1, and all that is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from twisted.internet.defer import Deferred
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from quickpulse._generated.messagequeue_pb2 import ProduceRequest
from quickpulse.errors import SettingsError, Unauthenticated
from quickpulse.requests import ListQueues, Subscribe, Subscribed
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH
from quickpulse.wire.v1.table import SERVICE as V1_SERVICE
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, V1_PATH
from tests.interop.wire import upgrade
from tests.serving import ServiceTestCase, error_of, in_loop, until
from tests.transports.grpc_v1_peers import error_in

ONE, TWO = "first-token", "second-token"

WRONG = "wrong-token"

SECONDS = 30

ASKED = write_request(1, ListQueues(), BINARY)

QUEUE = "q"

Asking = Callable[[str | None], Coroutine[Any, Any, bool]]
"""Asks with a token, or with none; whether it was answered. If not, it has looked at how it was refused."""


def metadata(token: str | None) -> list[tuple[str, str]]:
    """Of a call."""
    return [] if token is None else [("authorization", f"Bearer {token}")]


class Response:
    """What came over HTTP, and the connection that it came by."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read_head(self) -> None:
        """Status and headers."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines)

    async def body(self) -> bytes:
        """Of a length that was said."""
        return await self.reader.readexactly(int(self.headers["content-length"]))


class HalfCall:
    """A unary call whose request comes later than its headers."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], authorization: str) -> None:
        self.reader, self.writer = streams
        self.close = self.writer.close
        self._http2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._headers = [
            *((":method", "POST"), (":scheme", "http"), (":authority", "q"), (":path", f"/{V1_SERVICE}/ListQueues")),
            *(("te", "trailers"), ("content-type", "application/grpc"), ("authorization", authorization)),
        ]

    async def begin(self) -> None:
        """The headers."""
        self._http2.initiate_connection()
        self._http2.send_headers(1, self._headers)
        self.writer.write(self._http2.data_to_send())
        await self.writer.drain()
        await asyncio.sleep(0.05)  # nothing is answered yet, so there is nothing to wait for

    async def end(self) -> list[tuple[str, str]]:
        """An empty request; the headers or trailers that have the status."""
        with contextlib.suppress(ProtocolError):  # the stream may have an answer already
            self._http2.send_data(1, bytes(5), end_stream=True)
        self.writer.write(self._http2.data_to_send())
        while True:
            for event in self._http2.receive_data(await self.reader.read(65536)):
                headers = getattr(event, "headers", [])
                if any(name == "grpc-status" for name, _ in headers):
                    return list(headers)


class AccessTestCase(ServiceTestCase):
    """A service that wants tokens."""

    def setUp(self) -> None:
        """Two are valid."""
        super().setUp()
        self.path = Path(self.mktemp())
        self.lines: list[str] = []

    def play(self, story: Coroutine[Any, Any, None]) -> Deferred:
        """Run it; no token may be in the log afterwards."""

        async def watched() -> None:
            with self.log_to(self.lines):
                await asyncio.wait_for(story, SECONDS)
            for token in (ONE, TWO, WRONG):
                for secret in (token, self.coded(token)):
                    self.assertEqual([line for line in self.lines if secret in line], [])

        return in_loop(watched())

    async def serve(self, **settings: Any) -> None:
        """Start, with everything on one set of queues."""
        self.write(ONE, TWO)
        self.service = self.start("all", **{"auth_token_file": str(self.path), **settings})
        await until(lambda: self.service.lifecycle.is_listening)
        self.ws, self.grpc = (part.addresses[0] for part in self.service.transports)

    def write(self, *tokens: str) -> None:
        """Fill the file."""
        self.path.write_text("".join(f"{token}  # one of ours\n" for token in tokens))
        self.path.chmod(0o600)

    def coded(self, token: str) -> str:
        """As a subprotocol has it."""
        return urlsafe_b64encode(token.encode()).decode().rstrip("=")

    def grpc_channel(self) -> grpc.aio.Channel:
        """A channel of its own."""
        channel = grpc.aio.insecure_channel(self.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(lambda: in_loop(channel.close()))
        return channel

    async def http(self, method: str, path: str, *headers: str, body: bytes = b"") -> Response:
        """A request."""
        host, port = self.service.http.addresses[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.addCleanup(writer.close)
        lines = (f"{method} {path} HTTP/1.1", "Host: queue.example", f"Content-Length: {len(body)}", *headers, "", "")
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        response = Response(reader, writer)
        await response.read_head()
        return response

    def refused(self) -> int:
        """How many were, for their token."""
        return int(self.service.traffic.refused_total["unauthenticated"])


class EveryTransportTests(AccessTestCase):
    """Each way to ask, over the native gRPC server."""

    # ---- ways to ask ----

    def assert_unauthenticated(self, error: grpc.aio.AioRpcError) -> None:
        """By the code and by the word."""
        self.assertIs(error.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertIsInstance(error_in(error), Unauthenticated)

    async def assert_ended(self, call: Any) -> None:
        """A stream likewise."""
        self.assertIs(await call.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertEqual(dict(await call.trailing_metadata())["quickpulse-reason"], "UNAUTHENTICATED")

    async def ask_unary(self, token: str | None) -> bool:
        """An RPC."""
        row = BY_KIND[ListQueues]
        call = self.channel_of_all.unary_unary(row.grpc_path)
        try:
            await call(row.request.serialize(ListQueues()), metadata=metadata(token))
        except grpc.aio.AioRpcError as error:
            self.assert_unauthenticated(error)
            return False
        return True

    async def ask_connect(self, token: str | None) -> bool:
        """A call of Connect."""
        call = self.channel_of_all.stream_stream(CONNECT_PATH)(metadata=metadata(token))
        try:
            await call.write(ASKED)
            reply = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            reply = grpc.aio.EOF
        if reply is grpc.aio.EOF:
            await self.assert_ended(call)
            return False
        self.assertEqual(read_reply(reply, BINARY)[0], 1)
        call.cancel()
        return True

    async def open_ws(self, *names: str, token: str | None = None) -> ClientConnection | None:
        """A handshake."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            return await connect(f"ws://{self.ws}{V1_PATH}", subprotocols=list(names), additional_headers=headers)
        except InvalidStatus as error:
            self.assertEqual(error.response.status_code, 401)
            self.assertEqual(error.response.headers["WWW-Authenticate"], 'Bearer realm="quickpulse"')
            return None

    async def ask_ws(self, name: str, *names: str, token: str | None = None) -> bool:
        """A frame by WebSocket; the subprotocol of the answer is never the token."""
        client = await self.open_ws(name, *names, token=token)
        if client is None:
            return False
        self.assertEqual(client.subprotocol, name)
        frame = write_request(1, ListQueues(), SUBPROTOCOLS[name].encoding)
        await client.send(frame if SUBPROTOCOLS[name].is_binary else frame.decode())
        self.assertTrue(await client.recv())
        await client.close()
        return True

    async def ask_ws_binary(self, token: str | None) -> bool:
        """In a header."""
        return await self.ask_ws("quickpulse.v1.bin", token=token)

    async def ask_ws_json(self, token: str | None) -> bool:
        """Likewise."""
        return await self.ask_ws("quickpulse.v1.json", token=token)

    async def ask_ws_page(self, token: str | None) -> bool:
        """As a browser's page does, which cannot set headers."""
        names = [] if token is None else [f"quickpulse.token.{self.coded(token)}"]
        return await self.ask_ws("quickpulse.v1.json", *names)

    async def is_answered(self, response: Response) -> bool:
        """A status, and what belongs to 401."""
        if response.status == 200:
            return True
        self.assertEqual(response.status, 401)
        self.assertEqual(response.headers["www-authenticate"], 'bearer realm="quickpulse"')
        self.assertEqual(json.loads(await response.body())["error"]["reason"], "UNAUTHENTICATED")
        return False

    async def ask_http(self, token: str | None) -> bool:
        """JSON over HTTP."""
        headers = [] if token is None else [f"Authorization: Bearer {token}"]
        body = b'{"batch": {"texts": ["x"]}}'
        json_type = "Content-Type: application/json"
        return await self.is_answered(
            await self.http("POST", f"/api/v1/queues/{QUEUE}/publish", json_type, *headers, body=body)
        )

    async def ask_events(self, token: str | None) -> bool:
        """Server-Sent Events."""
        headers = [] if token is None else [f"Authorization: Bearer {token}"]
        path = f"/api/v1/queues/{QUEUE}/subscribe?credit_messages=1"
        return await self.is_answered(await self.http("GET", path, "Accept: text/event-stream", *headers))

    def ways(self) -> list[Asking]:
        """All of them."""
        self.channel_of_all = self.grpc_channel()
        ws = [self.ask_ws_binary, self.ask_ws_json, self.ask_ws_page]
        return [self.ask_unary, self.ask_connect, *ws, self.ask_http, self.ask_events]

    # ---- stories ----

    def test_tokens(self) -> Deferred:
        """Without one and with a wrong one nobody is served, with either of two that are valid everybody."""

        async def story() -> None:
            await self.serve()
            for ask in self.ways():
                for token, is_served in ((None, False), (WRONG, False), (ONE, True), (TWO, True), (WRONG, False)):
                    before = self.refused()
                    self.assertIs(await ask(token), is_served, f"{ask.__name__} {token}")
                    self.assertEqual(self.refused() - before, int(not is_served), ask.__name__)

        return self.play(story())

    def test_hostile(self) -> Deferred:
        """Headers that are long, of no charset, several at once, or no token: each is refused as any other."""

        async def story() -> None:
            await self.serve()
            self.ways()
            for token in (f"{ONE}, Bearer {ONE}", "x" * 12_000, "caf\xe9", f"{ONE}\t{ONE}", "="):
                if token.isascii() and "\t" not in token:  # grpcio's client sends no other
                    self.assertFalse(await self.ask_unary(token))
                self.assertFalse(await self.ask_http(token), token)
            response = await self.http(
                "GET", "/api/v1/queues", f"Authorization: Bearer {ONE}", f"Authorization: Bearer {ONE}"
            )
            self.assertFalse(await self.is_answered(response))
            reader, writer = await asyncio.open_connection(*self.ws.split(":"))
            twice = ", ".join([f"quickpulse.token.{self.coded(ONE)}"] * 2)
            writer.write(upgrade(V1_PATH, f"Sec-WebSocket-Protocol: quickpulse.v1.json, {twice}"))
            self.assertIn(b"HTTP/1.1 400", await reader.read())
            writer.close()

        return self.play(story())

    def test_what_stays_open(self) -> Deferred:
        """Health, reflection, metrics, the status page, the API's description; v0, about which the log warns."""

        async def story() -> None:
            await self.serve()
            channel = self.grpc_channel()
            health = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="quickpulse.v1.Queues")
            )
            self.assertEqual(health.status, health_pb2.HealthCheckResponse.SERVING)
            requests = [reflection_pb2.ServerReflectionRequest(file_containing_symbol="quickpulse.v1.Queues")]
            async for answer in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(requests)):
                self.assertTrue(answer.file_descriptor_response.file_descriptor_proto)
            for path in ("/metrics", "/livez", "/readyz", "/", "/status.json", "/api/v1/openapi.json"):
                self.assertEqual((await self.http("GET", path)).status, 200, path)
            self.assertTrue((await self.stub_of(channel).Produce(ProduceRequest(payload=b"x"))).success)
            async with connect(f"ws://{self.ws}/ws/publish") as client:
                await client.send(b"x")
                self.assertEqual(await client.recv(), "ok")
            self.assertEqual(len([line for line in self.lines if "v0 asks for no token" in line]), 1)

        return self.play(story())

    def stub_of(self, channel: grpc.aio.Channel) -> Any:
        """v0's."""
        from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub

        return MessageQueueStub(channel)

    def test_v0_off(self) -> Deferred:
        """Nothing of v0 is there, and nothing warns; v1 is."""

        async def story() -> None:
            await self.serve(v0="off")
            channel = self.grpc_channel()
            error = await error_of(self.stub_of(channel).Produce(ProduceRequest(payload=b"x")))
            self.assertIs(error.code(), grpc.StatusCode.UNIMPLEMENTED)
            error = await error_of(
                health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service="messagequeue.MessageQueue")
                )
            )
            self.assertIs(error.code(), grpc.StatusCode.NOT_FOUND)
            with self.assertRaises(InvalidStatus) as caught:
                await connect(f"ws://{self.ws}/ws/publish")
            self.assertEqual(caught.exception.response.status_code, 404)
            self.assertEqual(caught.exception.response.body, b"no such path; there is /ws/v1\n")
            for ask in self.ways():
                self.assertTrue(await ask(ONE))
            self.assertEqual([line for line in self.lines if "v0" in line], [])

        return self.play(story())

    def test_rotation(self) -> Deferred:
        """A token that is taken away is worth nothing on connections that are open, and ends what goes on by it."""

        async def story() -> None:
            await self.serve()
            ways = self.ways()
            call = self.channel_of_all.stream_stream(CONNECT_PATH)(metadata=metadata(ONE))
            await call.write(write_request(7, Subscribe(QUEUE, credit_messages=9), BINARY))
            self.assertEqual(read_reply(await call.read(), BINARY), (7, Subscribed()))
            doomed = await self.open_ws("quickpulse.v1.bin", token=ONE)
            staying = await self.open_ws("quickpulse.v1.bin", token=TWO)
            events = await self.http(
                "GET",
                "/api/v1/queues/e/subscribe?credit_messages=9",
                "Accept: text/event-stream",
                f"Authorization: Bearer {ONE}",
            )
            for ask in ways[:2]:  # so that the connection has seen it
                self.assertTrue(await ask(ONE))
            self.write(TWO, "third-token")
            self.service.tokens.reload()
            with self.assertRaises(grpc.aio.AioRpcError):
                await call.read()
            await self.assert_ended(call)
            with self.assertRaises(ConnectionClosedError) as caught:
                await doomed.recv()
            self.assertEqual((caught.exception.rcvd.code, caught.exception.rcvd.reason), (1008, "UNAUTHENTICATED"))
            self.assertIn(b'"UNAUTHENTICATED"', await events.reader.readuntil(b"}}\n\n"))
            await staying.send(ASKED)
            self.assertTrue(await staying.recv())
            await staying.close()
            for ask in ways:
                self.assertFalse(await ask(ONE), ask.__name__)
                self.assertTrue(await ask(TWO), ask.__name__)
                self.assertTrue(await ask("third-token"), ask.__name__)

        return self.play(story())

    def test_begun_before_it_was_taken_away(self) -> Deferred:
        """Whose body comes only after that is served nothing: over HTTP, and in a unary call."""

        async def story() -> None:
            await self.serve()
            host, port = self.service.http.addresses[0].split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            self.addCleanup(writer.close)
            writer.write(
                b"GET /api/v1/queues/h/subscribe?credit_messages=9 HTTP/1.1\r\nHost: queue.example\r\n"
                b"Accept: text/event-stream\r\nContent-Length: 1\r\nAuthorization: Bearer %b\r\n\r\n" % ONE.encode()
            )
            half = HalfCall(await asyncio.open_connection(*self.grpc.split(":")), f"Bearer {ONE}")
            self.addCleanup(half.close)
            await half.begin()
            self.ways()
            await self.ask_unary(TWO)  # all of it was read
            self.write(TWO)
            self.service.tokens.reload()
            writer.write(b"x")
            response = Response(reader, writer)
            await response.read_head()
            self.assertEqual(response.status, 401)
            self.assertIn(("grpc-status", "16"), await half.end())

        return self.play(story())

    def test_many_attempts(self) -> Deferred:
        """A thousand wrong tokens on one connection leave nothing behind, and the right one still works."""

        async def story() -> None:
            await self.serve()
            self.ways()
            for number in range(0, 1_000, 50):
                asked = [self.ask_unary(f"wrong-{number + each}") for each in range(50)]
                self.assertEqual(await asyncio.gather(*asked), [False] * 50)
            self.assertTrue(await self.ask_unary(ONE))
            self.assertEqual(self.refused(), 1_000)

        return self.play(story())


class EveryTransportGrpcioTests(EveryTransportTests):
    """The same over grpcio's server."""

    grpc_server = "grpcio"


class SettingTests(AccessTestCase):
    """What does not start."""

    def test_no_file(self) -> None:
        """A file that is not there, or has no token, keeps the server from starting."""
        self.assertRaises(SettingsError, self.start, "ws", auth_token_file=str(self.path))
        self.path.write_text("# none\n")
        self.assertRaises(SettingsError, self.start, "ws", auth_token_file=str(self.path))

    def test_no_v1(self) -> None:
        """Nobody shall think that a queue without v1 is guarded, or be left with nothing."""
        self.write(ONE)
        queue = "quickpulse.queues.memory:MessageQueue"
        error = self.assertRaises(SettingsError, self.start, "ws", queue=queue, auth_token_file=str(self.path))
        self.assertIn("--auth-token-file is of use with v1 only", str(error))
        error = self.assertRaises(SettingsError, self.start, "ws", queue=queue, v0="off")
        self.assertIn("--v0 off is of use with v1 only", str(error))
