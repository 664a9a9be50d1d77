"""Bodies on the HTTP port: bounded while they come."""

from __future__ import annotations

import quickpulse.transports.http_body
from quickpulse.transports.http_body import BODY_SECONDS
from tests.transports.http_conversation import API, ELSEWHERE, JSON, RAW, Client, HttpTestCase

MESSAGES = f"{API}/queues/q/messages"


def chunk(data: bytes) -> bytes:
    """A chunk with this in it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class BodyTests(HttpTestCase):
    """A bound of 1,000 bytes."""

    def setUp(self) -> None:
        """The bound."""
        super().setUp()
        self.make_site(max_batch_bytes=1000)

    def begin(self, *lines: str, path: str = MESSAGES) -> Client:
        """A request without its body."""
        client = self.client()
        head = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/octet-stream", *lines, "", "")
        client.send("\r\n".join(head).encode())
        return client

    def test_at_the_bound(self) -> None:
        """Taken; one byte more is 413, and the connection lives."""
        client = self.client()
        client.ask("POST", MESSAGES, b"x" * 1000, RAW)
        self.assertEqual(client.answer().status, 200)
        client.ask("POST", MESSAGES, b"x" * 1001, RAW)
        answer = client.answer()
        self.assertEqual((answer.status, answer.reason), (413, "REQUEST_TOO_LARGE"))
        client.ask("GET", f"{API}/queues/q")
        self.assertEqual(client.answer().json["ready"], "1")

    def test_chunks(self) -> None:
        """Their sum is bounded, and nothing of it is kept when it was too much."""
        client = self.begin("Transfer-Encoding: chunked")
        client.send(chunk(b"x" * 600))
        self.assertEqual(self.site.bodies.held_bytes, 600)
        client.send(chunk(b"x" * 600))
        self.assertEqual(self.site.bodies.held_bytes, 0)
        client.send(chunk(b"x") + b"0\r\n\r\n")
        self.assertEqual(client.answer().status, 413)
        self.assertEqual(self.ask("GET", "/queues").json, {})

    def test_leave_to_send_a_body(self) -> None:
        """Who asks for it is told to go on, or at once that it would be too much; then the connection ends."""
        client = self.begin("Expect: 100-continue", "Content-Length: 1")
        self.assertEqual(client.read(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"x")
        self.assertEqual(client.answer().status, 200)
        client = self.begin("Expect: 100-continue", "Content-Length: 1001")
        answer = client.answer()
        self.assertEqual((answer.status, answer.reason), (413, "REQUEST_TOO_LARGE"))
        self.assertTrue(client.wire.disconnecting)
        client.send(b"x" * 1001)
        self.assertEqual(client.read(), b"")
        client.vanish()
        self.assertEqual(self.traffic.errors_total["REQUEST_TOO_LARGE"], 1)

    def test_byte_by_byte(self) -> None:
        """A body comes as it likes."""
        client = self.begin("Content-Length: 5")
        for each in b"hello":
            client.send(bytes((each,)))
        self.assertEqual(client.answer().status, 200)
        self.assertEqual(self.site.bodies.held_bytes, 0)

    def test_without_an_end(self) -> None:
        """What is too long is dropped for a while; then the answer goes out as it is, and the connection ends."""
        self.patch(quickpulse.transports.http_body, "MOST_DROPPED_BYTES", 5000)
        client = self.begin("Transfer-Encoding: chunked")
        for _ in range(10):
            client.send(chunk(b"x" * 1000))
        self.assertTrue(client.wire.disconnecting)
        answer = client.answer()
        self.assertEqual((answer.status, answer.reason), (413, "REQUEST_TOO_LARGE"))
        self.assertEqual(answer.headers["Connection"], "close")
        self.assertEqual(self.traffic.errors_total["REQUEST_TOO_LARGE"], 1)
        client.send(b"0\r\n\r\n")
        self.assertEqual(client.read(), b"")
        client.vanish()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_bodies_together(self) -> None:
        """Bounded too: 429, and a retry helps."""
        self.patch(quickpulse.transports.http_body, "MOST_HELD_BYTES", 1500)
        first = self.begin("Content-Length: 1000")
        first.send(b"x" * 999)
        answer = self.ask("POST", "/queues/q/messages", b"x" * 900, RAW)
        self.assertEqual((answer.status, answer.reason), (429, "TOO_MANY_REQUESTS"))
        self.assertEqual(answer.headers["Retry-After"], "1")
        first.vanish()
        self.assertEqual(self.site.bodies.held_bytes, 0)
        self.assertEqual(self.ask("POST", "/queues/q/messages", b"x" * 900, RAW).status, 200)

    def test_time(self) -> None:
        """Byte by byte for ever is no way to send one."""
        client = self.begin("Content-Length: 1000")
        for _ in range(int(BODY_SECONDS) // 10):
            self.assertFalse(client.wire.is_aborted)
            client.send(b"x")
            self.clock.advance(10)
        self.assertTrue(client.wire.is_aborted)
        client.vanish()
        self.assertEqual(self.site.bodies.held_bytes, 0)

    def test_of_one_that_waits(self) -> None:
        """It was read, so it is not kept while the request waits."""
        client = self.client()
        client.ask("POST", f"{API}/queues/q/pull", b'{"wait_ms":1000}' + b" " * 900, JSON)
        self.assertEqual((client.read(), self.site.bodies.held_bytes), (b"", 0))

    def test_of_a_stranger(self) -> None:
        """It is not kept."""
        client = self.client(ELSEWHERE)
        head = f"POST {MESSAGES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n"
        client.send(head.encode() + b"x" * 899)
        self.assertEqual(self.site.bodies.held_bytes, 0)
        client.send(b"x")
        self.assertEqual(client.answer().status, 403)

    def test_of_other_pages(self) -> None:
        """They want none, and answer as before."""
        client = self.client()
        client.ask("POST", "/metrics", b"a=1", {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(client.answer().status, 405)
        client.ask("POST", "/metrics", b"x" * 2000, JSON)
        self.assertEqual(client.answer().status, 405)
        client.ask("GET", "/livez")
        self.assertEqual(client.answer().body, b"ok\n")

    def test_bad_lengths(self) -> None:
        """twisted.web ends these itself; nothing of ours is in the way."""
        for line in ("Content-Length: -1", "Content-Length: 9e9", "Transfer-Encoding: gzip"):
            client = self.begin(line)
            self.assertIn(b"400", client.read())
            client.vanish()
        client = self.begin("Transfer-Encoding: chunked")
        client.send(b"zz\r\n")
        self.assertIn(b"400", client.read())
        client.vanish()
        self.assertEqual(self.site.bodies.held_bytes, 0)
