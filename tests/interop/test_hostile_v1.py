"""v1 under clients that ask for absurd things, on every transport of a real process.

Each is told clearly what is wrong, nobody else notices, and the server's memory stays bounded. What is wrong with the
frames of HTTP/2 and of WebSocket themselves is in the files beside this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
from websockets.exceptions import ConnectionClosed

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import (
    InvalidArgument,
    MalformedRequest,
    MessageTooLarge,
    NotFound,
    QuickPulseError,
    RequestTooLarge,
    TooManyQueues,
)
from quickpulse.requests import (
    Batch,
    Credit,
    DeleteQueue,
    GetQueue,
    Publish,
    Pull,
    Settle,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
)
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, V1_PATH
from tests.broker_peers import FramesPeer
from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.good_client import resident_bytes
from tests.interop.hostile_http2 import OPENING
from tests.interop.server import POLL_SECONDS, RealServer, RealServerTestCase
from tests.serving import error_of
from tests.transports.grpc_v1_peers import ConnectConversation, GrpcPeer
from tests.transports.http_v1_peers import HttpPeer
from tests.transports.ws_v1_peers import open_conversation

MOST_QUEUES = 10_000
"""As the server has it by default."""

NAMES = 100_000

WAITERS = 10_000

WAIT_MS = 600_000

SECONDS = 100.0

KEPT_BYTES = 96 * 1024 * 1024
"""What the server may have more than at its start: ten thousand queues with a message each, and what Python keeps."""

DEEP = 1_000_000


class HostileTestCase(RealServerTestCase):
    """A server that has everything, and a peer on each transport; where it is for a gRPC server, on that one."""

    kept_bytes = KEPT_BYTES

    def play(self, story: Callable[[], Coroutine[Any, Any, None]], *arguments: str) -> Any:
        """Play it; then look at memory and log, and that the server ends in order."""

        async def told() -> None:
            self.server = self.serve("all", *arguments)
            self.target = self.server.target
            self.ws = f"127.0.0.1:{self.server.ports['WebSocket']}"
            channel = grpc.aio.insecure_channel(
                self.target,
                options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)],
            )
            self.channel = channel
            before = resident_bytes(self.server.process.pid)
            try:
                await asyncio.wait_for(story(), SECONDS)
            finally:
                await channel.close()
            self.assertLess(resident_bytes(self.server.process.pid) - before, self.kept_bytes)
            self.server.signal()
            await self.assert_drained(self.server, 20.0)

        return self.story(told())

    def conversations(self) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
        """Each way to speak in frames: opens one."""

        async def connect() -> ConnectConversation:
            return ConnectConversation(self.channel)

        ways: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {"Connect": connect}
        for name, subprotocol in SUBPROTOCOLS.items() if self.grpc_server is None else ():
            ways[name] = lambda subprotocol=subprotocol: open_conversation(self.ws, subprotocol)
        return ways

    def peers(self) -> dict[str, Any]:
        """Each way to ask."""
        peers: dict[str, Any] = {name: FramesPeer(way) for name, way in self.conversations().items()}
        if self.grpc_server is None:
            peers["HTTP"] = HttpPeer("127.0.0.1", self.server.http_port)
        return {**peers, "RPC": GrpcPeer(self.channel)}

    async def refusal(self, peer: Any, request: Any) -> QuickPulseError:
        """The error that a request gets."""
        try:
            reply = await peer.ask(request)
        except QuickPulseError as error:
            return error
        raise AssertionError(f"it was served: {reply}")

    async def until_waiters(self, server: RealServer, peer: Any, wanted: int) -> None:
        """Until so many wait for the queue."""
        while (await peer.ask(GetQueue("q"))).waiters != wanted:
            await asyncio.sleep(POLL_SECONDS)


class AbsurdRequestBehaviour:
    """Requests whose numbers nobody means."""

    def test_receipts_never_given(self) -> Any:
        """They are unknown, however many; of another's queue too; and nobody's lease is touched."""

        async def story() -> None:
            for name, peer in self.peers().items():
                queue = f"held-by-{name}"
                await peer.ask(Publish(queue, Batch((b"a", b"b"))))
                held = await peer.ask(Pull((queue,), 2))
                first = held.first_receipt
                for receipts in (
                    ((1, 100_000),),
                    ((2**64 - 100_000, 2**64 - 1),),
                    tuple((each, each) for each in range(1, 1_001)),
                ):
                    reply = await peer.ask(Settle(queue, receipts))
                    self.assertEqual(reply.settled, 0, name)
                    missing = sum(last - begin + 1 for begin, last in reply.unknown)
                    self.assertEqual(missing, sum(last - begin + 1 for begin, last in receipts), name)
                await peer.ask(Publish("other", Batch((b"x",))))
                self.assertEqual((await peer.ask(Settle("other", ((first, first + 1),)))).settled, 0, name)
                for receipts in (((1, 100_001),), ((5, 4),), ((1, 2**64 - 1),), ((1, 100),) * 1_001):
                    self.assertIsInstance(await self.refusal(peer, Settle(queue, receipts)), InvalidArgument, name)
                self.assertEqual((await peer.ask(Settle(queue, ((first, first + 1),)))).settled, 2, name)
                await peer.close()

        return self.play(story)

    def test_absurd_batches(self) -> Any:
        """What fits is served, what does not is refused before anything of it is kept."""

        async def story() -> None:
            for name, peer in self.peers().items():
                queue = f"batches-of-{name}"
                many = Publish(queue, Batch((b"",) * 100_001))
                self.assertIsInstance(await self.refusal(peer, many), InvalidArgument, name)
                for first in (1, 60_001):
                    reply = await peer.ask(Publish(queue, Batch((b"",) * 60_000)))
                    self.assertEqual(list(reply.sequences), [(first, first + 59_999)], name)
                got = await peer.ask(Pull((queue,), 2**32 - 1, max_bytes=2**62))
                self.assertEqual(len(got.batch.payloads), 100_000, name)  # as many as can be settled at once
                await peer.ask(DeleteQueue(queue))
                reply = await peer.ask(Publish("none", Batch((bytes(2**20 + 1),)), atomic=True))
                self.assertEqual(list(reply.sequences), [], name)
                self.assertIsInstance(reply.rejections[0].error, MessageTooLarge, name)
                self.assertIsInstance(await self.refusal(peer, Pull(("q",) * 100_000)), InvalidArgument, name)
                self.assertIsInstance(await self.refusal(peer, GetQueue(queue)), NotFound, name)
                await peer.close()

        return self.play(story)

    def test_too_long(self) -> Any:
        """A request of 8 MB ends its connection, or its call; over HTTP it is refused. The server keeps none of it."""

        async def story() -> None:
            long = Publish("long", Batch((bytes(1_000_000),) * 8))
            too_long = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)  # ours, or grpcio's own
            peers = self.peers()
            if "HTTP" in peers:
                self.assertIsInstance(await self.refusal(peers["HTTP"], long), RequestTooLarge)
            row = BY_KIND[Publish]
            error = await error_of(self.channel.unary_unary(row.grpc_path)(row.request.serialize(long)))
            self.assertIn(error.code(), too_long)
            for name, converse in self.conversations().items():
                it = await converse()
                if name == "Connect":
                    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                        await it.send(1, long)
                    self.assertIn(await it.call.code(), too_long)
                    continue
                with self.assertRaises(ConnectionClosed) as caught:
                    await it.send(1, long)
                    while True:
                        await it.receive()
                self.assertEqual(caught.exception.rcvd.code, 1009, name)
            for name, peer in peers.items():
                self.assertTrue((await peer.ask(Publish("q", Batch((b"a",))))).sequences, name)
                await peer.close()

        return self.play(story)

    def test_credit(self) -> Any:
        """More than there may be, at once or by and by: an error, the subscription's end; the connection goes on."""

        async def story() -> None:
            for name, converse in self.conversations().items():
                it = await converse()
                for number, wrong in enumerate((Subscribe("q", 2**32 - 1), Subscribe("q", 1, 2**63)), 1):
                    await it.send(number, wrong)
                    request_id, reply = await it.receive()
                    self.assertEqual((request_id, type(reply)), (number, InvalidArgument), name)
                for number, more in enumerate((Credit(3, 1), Credit(4, 0, 2**64 - 1), Credit(5, 2**32 - 1)), 3):
                    await it.send(number, Subscribe("q", 2**31 - 1, 1))
                    self.assertEqual(await it.receive(), (number, Subscribed()), name)
                    for _ in range(3):  # what comes after the end is of no subscription
                        await it.send(0, more)
                    request_id, ended = await it.receive()
                    self.assertEqual((request_id, type(ended)), (number, SubscriptionEnded), name)
                    self.assertIsInstance(ended.error, InvalidArgument, name)
                await it.send(9, GetQueue("q"))
                request_id, info = await it.receive()
                self.assertEqual((request_id, info.waiters), (9, 0), name)
                await it.close()

        return self.play(story)


