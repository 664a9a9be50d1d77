"""Clients of v1 that wait with a thousand pulls and do not read: what they could not be sent goes to others.

In a real process, on each way by which many pulls of one connection can wait.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import grpc

from quickpulse.requests import Batch, Delivery, GetQueue, Publish, Pull, QueueInfo
from quickpulse.wire.v1.frames import BINARY, write_request
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH
from quickpulse.wire.websocket.subprotocols import V1_PATH
from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.hostile import slow_connection
from tests.interop.hostile_http2 import OPEN_WINDOWS, OPENING
from tests.interop.server import POLL_SECONDS, RealServer, RealServerTestCase
from tests.transports.grpc_v1_peers import GrpcPeer

MARK = b"<a message>"

MESSAGE = MARK.ljust(65_536, b"\0")

MESSAGES, AT_ONCE = 640, 40
"""40 MiB in all, more than any kernel keeps for a connection."""

MOST_BYTES = 16 * 1024 * 1024
"""Of what may be on its way to a client that does not read: the kernel's buffers, and a little."""

PULL = Pull(("q",), wait_ms=600_000)

FRAMES = [write_request(at, PULL, BINARY) for at in range(1, 1025)]


def websocket_frames() -> bytes:
    """A handshake, and a message for each pull."""
    head = wire.upgrade(V1_PATH, "Sec-WebSocket-Protocol: quickpulse.v1.bin")
    return head + b"".join(map(wire.frame, FRAMES))


def connect_frames() -> bytes:
    """A call of Connect, with all windows open."""
    pulls = b"".join(h2.data(1, h2.message(frame), 0) for frame in FRAMES)
    return OPENING + OPEN_WINDOWS + h2.headers(1, h2.fields_of(CONNECT_PATH)) + pulls


UNARY = 900


def unary_calls() -> bytes:
    """As many calls as a connection may have."""
    row = BY_KIND[Pull]
    return OPENING + OPEN_WINDOWS + h2.pipelined(row.grpc_path, h2.message(row.request.serialize(PULL)), UNARY)


def marks_in_messages(received: bytes) -> int:
    """Messages in what a WebSocket has sent."""
    _, _, frames = received.partition(b"\r\n\r\n")
    return sum(payload.count(MARK) for _, payload in wire.read_frames(frames))


def marks_in_bodies(received: bytes) -> int:
    """Messages in what gRPC has sent."""
    return sum(body.count(MARK) for body in h2.Answers(received).bodies.values())


class SlowPeerTestCase(RealServerTestCase):
    """A client on a slow connection, and others."""

    timeout = 120

    async def play(
        self, server: RealServer, port: int, sent: bytes, waiters: int, marks: Callable[[bytes], int]
    ) -> None:
        """It waits, and does not read while messages come; then it does."""
        async with grpc.aio.insecure_channel(server.target) as channel:
            other = GrpcPeer(channel)
            await other.ask(Pull(("q",)))  # which makes the queue
            with await slow_connection(port) as sock:
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                await self.until_queue(other, lambda info: info.waiters == waiters)
                for _ in range(MESSAGES // AT_ONCE):
                    await other.ask(Publish("q", Batch((MESSAGE,) * AT_ONCE)))
                held = await self.leased_at_rest(other)
                self.assertGreater(held, 0)
                self.assertLess(held * len(MESSAGE), MOST_BYTES)
                got = 0
                while payloads := (await other.ask(Pull(("q",), AT_ONCE, delivery=Delivery.TAKEN))).batch.payloads:
                    got += len(payloads)
                self.assertEqual(held + got, MESSAGES)
                received = await self.read_until(sock, b"", lambda data: marks(data) == held)
                await other.ask(Publish("q", Batch((MESSAGE,))))  # its other pulls wait still
                await self.read_until(sock, received, lambda data: marks(data) == held + 1)
            await self.until_queue(other, lambda info: info.waiters == 0)
        server.signal()
        self.assertEqual(await self.assert_drained(server, 20.0), (held + 1, 0))  # all leased

    async def leased_at_rest(self, peer: GrpcPeer) -> int:
        """How many are leased, when that changes no more."""
        before = -1
        while before != (now := (await peer.ask(GetQueue("q"))).leased):
            before = now
            await asyncio.sleep(0.2)
        return before

    async def until_queue(self, peer: GrpcPeer, condition: Callable[[QueueInfo], bool]) -> None:
        """Look at the queue until something holds."""
        for _ in range(int(60 / POLL_SECONDS)):
            if condition(info := await peer.ask(GetQueue("q"))):
                return
            await asyncio.sleep(POLL_SECONDS)
        raise AssertionError(f"it did not come to pass: {info}")

    async def read_until(self, sock: socket.socket, received: bytes, is_enough: Callable[[bytes], bool]) -> bytes:
        """Read on, until what has come is enough."""
        while not is_enough(received):
            part = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1 << 22), 60)
            self.assertTrue(part, "the server has closed the connection")
            received += part
        return received


class WebSocketTests(SlowPeerTestCase):
    """/ws/v1."""

    def test_a_thousand_pulls(self) -> Any:
        """Nothing is leased for those whose reply would wait in memory."""
        server = self.serve("all", "--stall-seconds", "0")
        return self.story(
            self.play(server, server.ports["WebSocket"], websocket_frames(), len(FRAMES), marks_in_messages)
        )


class GrpcBehaviour:
    """Both ways of gRPC."""

    def test_a_thousand_pulls_of_connect(self) -> Any:
        """Nothing is leased for those whose reply would wait in memory."""
        server = self.serve("all", "--stall-seconds", "0")
        return self.story(self.play(server, server.port, connect_frames(), len(FRAMES), marks_in_bodies))

    def test_many_calls(self) -> Any:
        """Unary ones: likewise."""
        server = self.serve("all", "--stall-seconds", "0")
        return self.story(self.play(server, server.port, unary_calls(), UNARY, marks_in_bodies))


class NativeTests(GrpcBehaviour, SlowPeerTestCase):
    """The native gRPC server."""

    grpc_server = "native"


class GrpcioTests(GrpcBehaviour, SlowPeerTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"
