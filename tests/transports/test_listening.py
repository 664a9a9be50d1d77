"""From settings to a listening socket: which endpoint it is, and how a failure fails the start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import ListenError, SettingsError
from quickpulse.metrics.traffic import Traffic
from quickpulse.transports.bounds import BoundedFactory, Bounds
from quickpulse.transports.listening import BACKLOG, ListeningService, address_text, listen_now, make_endpoint
from quickpulse.transports.loop import LoopPort, LoopServerEndpoint, loop_of
from tests.transports.sockets import Remembering, SocketTestCase, next_turn


class EndpointTests(SynchronousTestCase):
    """Whose transports serve which endpoint."""

    def endpoint(self, endpoint: str | None, host: str = "127.0.0.1", on: Any = reactor) -> Any:
        """What the settings make."""
        return make_endpoint(on, "--ws-endpoint", endpoint, host, 0)

    def setUp(self):
        """Another reactor has no event loop to listen on."""
        if loop_of(reactor) is None:
            self.skipTest("not an asyncio reactor")

    def listen(self, endpoint: Any) -> Any:
        """Its port."""
        factory = Factory()
        factory.noisy = False
        port = self.successResultOf(endpoint.listen(factory))
        self.addCleanup(port.stopListening)
        return port

    def test_host_and_port(self):
        """The event loop's on an asyncio reactor, Twisted's on another."""
        self.assertIsInstance(self.endpoint(None), LoopServerEndpoint)
        self.assertIsInstance(self.endpoint(None, on=Clock()), TCP4ServerEndpoint)
        self.assertIsInstance(self.endpoint(None, "::1", on=Clock()), TCP6ServerEndpoint)

    def test_tcp_strings(self):
        """Likewise; the backlog is for bursts, unless another is asked for."""
        port = self.listen(self.endpoint("tcp:0:interface=127.0.0.1"))
        self.assertIsInstance(port, LoopPort)
        self.assertEqual((port._backlog, port.getHost().host), (BACKLOG, "127.0.0.1"))
        self.assertEqual(self.listen(self.endpoint("tcp:0:interface=127.0.0.1:backlog=7"))._backlog, 7)
        self.assertIsInstance(self.listen(self.endpoint("tcp6:0:interface=\\:\\:1")), LoopPort)
        self.assertIsInstance(self.listen(self.endpoint("haproxy:tcp:0:interface=127.0.0.1")), LoopPort)
        self.assertNotIsInstance(self.endpoint("tcp:0", on=Clock()), LoopServerEndpoint)

    def test_other_strings(self):
        """Twisted's own."""
        endpoint = self.endpoint("unix:_qp_listening.sock")
        self.assertIsInstance(endpoint, UNIXServerEndpoint)
        self.assertNotIsInstance(self.listen(endpoint), LoopPort)

    def test_strings_that_say_nothing(self):
        """The error names the flag."""
        for text in ("tcp:x", "nothing:1", "systemd:domain=INET:name=ws"):
            error = self.assertRaises(SettingsError, self.endpoint, text)
            self.assertIn("--ws-endpoint", str(error))


class ListenNowTests(SynchronousTestCase):
    """At once, or not."""

    def test_a_failure_is_raised(self):
        """With what the system said, and no layers around it."""
        error = CannotListenError("127.0.0.1", 1, OSError(98, "Address already in use"))
        endpoint = SimpleNamespace(listen=lambda _: fail(error))
        raised = self.assertRaises(ListenError, listen_now, endpoint, Factory(), "127.0.0.1:1")
        self.assertEqual(str(raised), "127.0.0.1:1: Address already in use")

    def test_later(self):
        """An endpoint that needs time gives a Deferred that needs time."""
        later: Deferred[Any] = Deferred()
        self.assertIs(listen_now(SimpleNamespace(listen=lambda _: later), Factory(), "here"), later)

    def test_addresses_for_people(self):
        """Each kind."""
        for address, text in (
            (IPv4Address("TCP", "127.0.0.1", 80), "127.0.0.1:80"),
            (IPv6Address("TCP", "::1", 80), "[::1]:80"),
            (UNIXAddress("/run/queue.sock"), "unix:/run/queue.sock"),
            ("elsewhere", "elsewhere"),
        ):
            self.assertEqual(address_text(SimpleNamespace(getHost=lambda address=address: address)), text)


class ServiceTests(SocketTestCase):
    """A listener as a service."""

    def service(self) -> ListeningService:
        """One on a free port."""
        factory = Factory.forProtocol(Remembering)
        factory.noisy = False
        factory.reactor, factory.traffic, factory.abort_all = reactor, Traffic(), lambda: None
        return ListeningService(self.endpoint(), "127.0.0.1:0", factory)

    @inlineCallbacks
    def test_from_start_to_stop(self):
        """Its address is known when it listens; stopping twice is no error."""
        service = self.service()
        service.startService()
        yield service.when_listening()
        self.assertEqual(len(service.addresses), 1)
        yield service.stopService()
        yield service.stop_listening()

    @inlineCallbacks
    def test_bounds(self):
        """The factory that listens is bounded; the service's own stays what it was."""
        service = self.service()
        service.bound(Bounds(0))
        self.assertIsInstance(service._listening_factory, BoundedFactory)
        service.startService()
        self.addCleanup(service.stopService)
        peer = self.peer(service._port)
        answer = yield peer.read_all()
        self.assertIn(b"503 Service Unavailable", answer)
        peer.socket.close()
        yield next_turn(3)
        self.assertEqual(service.factory.traffic.refused_total["too_many_connections"], 1)
