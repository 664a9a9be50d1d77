"""The client's half of a WebSocket, against another library's server and against servers that break the rules."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from quickpulse.wire.websocket.client import (
    MOST_CONTROL_FRAMES,
    MOST_HEAD_BYTES,
    Broken,
    ClientConnection,
    Closed,
    Refused,
    accept_of,
)

SUBPROTOCOL = "quickpulse.v1.bin"
MOST_BYTES = 1_000
KEY = b"MDEyMzQ1Njc4OTAxMjM0NQ=="
GOOD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: quickpulse.v1.bin\r\n" % accept_of(KEY)
)


def connection(most_bytes: int = MOST_BYTES) -> ClientConnection:
    """One whose random bytes are known."""
    return ClientConnection(
        "host:1",
        "/ws/v1",
        SUBPROTOCOL,
        [("Authorization", "Bearer x")],
        most_bytes,
        lambda size: b"0123456789012345"[:size],
    )


def opened(most_bytes: int = MOST_BYTES) -> ClientConnection:
    """One whose handshake is done."""
    client = connection(most_bytes)
    client.data_to_send()
    assert client.receive(GOOD + b"\r\n", 0.0) == []
    assert client.is_open
    return client


def feed(client: ClientConnection, data: bytes, step: int = 0) -> list[bytes]:
    """The messages of `data`, in steps of so many bytes; 0: at once."""
    step = step or max(len(data), 1)
    return [each for at in range(0, len(data), step) for each in client.receive(data[at : at + step], 0.0)]


class HandshakeTests(SynchronousTestCase):
    """The first answer decides."""

    def refusal_of(self, head: bytes) -> Any:
        """How it ends after this answer, however it is cut."""
        ends = []
        for step in (0, 1, 7):
            client = connection()
            feed(client, head, step)
            self.assertFalse(client.is_open)
            ends.append(client.end)
        self.assertEqual(ends[0], ends[1])
        self.assertEqual(ends[0], ends[2])
        return ends[0]

    def test_accept(self) -> None:
        """RFC 6455, section 1.3, has an example."""
        self.assertEqual(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    def test_request(self) -> None:
        """Another library's server finds nothing wrong in it."""
        server = ServerProtocol(subprotocols=[SUBPROTOCOL])
        server.receive_data(connection().data_to_send())
        (request,) = server.events_received()
        assert isinstance(request, Request)
        self.assertEqual(
            (request.path, request.headers["Host"], request.headers["Authorization"]), ("/ws/v1", "host:1", "Bearer x")
        )
        self.assertEqual(server.accept(request).status_code, 101)

    def test_good(self) -> None:
        """Upper case, further fields, and more that comes with it; cut anywhere."""
        data = GOOD + b"Server: x\r\n\r\n" + b"\x82\x02hi"
        for cut in range(len(data)):
            client = connection()
            messages = client.receive(data[:cut], 0.0) + client.receive(data[cut:], 0.0)
            self.assertEqual((messages, client.is_open, client.end), ([b"hi"], True, None))

    def test_nothing_before(self) -> None:
        """What is sent before the answer waits for it, and comes behind it in its order."""
        client = connection()
        client.send(b"one")
        self.assertEqual(client.data_to_send().count(b"\r\n\r\n"), 1)
        client.send(b"two")
        self.assertEqual(client.data_to_send(), b"")
        client.receive(GOOD + b"\r\n", 0.0)
        sent = client.data_to_send()
        self.assertEqual([sent[at] for at in (0, 9)], [0x82, 0x82])
        self.assertEqual(len(sent), 2 * 9)

    def test_refused(self) -> None:
        """A page in place of a WebSocket is known by its status, whatever follows."""
        self.assertEqual(
            self.refusal_of(b"HTTP/1.1 401 Who are you\r\nContent-Length: 3\r\n\r\nbye"), Refused(401, "Who are you")
        )
        self.assertEqual(self.refusal_of(b"HTTP/1.0 502\r\n\r\n"), Refused(502, ""))
        self.assertEqual(self.refusal_of(b"HTTP/1.1 200 OK\r\n\r\n<html>"), Refused(200, "OK"))

    def test_wrong(self) -> None:
        """Each thing that must be agreed to."""
        for good, bad, text in (
            (b"Upgrade: WebSocket", b"Upgrade: h2c", "no Upgrade"),
            (b"keep-alive, Upgrade", b"keep-alive", "no Connection"),
            (accept_of(KEY), accept_of(KEY).lower(), "wrong Sec-WebSocket-Accept"),
            (b"quickpulse.v1.bin", b"quickpulse.v1.json", "not agreed"),
            (b"Sec-WebSocket-Protocol: quickpulse.v1.bin\r\n", b"", "not agreed"),
            (b"Upgrade: Web", b"Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: Web", "extension"),
            (b"HTTP/1.1 101", b"HTTP/1.1 1o1", "HTTP"),
            (b"HTTP/1.1 101", b"HTTP/1.1 1010", "HTTP"),
        ):
            end = self.refusal_of(GOOD.replace(good, bad) + b"\r\n")
            assert isinstance(end, Broken)
            self.assertIn(text, end.text)

    def test_no_http(self) -> None:
        """It is known by the first byte."""
        for data in (b"\x00\x00\x12\x04", b"SSH-2.0-x\r\n"):
            client = connection()
            client.receive(data[:1], 0.0)
            self.assertIsInstance(client.end, Broken)

    def test_endless_head(self) -> None:
        """It is read up to a bound."""
        client = connection()
        fed = 0
        while client.end is None:
            client.receive(b"HTTP/1.1 101 x\r\n" if not fed else b"x: 1\r\n", 0.0)
            fed += 6
        self.assertIsInstance(client.end, Broken)
        self.assertLessEqual(fed, MOST_HEAD_BYTES + 12)


