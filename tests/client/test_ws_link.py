"""The client's WebSocket link: frames both ways, and every way in which it ends."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

from quickpulse.client.aio import connect
from quickpulse.client.errors import ConnectionLost, TlsFailed
from quickpulse.client.ws_link import WsLink
from quickpulse.errors import (
    MalformedRequest,
    NotFound,
    PermissionDenied,
    QuickPulseError,
    RequestTooLarge,
    Unauthenticated,
    Unsupported,
)
from quickpulse.requests import Batch, GetQueue, Publish, PublishReply
from quickpulse.wire.v1.frames import BINARY, read_request, write_reply
from tests.client.worlds import run
from tests.interop.server import RealServer

MOST_BYTES = 64 * 1024 * 1024


class LinkTestCase(SynchronousTestCase):
    """A link, and a server's half."""

    def setUp(self) -> None:
        """Shake hands."""
        self.link = WsLink("host:1", token="secret")
        self.server = ServerProtocol(subprotocols=["quickpulse.v1.bin"], max_size=None)
        (request,) = self.to_server()
        assert isinstance(request, Request)
        self.request = request
        self.server.send_response(self.server.accept(request))

    def to_server(self) -> list[Any]:
        """What the server gets."""
        self.server.receive_data(self.link.data_to_send())
        return self.server.events_received()

    def to_client(self, step: int = 0) -> list[tuple[int, Any]]:
        """What the client gets; in steps of so many bytes, 0: at once."""
        data = b"".join(self.server.data_to_send())
        step = step or max(len(data), 1)
        return [frame for at in range(0, len(data), step) for frame in self.link.receive(data[at : at + step], 0.0)]

    def fault_after(self, data: bytes) -> QuickPulseError:
        """Why a link is over whose server has said this first, or after its handshake."""
        ((request_id, error),) = self.link.receive(data, 0.0)
        self.assertEqual(request_id, 0)
        assert isinstance(error, QuickPulseError)
        return error


class FrameTests(LinkTestCase):
    """Requests and replies."""

    def test_handshake(self) -> None:
        """It asks for v1 in binary, and says who asks."""
        self.assertEqual(self.request.path, "/ws/v1")
        self.assertEqual(self.request.headers["Host"], "host:1")
        self.assertEqual(self.request.headers["Authorization"], "Bearer secret")
        self.assertIn("quickpulse-python/", self.request.headers["User-Agent"])

    def test_request(self) -> None:
        """It arrives as it was sent, once the server has agreed."""
        request = Publish("q", Batch([bytes(100_000)] * 10), b"key")
        self.link.send(7, request)
        self.assertEqual(self.to_server(), [])
        self.assertEqual(self.to_client(), [])
        (frame,) = self.to_server()
        assert isinstance(frame, Frame)
        self.assertEqual(read_request(bytes(frame.data), BINARY, MOST_BYTES), (7, request))

    def test_replies(self) -> None:
        """They are read byte by byte as well as at once."""
        for step in (0, 1):
            self.server.send_binary(write_reply(1, PublishReply(((1, 1),)), BINARY))
            self.server.send_binary(write_reply(2, NotFound("x"), BINARY))
            (first, reply), (second, error) = self.to_client(step)
            self.assertEqual((first, list(reply.sequences), second, type(error)), (1, [(1, 1)], 2, NotFound))

    def test_too_long_for_the_server(self) -> None:
        """It is not sent, as the connection would end."""
        self.to_client()
        self.link.max_batch_bytes = 100
        self.assertRaises(RequestTooLarge, self.link.send, 1, Publish("q", Batch([bytes(100)])))
        self.assertEqual(self.link.data_to_send(), b"")
        self.link.send(1, GetQueue("q"))
        self.assertTrue(self.link.data_to_send())

    def test_ping(self) -> None:
        """The server answers it by itself."""
        self.to_client()
        self.link.ping()
        self.to_server()
        self.assertEqual(self.to_client(), [])

    def test_end(self) -> None:
        """The server is told, and answers."""
        self.to_client()
        self.link.end()
        self.link.end()
        self.to_server()
        ((_, error),) = self.to_client()
        self.assertIsInstance(error, ConnectionLost)