class NameTests(HostileTestCase):
    """A hundred thousand queues."""

    def test_names(self) -> Any:
        """So many are made as may be; the others are refused, on every transport, and the first go on."""

        async def story() -> None:
            sock = await wire.connect(self.server.ports["WebSocket"])
            frames = (write_request(at, Publish(f"queue-{at}", Batch((b"a",))), BINARY) for at in range(1, NAMES + 1))
            head = wire.upgrade(V1_PATH, "Sec-WebSocket-Protocol: quickpulse.v1.bin")
            sent = head + b"".join(map(wire.frame, frames)) + wire.frame(b"\x03\xe8", 8)
            received = await self.exchange(sock, sent)
            replies = [
                read_reply(payload, BINARY)[1]
                for opcode, payload in wire.read_frames(received.partition(b"\r\n\r\n")[2])
                if opcode == 2
            ]
            self.assertEqual(len(replies), NAMES)
            made = MOST_QUEUES - 1  # `default` is one, too
            self.assertTrue(all(reply.sequences for reply in replies[:made]))
            self.assertEqual({type(reply) for reply in replies[made:]}, {TooManyQueues})
            for name, peer in self.peers().items():
                for number in range(50):
                    request = Publish(f"{name}-{number}", Batch((b"a",))) if number % 2 else Pull((f"{name}-{number}",))
                    self.assertIsInstance(await self.refusal(peer, request), TooManyQueues, name)
                await peer.ask(Publish("queue-1", Batch((name.encode(),))))
                self.assertEqual(len((await peer.ask(Pull(("queue-1",)))).batch.payloads), 1, name)
                await peer.close()

        return self.play(story)

    async def exchange(self, sock: Any, sent: bytes) -> bytes:
        """Send and read at a time, to the end."""
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(sock, sent))
        parts = []
        while part := await loop.sock_recv(sock, 1 << 20):
            parts.append(part)
        await sending
        sock.close()
        return b"".join(parts)