class FrameTests(SynchronousTestCase):
    """Messages both ways."""

    def test_sent(self) -> None:
        """Another library's server reads every length as it was."""
        server = ServerProtocol(subprotocols=[SUBPROTOCOL], max_size=None)
        client = ClientConnection("host", "/", SUBPROTOCOL, [], MOST_BYTES)
        server.receive_data(client.data_to_send())
        (request,) = server.events_received()
        assert isinstance(request, Request)
        server.send_response(server.accept(request))
        client.receive(b"".join(server.data_to_send()), 0.0)
        for size in (0, 1, 125, 126, 127, 65_535, 65_536, 200_000):
            message = bytes(at & 0xFF for at in range(size))
            client.send(message)
            server.receive_data(client.data_to_send())
            (frame,) = server.events_received()
            self.assertEqual((frame.opcode, frame.data), (Opcode.BINARY, message))
        server.send_ping(b"there?")
        client.receive(b"".join(server.data_to_send()), 0.0)
        server.receive_data(client.data_to_send())
        (pong,) = server.events_received()
        self.assertEqual((pong.opcode, pong.data), (Opcode.PONG, b"there?"))
        client.ping()
        server.receive_data(client.data_to_send())
        self.assertEqual(client.receive(b"".join(server.data_to_send()), 0.0), [])
        client.close()
        server.receive_data(client.data_to_send())
        client.receive(b"".join(server.data_to_send()), 0.0)
        self.assertEqual(client.end, Closed(1000, ""))

    def test_key_is_fresh(self) -> None:
        """Each frame has its own."""
        client = ClientConnection("host", "/", SUBPROTOCOL, [], MOST_BYTES)
        for _ in range(50):
            client.send(b"")
        self.assertEqual(client.waiting_bytes, 50 * 6)
        self.assertGreater(len(set(client._early)), 40)

    def test_received(self) -> None:
        """Whole, in fragments, with control frames between them; cut at every byte."""
        long = bytes(range(200))
        data = b"\x82\x01a" + b"\x02\x01b\x89\x02??\x00\x00\x8a\x00\x80\x01c" + b"\x82\x7e\x00\xc8" + long + b"\x82\x00"
        expected = [b"a", b"bc", long, b""]
        for step in range(len(data)):
            client = opened()
            self.assertEqual(feed(client, data, step), expected)
            sent = client.data_to_send()
            self.assertEqual((sent[0], sent[1], len(sent)), (0x8A, 0x82, 8))
            self.assertIsNone(client.end)

    def test_length_in_eight_bytes(self) -> None:
        """One of 70,000 bytes."""
        data = b"\x82\x7f" + (70_000).to_bytes(8, "big") + bytes(70_000)
        for step in (0, 1_000):
            self.assertEqual(feed(opened(70_000), data, step), [bytes(70_000)])

    def test_close(self) -> None:
        """Its code comes back, and nothing is sent or read any more."""
        for payload, end, echo in (
            (b"\x03\xf4soon", Closed(1012, "soon"), 1012),
            (b"", Closed(1005, ""), 1000),
            (b"\x03\xf4\xff", Closed(1012, "\ufffd"), 1012),
        ):
            client = opened()
            self.assertEqual(client.receive(b"\x88" + bytes([len(payload)]) + payload + b"\x82\x01x", 0.0), [])
            self.assertEqual(client.end, end)
            sent = client.data_to_send()
            self.assertEqual(sent[0], 0x88)
            self.assertEqual(bytes(a ^ b for a, b in zip(sent[6:], sent[2:6], strict=False)), echo.to_bytes(2, "big"))
            client.send(b"x")
            client.close()
            self.assertEqual((client.data_to_send(), client.receive(b"\x82\x01x", 0.0)), (b"", []))


