"""The client's link: frames both ways against a server's half of HTTP/2, and every way in which it ends."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.errors import ConnectionLost, TlsFailed
from quickpulse.client.grpc_link import GrpcLink
from quickpulse.errors import NotFound, QuickPulseError, RequestTooLarge, Unauthenticated, Unsupported
from quickpulse.requests import Batch, GetQueue, Publish, PublishReply
from quickpulse.wire.grpc.framing import MessageReader, framed
from quickpulse.wire.grpc.status import OK_TRAILERS, RESPONSE_HEAD, RpcError, Status, only_trailers, trailers
from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.connection import Connection
from quickpulse.wire.v1.frames import BINARY, read_request, write_reply

MOST_BYTES = 64 * 1024 * 1024


class LinkTestCase(SynchronousTestCase):
    """A link, and a server's half."""

    def setUp(self) -> None:
        """Shake hands."""
        self.link = GrpcLink("host:1", token="secret")
        self.server = Connection()
        self.reader = MessageReader(MOST_BYTES, False)
        (opened,) = self.to_server()
        self.stream = opened.stream
        self.fields = dict(opened.meaning)

    def to_server(self) -> list[Any]:
        """What the server gets."""
        return self.server.receive(self.link.data_to_send(), 0.0)

    def to_client(self, step: int = 0) -> list[tuple[int, Any]]:
        """What the client gets; in steps of so many bytes, 0: at once."""
        data = self.server.data_to_send()
        step = step or max(len(data), 1)
        return [frame for at in range(0, len(data), step) for frame in self.link.receive(data[at : at + step], 0.0)]

    def fault(self) -> QuickPulseError:
        """Why the link is over."""
        ((request_id, error),) = self.to_client()
        self.assertEqual(request_id, 0)
        assert isinstance(error, QuickPulseError)
        return error


class FrameTests(LinkTestCase):
    """Requests and replies."""

    def test_fields(self) -> None:
        """The call is Connect, as gRPC has it."""
        self.assertEqual(self.fields[b":path"], b"/quickpulse.v1.Queues/Connect")
        self.assertEqual(self.fields[b":authority"], b"host:1")
        self.assertEqual(self.fields[b"authorization"], b"Bearer secret")
        self.assertEqual(self.fields[b"te"], b"trailers")
        self.assertEqual(self.fields[b":scheme"], b"http")

    def test_fields_with_tls(self) -> None:
        """The scheme says so."""
        (opened,) = Connection().receive(GrpcLink("host:1", is_tls=True).data_to_send(), 0.0)
        assert isinstance(opened, ev.Opened)
        self.assertEqual(dict(opened.meaning)[b":scheme"], b"https")

    def test_request(self) -> None:
        """It arrives as it was sent, however long: as the windows open."""
        request = Publish("q", Batch([bytes(100_000)] * 10), b"key")
        self.link.send(7, request)
        messages: list[bytes] = []
        while not messages:
            events = self.to_server()
            self.assertTrue(events)
            messages += self.reader.feed(
                [chunk for event in events if isinstance(event, ev.Data) for chunk in event.chunks]
            )
            self.to_client()
        self.assertEqual(read_request(messages[0], BINARY, MOST_BYTES), (7, request))
        self.assertEqual(self.link.unsent_bytes, 0)

    def test_replies(self) -> None:
        """They are read byte by byte as well as at once."""
        for step in (0, 1):
            if not step:
                self.server.send_headers(self.stream, RESPONSE_HEAD)
            body = framed(write_reply(1, PublishReply(((1, 1),)), BINARY)) + framed(
                write_reply(2, NotFound("x"), BINARY)
            )
            self.server.send_data(self.stream, body)
            (first, reply), (second, error) = self.to_client(step)
            self.assertEqual((first, list(reply.sequences), second, type(error)), (1, [(1, 1)], 2, NotFound))

    def test_too_long_for_the_server(self) -> None:
        """It is not sent, as the connection would end."""
        self.link.max_batch_bytes = 100
        self.assertRaises(RequestTooLarge, self.link.send, 1, Publish("q", Batch([bytes(100)])))
        self.assertEqual(self.link.data_to_send(), b"")
        self.link.send(1, GetQueue("q"))
        self.assertTrue(self.link.data_to_send())

    def test_ping(self) -> None:
        """The server answers it by itself."""
        self.link.ping()
        self.to_server()
        self.assertEqual(self.to_client(), [])

    def test_end(self) -> None:
        """The server is told, and answers."""
        self.link.end()
        self.link.end()
        self.assertTrue(any(isinstance(event, ev.Ended) for event in self.to_server()))
        self.server.respond(self.stream, RESPONSE_HEAD, b"", OK_TRAILERS)
        self.assertIsInstance(self.fault(), ConnectionLost)


