"""How many connections a listener holds, over the event loop's transports and over Twisted's."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from quickpulse.metrics.traffic import Traffic
from quickpulse.settings import Settings
from quickpulse.transports.bounds import REFUSAL_SECONDS, REFUSALS_AT_ONCE, BoundedFactory, Bounds, http_refusal
from tests.transports.sockets import Remembering, SocketTestCase, TwistedSocketTestCase, next_turn

HERE, THERE = IPv4Address("TCP", "192.0.2.1", 1), IPv4Address("TCP", "192.0.2.2", 2)


class Transport(StringTransportWithDisconnection):
    """One with halves."""

    half_closed = aborted = False

    def loseWriteConnection(self) -> None:
        """Our half ends."""
        self.half_closed = True

    def abortConnection(self) -> None:
        """A reset."""
        self.aborted = True


class Inner(Factory):
    """Makes protocols that remember."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Remembering] = []
        self.gives = True

    def buildProtocol(self, addr: Any) -> Any:
        """A connection, or none."""
        if not self.gives:
            return None
        self.made.append(Remembering())
        return self.made[-1]


class BoundedTests(SynchronousTestCase):
    """Counting, with no sockets."""

    def bounded(self, **bounds: Any) -> BoundedFactory:
        """A factory with bounds."""
        self.clock, self.traffic, self.inner = Clock(), Traffic(), Inner()
        return BoundedFactory(self.clock, self.inner, Bounds(**{"connections": None, **bounds}), self.traffic)

    def refused(self) -> int:
        """How many were counted."""
        return self.traffic.refused_total["too_many_connections"]

    def connect(self, factory: BoundedFactory, address: Any = HERE, transport: Any = None) -> Any:
        """The protocol that an address gets; whether it is a real one shows its type."""
        protocol = factory.buildProtocol(address)
        if protocol is not None:
            transport = transport or Transport()
            transport.protocol = protocol
            protocol.makeConnection(transport)
        return protocol

    def end(self, protocol: Any) -> None:
        """The connection is over."""
        protocol.connectionLost(Failure(ConnectionDone()))

    def test_it_is_a_factory(self):
        """And passes beginning and end on."""
        factory = self.bounded()
        self.assertTrue(verifyObject(IProtocolFactory, factory))
        factory.doStart()
        self.assertEqual(self.inner.numPorts, 1)
        factory.doStop()
        self.assertEqual(self.inner.numPorts, 0)

    def test_no_bounds(self):
        """As many as come."""
        factory = self.bounded()
        for _ in range(100):
            self.assertIsInstance(self.connect(factory), Remembering)
        self.assertEqual(self.refused(), 0)

    def test_over_the_bound(self):
        """The next is refused, counted, and told the option's name; no protocol is made for it. An end makes room."""
        factory = self.bounded(connections=2)
        first, _ = self.connect(factory, HERE), self.connect(factory, THERE)
        transport = Transport()
        self.connect(factory, HERE, transport)
        self.assertEqual((len(self.inner.made), self.refused()), (2, 1))
        head, body = transport.value().split(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"))
        self.assertIn(b"Content-Length: %d\r\n" % len(body), head)
        self.assertIn(b"--max-connections is", body)
        self.end(first)
        self.assertEqual(first.names(), ["made", "lost"])
        self.assertIsInstance(self.connect(factory), Remembering)
        self.assertEqual(self.refused(), 1)

    def test_over_the_bound_of_an_address(self):
        """Others get in; those without an address are not counted."""
        factory = self.bounded(per_address=1)
        first = self.connect(factory, HERE)
        transport = Transport()
        self.connect(factory, HERE, transport)
        self.assertIn(b"--max-connections-per-address is", transport.value())
        for address in (THERE, UNIXAddress(None), UNIXAddress(None)):
            self.assertIsInstance(self.connect(factory, address), Remembering)
        self.assertEqual(self.refused(), 1)
        self.end(first)
        self.assertIsInstance(self.connect(factory, HERE), Remembering)

    def test_nothing_is_kept_of_those_that_ended(self):
        """Addresses come and go by the million."""
        factory = self.bounded(per_address=2, connections=5)
        for _ in range(2):
            for protocol in [self.connect(factory, address) for address in (HERE, HERE, THERE)]:
                self.end(protocol)
        self.assertEqual((factory._open, factory._open_of), (0, {}))

    def test_a_factory_that_gives_none(self):
        """Is not counted."""
        factory = self.bounded(connections=1)
        self.inner.gives = False
        self.assertIsNone(self.connect(factory))
        self.inner.gives = True
        self.assertIsInstance(self.connect(factory), Remembering)

    def test_a_refused_client_reads_the_words(self):
        """Half-closed; what it sends is discarded; its end is the end."""
        factory = self.bounded(connections=0)
        transport = Transport()
        refusal = self.connect(factory, HERE, transport)
        self.assertTrue(transport.half_closed)
        refusal.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        refusal.writeConnectionLost()
        self.assertEqual(factory.refusals_open, 1)
        refusal.readConnectionLost()
        self.assertFalse(transport.connected)
        self.assertEqual((factory.refusals_open, self.clock.getDelayedCalls()), (0, []))

    def test_a_refused_client_that_stays(self):
        """Is cut off."""
        factory = self.bounded(connections=0)
        transport = Transport()
        self.connect(factory, HERE, transport)
        self.clock.advance(REFUSAL_SECONDS)
        self.assertTrue(transport.aborted)

    def test_a_transport_without_halves(self):
        """TLS closes in its own way."""
        factory = self.bounded(connections=0)
        transport = StringTransportWithDisconnection()
        self.connect(factory, HERE, transport)
        self.assertFalse(transport.connected)
        self.assertEqual(factory.refusals_open, 0)

    def test_a_flood_of_refused_clients(self):
        """Only so many are told why at a time."""
        factory = self.bounded(connections=0)
        for _ in range(REFUSALS_AT_ONCE):
            self.assertIsNotNone(self.connect(factory))
        self.assertIsNone(self.connect(factory))
        self.assertEqual(self.refused(), REFUSALS_AT_ONCE + 1)

    def test_a_wire_without_words(self):
        """Closed at once."""
        factory = BoundedFactory(Clock(), Inner(), Bounds(0), Traffic(), (b"", b""))
        self.assertIsNone(factory.buildProtocol(HERE))

    def test_bounds_of_settings(self):
        """The options, and who is stalled is counted."""
        bounds = Bounds.of(Settings("ws", max_connections=7, max_connections_per_address=3, stall_seconds=9.0))
        self.assertEqual(bounds, Bounds(7, 3, 9.0))
        traffic = Traffic()
        factory = BoundedFactory(Clock(), Inner(), bounds, traffic)
        self.assertEqual(factory.stall.seconds, 9.0)
        factory.stall.happened()
        self.assertEqual(traffic.refused_total["stalled"], 1)

    def test_what_http_clients_are_told(self):
        """A whole response."""
        self.assertEqual(
            http_refusal("no"),
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 3\r\nConnection: close\r\n\r\nno\n",
        )


class SocketContract:
    """Over real sockets. Mixed into a test case that says whose transports."""

    @inlineCallbacks
    def test_refused_and_let_in(self):
        """The words arrive, also when the client has sent a request; when the first ends, the next gets in."""
        inner, traffic = Inner(), Traffic()
        port = self.listen(BoundedFactory(reactor, inner, Bounds(1), traffic))
        first = self.peer(port)
        while not inner.made:
            yield next_turn()
        second = self.peer(port)
        yield second.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = yield second.read_all()
        self.assertTrue(answer.endswith(b"--max-connections is reached\n"), answer)
        second.socket.close()
        first.socket.close()
        yield inner.made[0].when("lost")
        third = self.peer(port)
        yield third.send(b"hello")
        while len(inner.made) < 2:
            yield next_turn()
        yield inner.made[1].when("data")
        inner.made[1].transport.abortConnection()
        yield inner.made[1].when("lost")
        yield next_turn(3)
        self.assertEqual(traffic.refused_total["too_many_connections"], 1)


class TwistedTests(SocketContract, TwistedSocketTestCase):
    """Twisted's."""


class LoopTests(SocketContract, SocketTestCase):
    """The event loop's."""
