"""v1 over HTTP with real sockets: curl, the standard library's client, and peers that do not behave."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread

from quickpulse.requests import Batch, GetQueue, Publish
from tests.interop import wire
from tests.transports.http_port import PortTestCase

JSON = {"Content-Type": "application/json"}

CURL = shutil.which("curl")


class ClientTests(PortTestCase):
    """Clients from elsewhere."""

    def curl(self, *arguments: str, data: bytes = b"") -> Deferred:
        """A Deferred of what it wrote."""
        if CURL is None:
            self.skipTest("no curl here")
        command = [CURL, "--silent", "--show-error", "--max-time", "20", *arguments]
        return deferToThread(lambda: subprocess.run(command, input=data, capture_output=True, check=True).stdout)

    def curl_json(self, path: str, body: dict[str, Any]) -> Deferred:
        """POST JSON."""
        arguments = ("-H", "Content-Type: application/json", "--data-binary", json.dumps(body), self.url + path)
        return self.curl(*arguments).addCallback(json.loads)

    @inlineCallbacks
    def test_curl(self):
        """Publish, raw and in JSON, pull, ack."""
        raw = ("-H", "Content-Type: application/octet-stream", "--data-binary", "@-")
        yield self.curl(*raw, f"{self.url}/queues/q/messages", data=b"\x00one")
        yield self.curl_json("/queues/q/publish", {"batch": {"texts": ["two"]}})
        got = yield self.curl_json("/queues/q/pull", {"max_messages": 2})
        self.assertEqual(got["batch"]["payloads"], ["AG9uZQ==", "dHdv"])
        receipts = [{"first": got["first_receipt"], "last": int(got["first_receipt"]) + 1}]
        reply = yield self.curl_json("/queues/q/settle", {"receipts": receipts, "action": "ACK"})
        self.assertEqual(reply, {"settled": "2"})

    @inlineCallbacks
    def test_curl_waits(self):
        """A long poll, and a subscription to its end."""
        waiting = self.curl_json("/queues/q/pull", {"wait_ms": 15_000})
        yield self.until(self.waiters)
        self.broker.publish(Publish("q", Batch([b"a"])))
        self.assertEqual((yield waiting)["batch"], {"payloads": ["YQ=="]})
        url = f"{self.url}/queues/q/subscribe?credit_messages=2&texts=true"
        stream = self.curl("--no-buffer", "-H", "Accept: text/event-stream", url)
        yield self.until(self.waiters)
        self.broker.publish(Publish("q", Batch([b"b", b"c"])))
        lines = (yield stream).decode().splitlines()
        self.assertEqual(json.loads(lines[2].removeprefix("data: "))["batch"], {"texts": ["b", "c"]})
        self.assertEqual(lines[-3:], ["event: end", "data: {}", ""])

    @inlineCallbacks
    def test_too_large(self):
        """A client of the standard library, which reads after it has sent all, gets its answer."""

        def blocking():
            connection = http.client.HTTPConnection(self.host, int(self.port), timeout=20)
            try:
                connection.request("POST", "/api/v1/queues/q/publish", b" " * 10_000_000, JSON)
                first = connection.getresponse()
                body = first.read()
                connection.request("POST", "/api/v1/queues/q/publish", b'{"batch":{"texts":["a"]}}', JSON)
                return first.status, body, connection.getresponse().status
            finally:
                connection.close()

        status, body, second = yield deferToThread(blocking)
        self.assertEqual((status, json.loads(body)["error"]["reason"]), (413, "REQUEST_TOO_LARGE"))
        self.assertEqual(second, 200)


class PeerTests(PortTestCase):
    """Those that vanish, and those that do not read."""

    def pull(self, sock: socket.socket, more: bytes = b"") -> None:
        """A pull that waits."""
        body = b'{"wait_ms":60000}'
        headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        sock.sendall(self.head("POST /api/v1/queues/q/pull", *headers) + body + more)

    @inlineCallbacks
    def test_vanishing(self):
        """Nothing is leased for who was waiting."""
        peers = [self.open_socket() for _ in range(50)]
        for sock in peers:
            self.pull(sock)
        yield self.until(lambda: self.waiters() == 50)
        for sock in peers:
            sock.close()
        yield self.until(lambda: not self.waiters())
        self.broker.publish(Publish("q", Batch([b"a"])))
        self.assertEqual(self.broker.get_queue(GetQueue("q")).ready, 1)

    @inlineCallbacks
    def test_haste(self):
        """Who sends on and on behind a pull that waits is cut off, so its end is never missed."""
        sock = self.open_socket()
        self.pull(sock)
        yield self.until(self.waiters)
        sock.sendall(b"x" * 100_000)
        yield self.until(lambda: not self.waiters())
        both = self.open_socket()
        self.pull(both, b"x" * 100_000)
        yield self.until(lambda: not self.waiters() and not self.server.factory.protocols)

    @inlineCallbacks
    def test_a_subscriber_that_does_not_read(self):
        """What it has room for is handed out; the rest stays ready, and comes when it reads."""
        sock = self.open_socket()
        sock.sendall(self.head("GET /api/v1/queues/q/subscribe?credit_messages=100000", "Accept: text/event-stream"))
        yield self.until(self.waiters)
        for _ in range(100):
            self.broker.publish(Publish("q", Batch([bytes(1_000_000)])))
        yield self.until(_Still(self.ready))
        left = self.ready()
        self.assertGreater(left, 50)
        yield deferToThread(lambda: [sock.recv(1 << 20) for _ in range(100)])
        yield self.until(lambda: self.ready() < left)

    @inlineCallbacks
    def test_a_client_that_asks_much_and_reads_nothing(self):
        """Answers are written as far as they are read; small requests for long answers pile up nothing here."""
        self.broker.publish(Publish("q", Batch([bytes(1_000_000)] * 3)))
        body = b'{"max_messages":3}'
        ask = self.head("POST /api/v1/queues/q/peek", "Content-Type: application/json", f"Content-Length: {len(body)}")
        served: list[Any] = []
        peek = self.broker.peek
        self.patch(self.broker, "peek", lambda request: served.append(request) or peek(request))
        sock = self.open_socket()
        sock.sendall((ask + body) * 200)  # answers of 4 MB each
        yield self.until(lambda: served)
        yield self.until(_Still(lambda: len(served)))
        self.assertLess(len(served), 10)

    def taken(self, sock: socket.socket, size: int) -> None:
        """Three messages of a queue are taken, at most once."""
        self.broker.publish(Publish("q", Batch([bytes(size)] * 3)))
        body = b'{"max_messages":3,"delivery":"TAKEN"}'
        headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        sock.sendall(self.head("POST /api/v1/queues/q/pull", *headers) + body)

    @inlineCallbacks
    def test_taken_and_not_read(self):
        """The peer is gone before its kernel has the answer: the messages are counted, wherever they were."""
        for subscribed in (False, True):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((self.host, int(self.port)))
            before = self.server.factory.traffic.undelivered_total
            if subscribed:
                path = "/api/v1/queues/q/subscribe?credit_messages=3&delivery=TAKEN"
                sock.sendall(self.head(f"GET {path}", "Accept: text/event-stream"))
                yield self.until(self.waiters)
                self.broker.publish(Publish("q", Batch([bytes(1_000_000)] * 3)))
            else:
                self.taken(sock, 1_000_000)
            sent = self.server.factory.counts.sent_bytes
            yield self.until(lambda sent=sent: self.server.factory.counts.sent_bytes > sent + 3_000_000)
            wire.vanish(sock)
            yield self.until(lambda before=before: self.server.factory.traffic.undelivered_total == before + 3)

    @inlineCallbacks
    def test_taken_and_read(self):
        """All of it has arrived: nothing is counted."""
        sock = self.open_socket()
        self.taken(sock, 100)
        self.assertIn(b"200 OK", (yield deferToThread(sock.recv, 1 << 20)))
        sock.close()
        yield self.until(lambda: not self.server.factory.protocols)
        self.assertEqual(self.server.factory.traffic.undelivered_total, 0)


class _Still:
    """Whether a number has stood still for a while."""

    def __init__(self, read: Any) -> None:
        self._read = read
        self._seen: list[int] = []

    def __call__(self) -> bool:
        self._seen.append(self._read())
        return len(self._seen) > 20 and len(set(self._seen[-20:])) == 1