class FaultTests(LinkTestCase):
    """Every end has a reason."""

    def test_tls(self) -> None:
        """A server that speaks it does not do so less at the next attempt."""
        ((_, error),) = self.link.receive(b"\x15\x03\x03\x00\x02\x02\x46" * 3, 0.0)
        self.assertIsInstance(error, TlsFailed)

    def end_with(self, error: RpcError, *, begun: bool = False) -> QuickPulseError:
        """The server ends the call."""
        if begun:
            self.server.send_headers(self.stream, RESPONSE_HEAD)
            self.server.end(self.stream, trailers(error))
        else:
            self.server.answer(self.stream.id, only_trailers(error))
        return self.fault()

    def test_error_of_ours(self) -> None:
        """It is of the server's class, before and after the answer has begun."""
        for begun in (False, True):
            self.setUp()
            fields = [(b"quickpulse-reason", b"UNAUTHENTICATED")]
            error = self.end_with(RpcError(Status.UNAUTHENTICATED, "who? 100 %", fields), begun=begun)
            self.assertIsInstance(error, Unauthenticated)
            self.assertEqual(str(error), "who? 100 %")

    def test_no_v1(self) -> None:
        """A server that does not know the call is not asked again."""
        self.assertIsInstance(self.end_with(RpcError(Status.UNIMPLEMENTED, "no such method")), Unsupported)

    def test_other_status(self) -> None:
        """It may be better next time."""
        error = self.end_with(RpcError(Status.UNAVAILABLE, "later"))
        self.assertIsInstance(error, ConnectionLost)
        self.assertIn("later", str(error))

    def test_reset(self) -> None:
        """The call was broken off."""
        self.server.reset(self.stream)
        self.assertIsInstance(self.fault(), ConnectionLost)

    def test_reply_before_the_end(self) -> None:
        """It counts."""
        self.server.send_headers(self.stream, RESPONSE_HEAD)
        self.server.send_data(self.stream, framed(write_reply(1, NotFound("x"), BINARY)))
        self.server.end(self.stream, trailers(RpcError(Status.UNAVAILABLE, "later")))
        self.assertEqual([request_id for request_id, _ in self.to_client()], [1, 0])

    def test_another_port_of_the_server(self) -> None:
        """Its WebSocket and its HTTP port answer in HTTP/1: the error says so."""
        ((_, error),) = self.link.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3, 0.0)
        self.assertIsInstance(error, ConnectionLost)
        self.assertIn("speaks HTTP/1", str(error))

    def test_nonsense(self) -> None:
        """What cannot be read ends it: no HTTP/2, no frame, a frame that is too long."""
        ((_, error),) = self.link.receive(b"SSH-2.0-OpenSSH\r\n\r\n" * 3, 0.0)
        self.assertIsInstance(error, ConnectionLost)
        self.assertIn("no HTTP/2", str(error))
        for body in (framed(b"\xff\xff\xff"), b"\0\xff\xff\xff\xff", b"\7\0\0\0\0"):
            self.setUp()
            self.server.send_headers(self.stream, RESPONSE_HEAD)
            self.server.send_data(self.stream, body)
            self.assertIsInstance(self.fault(), ConnectionLost)
