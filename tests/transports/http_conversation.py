"""The HTTP port in memory, over a real broker on a clock: what a client writes, and what it reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import Batch, Publish
from quickpulse.transports.http import CountedFactory, HttpSite

API = "/api/v1"

JSON = {"Content-Type": "application/json"}

RAW = {"Content-Type": "application/octet-stream"}

EVENTS = {"Accept": "text/event-stream"}

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 40000)

ELSEWHERE = IPv4Address("TCP", "192.0.2.7", 40000)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The stable word of an error."""
        return str(self.json["error"]["reason"])


class Wire(StringTransport):
    """A connection's end at the server."""

    def __init__(self, peer: Any) -> None:
        super().__init__(hostAddress=IPv4Address("TCP", "127.0.0.1", 8080), peerAddress=peer)
        self.is_aborted = False

    def abortConnection(self) -> None:
        """Cut."""
        self.is_aborted = True


class Client:
    """One connection."""

    def __init__(self, factory: CountedFactory, peer: Any) -> None:
        self.wire = Wire(peer)
        self.protocol: Any = factory.buildProtocol(peer)
        self.protocol.makeConnection(self.wire)

    def send(self, data: bytes) -> None:
        """Bytes come to the server."""
        self.protocol.dataReceived(data)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a whole request."""
        fields = {"Host": "localhost:8080", "Content-Length": str(len(body)), **(headers or {})}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.send(head.encode() + b"\r\n" + body)

    def read(self) -> bytes:
        """What came since the last time."""
        data: bytes = self.wire.value()
        self.wire.clear()
        return data

    def answer(self) -> Answer:
        """One answer, all that came."""
        head, _, body = self.read().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if headers.get("Transfer-Encoding") == "chunked":
            body = dechunked(body)
        return Answer(int(first.split()[1]), headers, body)

    def events(self) -> bytes:
        """More of a body in chunks."""
        return dechunked(self.read())

    def vanish(self) -> None:
        """The connection is lost."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


def dechunked(data: bytes) -> bytes:
    """What is in these chunks."""
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2 :]
    return body


class HttpTestCase(SynchronousTestCase):
    """A port, and clients of it."""

    def setUp(self) -> None:
        """Nothing was asked."""
        self.clock = Clock()
        self.broker: Any = MemoryBroker(self.clock, Broker(), lambda: 1_800_000_000.0)
        self.make_site()

    def make_site(self, **options: Any) -> None:
        """Another port, with these options."""
        self.traffic = Traffic()
        options = {"broker": self.broker, **options}
        self.site = HttpSite(self.clock, self.traffic, CollectorRegistry(), dict, list, **options)
        self.factory = CountedFactory(self.site, self.traffic)

    def client(self, peer: Any = LOOPBACK) -> Client:
        """Connect."""
        return Client(self.factory, peer)

    def ask(
        self, method: str, path: str, body: bytes | dict[str, Any] = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """A request on a connection of its own; a dict is sent as JSON."""
        client = self.client()
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {**JSON, **(headers or {})}
        client.ask(method, API + path, body, headers)
        return client.answer()

    def post(self, path: str, **fields: Any) -> Answer:
        """A request in JSON."""
        return self.ask("POST", path, fields)

    def publish(self, *payloads: bytes, queue: str = "q") -> None:
        """Put in, not over HTTP, and let a turn go by."""
        self.broker.publish(Publish(queue, Batch(payloads)))
        self.clock.advance(0)

    def queue(self, name: str = "q") -> dict[str, Any]:
        """The queue as it is."""
        found: dict[str, Any] = self.ask("GET", f"/queues/{name}").json
        return found
