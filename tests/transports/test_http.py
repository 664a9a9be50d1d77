"""The HTTP port, with an HTTP client of the standard library."""

from __future__ import annotations

import http.client
import json
import re
import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from zope.interface.verify import verifyObject

import quickpulse.transports.http
from quickpulse.interfaces import ITransportService
from quickpulse.requests import Batch, Publish
from quickpulse.transports.http import HttpServer
from tests.serving import ServiceTestCase


def ask(address: str, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Deferred:
    """A Deferred of (status, headers, body)."""

    def blocking():
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    return deferToThread(blocking)


def value(metrics: str, name: str) -> float:
    """The value of one sample."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", metrics, re.MULTILINE)
    assert found is not None, f"{name} is not in:\n{metrics}"
    return float(found[1])


class PagesTests(ServiceTestCase):
    """What is served, in every mode the same."""

    def serve(self, **settings):
        """Start a ws service and give it with its HTTP address."""
        service = self.start("ws", **settings)
        return service, self.address(service.http)

    @inlineCallbacks
    def test_metrics_show_what_was_done(self):
        """Known counts, exactly, and the histogram's count is the enqueue counter."""
        service, address = self.serve(legacy_metric_names=True)
        self.assertTrue(verifyObject(ITransportService, service.http))
        service.queue.enqueue_many([b"a"] * 7)
        service.queue.dequeue_many(3)
        status, headers, body = yield ask(address, "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain"))
        for prefix in ("quickpulse_", "unnamedmq_"):
            self.assertEqual(value(body, prefix + "enqueue_total"), 7)
            self.assertEqual(value(body, prefix + "dequeue_total"), 3)
            self.assertEqual(value(body, prefix + "queue_depth"), 4)
            self.assertEqual(value(body, prefix + "enqueue_latency_seconds_count"), 7)
        self.assertIn("process_cpu_seconds_total", body)
        self.assertIn("python_info", body)
        self.assertIn('quickpulse_build_info{mode="ws"', body)
        self.assertEqual(value(body, 'quickpulse_connections_open{transport="http"}'), 1)

    @inlineCallbacks
    def test_openmetrics_by_accept(self):
        """Prometheus asks for it."""
        _, address = self.serve()
        _, headers, body = yield ask(
            address, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        self.assertTrue(headers["Content-Type"].startswith("application/openmetrics-text"))
        self.assertTrue(body.endswith("# EOF\n"))

    @inlineCallbacks
    def test_metrics_of_the_queues(self):
        """Each by its name, those of v0 among them; a page of many is as whole as any."""
        service, address = self.serve()
        service.queue.enqueue_many([b"a"] * 3)
        for number in range(250):
            service.broker.publish(Publish(f"queue-{number}", Batch([b"b", b"c"])))
        for accept, end in (("text/plain", ""), ("application/openmetrics-text; version=1.0.0", "# EOF\n")):
            _, headers, body = yield ask(address, "/metrics", headers={"Accept": accept})
            self.assertEqual(int(headers["Content-Length"]), len(body.encode()))
            self.assertTrue(body.endswith(end))
            self.assertEqual(value(body, 'quickpulse_queue_ready{queue="default"}'), 3)
            self.assertEqual(value(body, 'quickpulse_queue_published_total{queue="queue-198"}'), 2)
            self.assertEqual(value(body, 'quickpulse_queue_published_total{queue="$other"}'), 102)

    @inlineCallbacks
    def test_metrics_without_a_source(self):
        """A provider that cannot be scraped still leaves the page with the process's and the transports' metrics."""
        service, address = self.serve(metrics="memory")
        service.queue.enqueue(b"a")
        _, _, body = yield ask(address, "/metrics")
        self.assertNotIn("quickpulse_enqueue_total", body)
        self.assertIn("quickpulse_connections_open", body)
        self.assertEqual(service.metrics.snapshot().enqueued, 1)

    @inlineCallbacks
    def test_health(self):
        """Alive and ready; a full queue is not unhealthy; a failing one is not ready, and says why."""
        service, address = self.serve(capacity=1)
        service.queue.enqueue(b"a")
        self.assertEqual((yield ask(address, "/livez"))[0::2], (200, "ok\n"))
        self.assertEqual((yield ask(address, "/readyz"))[0::2], (200, "ok\n"))
        service.queue.last_failure = "OSError: disk on fire"
        status, _, body = yield ask(address, "/readyz")
        self.assertEqual((status, body), (503, "the queue fails: OSError: disk on fire\n"))

    @inlineCallbacks
    def test_draining_is_not_ready(self):
        """503 with the reason while the drain goes on, and before all listeners are up."""
        service, address = self.serve()
        service.lifecycle.is_draining = True
        service.lifecycle.is_listening = False
        status, _, body = yield ask(address, "/readyz")
        self.assertEqual((status, body), (503, "not listening yet\ndraining\n"))

    @inlineCallbacks
    def test_the_status_page(self):
        """A page for people, and the numbers behind it."""
        service, address = self.serve()
        service.queue.enqueue(b"a")
        status, headers, page = yield ask(address, "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("status.json", page)
        _, headers, body = yield ask(address, "/status.json")
        self.assertEqual(headers["Content-Type"], "application/json")
        numbers = json.loads(body)
        self.assertEqual((numbers["mode"], numbers["depth"], numbers["capacity"]), ("ws", 1, 1_000_000))
        self.assertEqual(numbers["listening"][1], f"HTTP on {address}")

    @inlineCallbacks
    def test_other_paths_and_methods(self):
        """404 names the paths; 405 for what is no reading; HEAD is answered without a body."""
        service, address = self.serve()
        status, _, body = yield ask(address, "/nothing/here")
        self.assertEqual(status, 404)
        self.assertIn("/metrics", body)
        self.assertEqual(service.traffic.refused_total["not_found"], 1)
        self.assertEqual((yield ask(address, "/metrics", method="POST"))[0], 405)
        self.assertEqual((yield ask(address, "/livez", method="HEAD"))[0::2], (200, ""))

    @inlineCallbacks
    def test_what_is_not_http(self):
        """400, and the port serves on; bytes and connections are counted."""
        service, address = self.serve()
        host, port = address.split(":")

        def garbage():
            with socket.create_connection((host, int(port)), timeout=10) as sock:
                sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
                return sock.recv(1000)

        self.assertIn(b"400", (yield deferToThread(garbage)))
        self.assertEqual((yield ask(address, "/livez"))[0], 200)
        counts = service.traffic.of("http")
        self.assertEqual(counts.connections_total, 2)
        self.assertGreater(counts.received_bytes, 20)
        self.assertGreater(counts.sent_bytes, 20)

    @inlineCallbacks
    def test_a_drain_closes_http_last(self):
        """After it nobody listens, and open connections are cut when the service stops."""
        service, address = self.serve()
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as idle:
            yield ask(address, "/livez")
            yield service.lifecycle.drain()
            error = yield self.assertFailure(ask(address, "/livez"), ConnectionRefusedError)
            self.assertIn("refused", str(error))
            yield service.stopService()
            self.assertEqual((yield deferToThread(self.read_end, idle)), b"")

    @inlineCallbacks
    def test_more_connections_than_it_holds(self):
        """503 with the bound, apart from that for clients; when one ends, the next gets in."""
        self.patch(quickpulse.transports.http, "MAX_CONNECTIONS", 1)
        service, address = self.serve(max_connections=1)
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as idle:
            status, _, body = yield ask(address, "/livez")
            self.assertEqual(status, 503)
            self.assertIn("too many connections", body)
            self.assertEqual(service.traffic.refused_total["too_many_connections"], 1)
            self.assertIn(b"503", (yield self.refused_client(service, idle)))
        while service.traffic.of("http").connections_open:
            yield deferLater(reactor, 0)
        self.assertEqual((yield ask(address, "/livez"))[0], 200)

    def refused_client(self, service, _idle):
        """The WebSocket port has a bound of its own: one client is in, the next is told."""
        host, port = self.address(service.transport).split(":")
        first = socket.create_connection((host, int(port)), timeout=10)
        self.addCleanup(first.close)

        def second():
            with socket.create_connection((host, int(port)), timeout=10) as sock:
                return sock.recv(1000)

        return deferToThread(second)

    @staticmethod
    def read_end(sock: socket.socket) -> bytes:
        """What is left to read; a reset is an end as well."""
        try:
            return sock.recv(10)
        except ConnectionResetError:
            return b""


class EndpointTests(ServiceTestCase):
    """Twisted's endpoint strings in place of host and port."""

    def test_ipv6(self):
        """A host with colons is an IPv6 address."""
        if not socket.has_ipv6:
            self.skipTest("no IPv6 here")
        service = self.start("ws", host="::1")
        self.assertTrue(service.http.addresses[0].startswith("[::1]:"))

    def test_unix_sockets(self):
        """Both listeners on files."""
        ws, page = (f"_qp_{name}_{id(self)}.sock" for name in ("ws", "http"))
        service = self.start("ws", ws_endpoint=f"unix:{ws}", http_endpoint=f"unix:{page}")
        self.assertEqual(service.status()["listening"], [f"WebSocket on unix:{ws}", f"HTTP on unix:{page}"])

    def test_an_adopted_socket(self):
        """What systemd hands over is a listening socket by its number; the asyncio reactor adopts it."""
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        host, port = sock.getsockname()
        factory = self.start("ws").http.factory
        adopted = HttpServer(AdoptedStreamServerEndpoint(reactor, sock.detach(), socket.AF_INET), "systemd", factory)
        adopted.startService()
        self.addCleanup(adopted.stopService)
        self.assertEqual(adopted.addresses, [f"{host}:{port}"])