class WaiterBehaviour:
    """Ten thousand that wait, and vanish."""

    def vanishing(self, way: Callable[[], tuple[int, bytes, int]]) -> Any:
        """Connections that are cut while they wait: nothing waits for them, nothing is leased or taken.

        :param way: gives port, what a connection sends, and how many wait by it.
        """

        async def story() -> None:
            port, sent, each = way()
            peer = GrpcPeer(self.channel)
            await peer.ask(Pull(("q",)))  # which makes the queue
            sockets = []
            for _ in range(-(-WAITERS // each)):
                sock = await wire.connect(port)
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                sockets.append(sock)
            await self.until_waiters(self.server, peer, len(sockets) * each)
            for sock in sockets:
                wire.vanish(sock)
            await self.until_waiters(self.server, peer, 0)
            await peer.ask(Publish("q", Batch((b"x",) * 50)))
            info = await peer.ask(GetQueue("q"))
            self.assertEqual((info.ready, info.leased), (50, 0))

        return self.play(story)

    def test_connect(self) -> Any:
        """Ten calls of Connect with a thousand pulls each."""

        def way() -> tuple[int, bytes, int]:
            frames = [write_request(at, Pull(("q",), wait_ms=WAIT_MS), BINARY) for at in range(1, 1001)]
            head = OPENING + h2.headers(1, h2.fields_of(CONNECT_PATH))
            return self.server.port, head + b"".join(h2.data(1, h2.message(frame), 0) for frame in frames), 1000

        return self.vanishing(way)

    def test_unary(self) -> Any:
        """Connections with five hundred calls each."""

        def way() -> tuple[int, bytes, int]:
            row = BY_KIND[Pull]
            body = h2.message(row.request.serialize(Pull(("q",), wait_ms=WAIT_MS)))
            return self.server.port, OPENING + h2.pipelined(row.grpc_path, body, 500), 500

        return self.vanishing(way)


class WebSocketWaiterTests(WaiterBehaviour, HostileTestCase):
    """Those of WebSocket and HTTP, which no gRPC server has a part in."""

    def test_connect(self) -> Any:
        """Ten connections with a thousand pulls each, in JSON."""

        def way() -> tuple[int, bytes, int]:
            head = wire.upgrade(V1_PATH, "Sec-WebSocket-Protocol: quickpulse.v1.json")
            asked = {"pull": {"queues": ["q"], "wait_ms": WAIT_MS}}
            texts = (json.dumps({"request_id": at, **asked}).encode() for at in range(1, 1001))
            return self.server.ports["WebSocket"], head + b"".join(wire.frame(each, 1) for each in texts), 1000

        return self.vanishing(way)

    def test_unary(self) -> Any:
        """Over HTTP no more may wait than connections are kept for: the others are refused, and all that wait go."""

        async def story() -> None:
            peer = GrpcPeer(self.channel)
            await peer.ask(Pull(("q",)))
            body = json.dumps({"wait_ms": WAIT_MS}).encode()
            head = (
                "POST /api/v1/queues/q/pull HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            for _ in range(2):
                sockets = [await wire.connect(self.server.http_port) for _ in range(950)]
                for sock in sockets:
                    await asyncio.get_running_loop().sock_sendall(sock, head.encode() + body)
                await self.until_waiters(self.server, peer, 900)
                answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sockets[-1], 65_536), 20)
                self.assertTrue(answer.startswith(b"HTTP/1.1 429 "), answer)
                for sock in sockets:
                    wire.vanish(sock)
                await self.until_waiters(self.server, peer, 0)
            await peer.ask(Publish("q", Batch((b"x",))))
            self.assertEqual((await peer.ask(GetQueue("q"))).ready, 1)

        return self.play(story)


class NativeTests(AbsurdRequestBehaviour, WaiterBehaviour, HostileTestCase):
    """With the native gRPC server."""


class GrpcioTests(AbsurdRequestBehaviour, WaiterBehaviour, HostileTestCase):
    """With grpcio's, which takes 20 KiB for a call that is open; Python does not give all of it back."""

    grpc_server = "grpcio"
    kept_bytes = 4 * KEPT_BYTES


class MalformedTests(HostileTestCase):
    """What is no request at all."""

    def garbage(self) -> list[bytes]:
        """Random bytes, a frame cut off anywhere, and fields that are another's."""
        rng = random.Random(5)
        whole = write_request(1, Publish("q", Batch((b"a" * 100,))), BINARY)
        cut = [whole[:size] for size in range(1, len(whole), 7)]
        return [rng.randbytes(rng.randrange(1, 200)) for _ in range(60)] + cut

    def test_frames(self) -> Any:
        """Each ends its connection or is answered with an error; a good one beside it goes on."""

        async def story() -> None:
            good = FramesPeer(self.conversations()["quickpulse.v1.bin"])
            for data in self.garbage():
                call = self.channel.stream_stream(CONNECT_PATH)()
                await call.write(data)
                await call.done_writing()
                frames = []
                try:
                    while (frame := await call.read()) is not grpc.aio.EOF:
                        frames.append(read_reply(frame, BINARY)[1])
                except grpc.aio.AioRpcError:
                    pass
                if await call.code() is not grpc.StatusCode.OK:
                    self.assertIs(await call.code(), grpc.StatusCode.INVALID_ARGUMENT, data)
                else:
                    self.assertTrue(all(isinstance(frame, QuickPulseError) for frame in frames), frames)
                head = wire.upgrade(V1_PATH, "Sec-WebSocket-Protocol: quickpulse.v1.bin")
                sent = head + wire.frame(data) + wire.frame(b"\x03\xe8", 8)
                answer = await wire.ask(self.server.ports["WebSocket"], sent)
                closing = [
                    payload for opcode, payload in wire.read_frames(answer.partition(b"\r\n\r\n")[2]) if opcode == 8
                ]
                self.assertIn(int.from_bytes(closing[0][:2], "big"), (1000, 1007), data)
                self.assertTrue((await good.ask(Publish("good", Batch((b"a",))))).sequences)
            await good.close()

        return self.play(story)

    def test_deep_json(self) -> Any:
        """A million brackets: refused by the parser's bound, over HTTP and WebSocket."""

        async def story() -> None:
            good = HttpPeer("127.0.0.1", self.server.http_port)
            for text in (
                b"[" * DEEP,
                b'{"a":' * DEEP,
                b'{"publish":' * DEEP + b"1" + b"}" * DEEP,
                b"[" * DEEP + b"]" * DEEP,
            ):
                head = (
                    "POST /api/v1/queues/q/publish HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                )
                answer = await wire.ask(self.server.http_port, head.encode() + text, 60)
                status = int(answer.split()[1])
                self.assertIn(status, (400, 413), answer[:200])
                sent = wire.upgrade(V1_PATH, "Sec-WebSocket-Protocol: quickpulse.v1.json") + wire.frame(text, 1)
                answer = await wire.ask(self.server.ports["WebSocket"], sent + wire.frame(b"\x03\xe8", 8), 60)
                closing = [
                    payload for opcode, payload in wire.read_frames(answer.partition(b"\r\n\r\n")[2]) if opcode == 8
                ]
                self.assertIn(int.from_bytes(closing[0][:2], "big"), (1007, 1009), text[:20])
                self.assertTrue((await good.ask(Publish("good", Batch((b"a",))))).sequences)

        return self.play(story)

    def test_rpcs(self) -> Any:
        """Garbage for each RPC is INVALID_ARGUMENT, or what it means is refused or served; the connection lives."""

        async def story() -> None:
            for row in BY_KIND.values():
                if not row.rpc:
                    continue
                for data in self.garbage()[:30]:
                    try:
                        await self.channel.unary_unary(row.grpc_path)(b"\xff" + data)
                    except grpc.aio.AioRpcError as error:
                        self.assertIs(error.code(), grpc.StatusCode.INVALID_ARGUMENT, (row.name, data))
                        self.assertEqual(dict(error.trailing_metadata())["quickpulse-reason"], MalformedRequest.code)
            self.assertTrue(
                pb.ServerInfo.FromString(await self.channel.unary_unary("/quickpulse.v1.Queues/GetServerInfo")(b""))
            )

        return self.play(story)