class FaultTests(LinkTestCase):
    """Every end has a reason, of a kind that says whether the next connection may be better."""

    def test_refusals(self) -> None:
        """By HTTP's status; the text has the server's words."""
        for status, kind in (
            ("401 no token", Unauthenticated),
            ("403 not you", PermissionDenied),
            ("404 no such path", Unsupported),
            ("301 elsewhere", Unsupported),
            ("200 a page", Unsupported),
            ("400 what", Unsupported),
            ("429 too many connections", ConnectionLost),
            ("503 server is restarting", ConnectionLost),
        ):
            self.link = WsLink("host:1")
            error = self.fault_after(f"HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n".encode())
            self.assertIs(type(error), kind)
            self.assertIn(status, str(error))

    def test_closes(self) -> None:
        """By the code; where the reason is one of the server's errors, by that."""
        for code, reason, kind in (
            (1001, "no message for 60 s", ConnectionLost),
            (1002, "", ConnectionLost),
            (1007, "", MalformedRequest),
            (1008, "a flood", PermissionDenied),
            (1008, "UNAUTHENTICATED", Unauthenticated),
            (1009, "", RequestTooLarge),
            (1011, "", ConnectionLost),
            (1012, "server is restarting", ConnectionLost),
            (1013, "", ConnectionLost),
            (4000, "MALFORMED_REQUEST", MalformedRequest),
        ):
            self.setUp()
            self.to_client()
            self.server.send_close(code, reason)
            ((request_id, error),) = self.to_client()
            self.assertEqual(request_id, 0)
            self.assertIs(type(error), kind)
            self.assertIn(str(code), str(error))
            self.assertIn(reason, str(error))

    def test_reply_before_the_end(self) -> None:
        """It counts."""
        self.server.send_binary(write_reply(1, NotFound("x"), BINARY))
        self.server.send_close(1012)
        self.assertEqual([request_id for request_id, _ in self.to_client()], [1, 0])

    def test_frame_that_is_none(self) -> None:
        """What stands before it counts."""
        self.server.send_binary(write_reply(1, NotFound("x"), BINARY))
        self.server.send_binary(b"\xff\xff\xff")
        (first, _), (request_id, error) = self.to_client()
        self.assertEqual((first, request_id), (1, 0))
        self.assertIsInstance(error, ConnectionLost)

    def test_other_servers(self) -> None:
        """One that has no WebSocket, and one that has TLS, which is not worth another attempt."""
        for size in (1, 7):
            self.link = WsLink("host:1")
            self.assertIsInstance(self.fault_after(b"\x15\x03\x03\x00\x02\x02\x46"[:size]), TlsFailed)
        self.link = WsLink("host:1")
        self.assertIsInstance(self.fault_after(b"SSH-2.0-OpenSSH\r\n"), ConnectionLost)


class ServerTests(SynchronousTestCase):
    """Both ways in which the server reads frames."""

    def use(self, frames: str) -> None:
        """Short and long messages, a subscription, and an end in order."""
        server = RealServer("ws", "--ws-frames", frames)
        self.addCleanup(server.end)
        payloads = [bytes([size & 0xFF]) * size for size in (0, 1, 125, 126, 65_535, 65_536, 300_000)]

        async def main() -> None:
            async with await connect(f"quickpulse+ws://127.0.0.1:{server.port}") as client:
                queue = client.queue("q")
                await queue.publish_many(payloads)
                async with queue.subscribe(credit_messages=2) as messages:
                    for payload in payloads:
                        message = await messages.__anext__()
                        self.assertEqual(message.payload, payload)
                        message.ack()
                self.assertEqual((await queue.stats()).counts["acked"], len(payloads))

        run(main())

    def test_fast(self) -> None:
        """All that a read has at once."""
        self.use("fast")

    def test_plain(self) -> None:
        """By autobahn alone."""
        self.use("plain")
