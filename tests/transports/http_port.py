"""An HTTP port with a broker behind it, on a real socket."""

from __future__ import annotations

import socket
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import NotFound
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import GetQueue
from quickpulse.transports.http import CountedFactory, HttpServer, HttpSite
from quickpulse.transports.listening import make_endpoint
from tests.serving import in_loop, until


class PortTestCase(TestCase):
    """A port with a broker behind it."""

    timeout = 60

    def setUp(self) -> None:
        """Listen."""
        traffic = Traffic()
        self.broker: Any = MemoryBroker(reactor, Broker())
        self.site = HttpSite(reactor, traffic, CollectorRegistry(), dict, list, self.wrapped(self.broker))
        self.server = HttpServer(
            make_endpoint(reactor, "--http-endpoint", None, "127.0.0.1", 0), "here", CountedFactory(self.site, traffic)
        )
        self.server.startService()
        self.addCleanup(self.server.stopService)
        self.addCleanup(self.broker.close)
        self.host, self.port = self.server.addresses[0].split(":")
        self.url = f"http://{self.server.addresses[0]}/api/v1"

    def wrapped(self, broker: Any) -> Any:
        """What the port knows of the broker."""
        return broker

    def open_socket(self) -> socket.socket:
        """A connection without manners."""
        sock = socket.create_connection((self.host, int(self.port)), timeout=20)
        self.addCleanup(sock.close)
        return sock

    def head(self, line: str, *headers: str) -> bytes:
        """The head of a request."""
        return "\r\n".join((f"{line} HTTP/1.1", f"Host: {self.host}", *headers, "", "")).encode()

    def waiters(self, name: str = "q") -> int:
        """How many wait for a queue."""
        try:
            return self.broker.get_queue(GetQueue(name)).waiters
        except NotFound:
            return 0

    def ready(self) -> int:
        """How many are in the queue."""
        return self.broker.get_queue(GetQueue("q")).ready

    def until(self, condition: Any) -> Deferred:
        """Let time go by."""
        return in_loop(until(condition))