class HostileTests(SynchronousTestCase):
    """A server that breaks the rules ends it, and never makes the client hold more than a message."""

    def assert_broken(self, data: bytes, text: str) -> None:
        """It ends, for this reason, however it is cut."""
        for step in (0, 1):
            client = opened()
            feed(client, data, step)
            assert isinstance(client.end, Broken), data
            self.assertIn(text, client.end.text)

    def test_rules(self) -> None:
        """Each of them."""
        for data, text in (
            (b"\xc2\x00", "reserved"),
            (b"\x82\x80\0\0\0\0", "masked"),
            (b"\x81\x01x", "not binary"),
            (b"\x83\x01x", "not binary"),
            (b"\x80\x01x", "goes on"),
            (b"\x02\x01x\x82\x01y", "within another"),
            (b"\x09\x00", "control"),
            (b"\x8b\x00", "control"),
            (b"\x89\x7e\x00\x01x", "control"),
            (b"\x82\x7e\x00\x01x", "shortest"),
            (b"\x82\x7f" + bytes(8), "shortest"),
        ):
            self.assert_broken(data, text)

    def test_too_long(self) -> None:
        """The announcement is enough; in fragments, their sum."""
        self.assert_broken(b"\x82\x7f\xff" + bytes(7), "over 1000 bytes")
        self.assert_broken(b"\x82\x7e\x03\xe9", "over 1000 bytes")
        self.assert_broken((b"\x02\x64" + bytes(100)) + (b"\x00\x64" + bytes(100)) * 9 + b"\x00\x01", "over 1000 bytes")

    def test_empty_fragments(self) -> None:
        """However many: they take no room."""
        client = opened()
        client.receive(b"\x02\x00" + b"\x00\x00" * 10_000, 0.0)
        self.assertEqual(client.receive(b"\x80\x01x", 0.0), [b"x"])

    def test_flood_of_pings(self) -> None:
        """Many in a second are no sign of life; as many in an hour are."""
        client = opened()
        for second in range(3):
            client.receive(b"\x89\x00" * MOST_CONTROL_FRAMES, second)
            self.assertIsNone(client.end)
        client.receive(b"\x89\x00" * (MOST_CONTROL_FRAMES + 1), 5.0)
        self.assertIsInstance(client.end, Broken)
