"""The event loop's port: binding, accepting bursts, and what the system may refuse."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from zope.interface.verify import verifyObject

from quickpulse.transports.loop import ACCEPTS_PER_TURN, REST_SECONDS, loop_of, named
from tests.transports.sockets import Remembering, SocketTestCase, TwistedSocketTestCase, next_turn


class CountingFactory(Factory):
    """Keeps what it made, and how often it was started and stopped."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Remembering] = []
        self.starts: list[str] = []

    def startFactory(self) -> None:
        """The port opens."""
        self.starts.append("start")

    def stopFactory(self) -> None:
        """The port closes."""
        self.starts.append("stop")

    def buildProtocol(self, addr: Any) -> Any:
        """A connection."""
        protocol = Remembering()
        self.made.append(protocol)
        self.address = addr
        return protocol


class PortContract:
    """What a port does. Mixed into a test case that says whose."""

    @inlineCallbacks
    def test_listening(self):
        """An endpoint gives a port at once, which says where it is; the factory hears of the beginning and the end."""
        factory = CountingFactory()
        self.assertTrue(verifyObject(IStreamServerEndpoint, self.endpoint()))
        port = self.listen(factory)
        self.assertTrue(verifyObject(IListeningPort, port))
        self.assertEqual(port.getHost().host, "127.0.0.1")
        peer = self.peer(port)
        while not factory.made:
            yield next_turn()
        yield factory.made[0].when("made")
        self.assertEqual((factory.address.host, factory.address.port), peer.socket.getsockname())
        yield port.stopListening()
        self.assertEqual(factory.starts, ["start", "stop"])
        peer.socket.sendall(b"still here")  # open connections stay
        yield factory.made[0].when("data")
        factory.made[0].transport.abortConnection()
        yield factory.made[0].when("lost")

    @inlineCallbacks
    def test_a_stopped_port_is_free(self):
        """Another may have it at once; nobody is answered in between."""
        port = self.listen(CountingFactory())
        number = port.getHost().port
        yield port.stopListening()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", number))
        again = self.successResultOf(self.endpoint(port=number).listen(CountingFactory()))
        self.assertEqual(again.getHost().port, number)
        yield again.stopListening()

    def test_a_taken_port(self):
        """The failure is there at once, with what the system said."""
        number = self.listen(CountingFactory()).getHost().port
        error = self.failureResultOf(self.endpoint(port=number).listen(CountingFactory()), CannotListenError).value
        self.assertEqual(error.socketError.errno, errno.EADDRINUSE)
        self.assertEqual((error.interface, error.port), ("127.0.0.1", number))

    def test_a_host_that_is_not_ours(self):
        """Likewise."""
        self.failureResultOf(self.endpoint("192.0.2.1").listen(CountingFactory()), CannotListenError)

    @inlineCallbacks
    def test_no_protocol(self):
        """A factory that gives none closes the connection; one that fails as well, and the port lives on."""
        factory = CountingFactory()
        port = self.listen(factory)
        factory.buildProtocol = lambda _: None
        self.assertEqual((yield self.peer(port).read_all()), b"")
        factory.buildProtocol = lambda _: 1 // 0
        refused = self.peer(port)
        while not (errors := self.flushLoggedErrors(ZeroDivisionError)):
            yield next_turn()
        self.assertEqual(len(errors), 1)
        del factory.buildProtocol
        self.peer(port)
        while not factory.made:
            yield next_turn()
        refused.socket.close()
        yield factory.made[-1].when("made")
        factory.made[-1].transport.abortConnection()
        yield factory.made[-1].when("lost")


class TwistedPortTests(PortContract, TwistedSocketTestCase):
    """Twisted's own."""


class FailingSocket:
    """A listening socket whose next `accept` fails in the ways that the test wants."""

    def __init__(self, sock: socket.socket, *errors: int) -> None:
        self._socket = sock
        self.errors = list(errors)
        self.accepts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def accept(self) -> Any:
        """Fail, or accept."""
        self.accepts += 1
        if self.errors:
            error = self.errors.pop(0)
            raise OSError(error, "on purpose")
        return self._socket.accept()


class LoopPortTests(PortContract, SocketTestCase):
    """The event loop's, and what only it has."""

    def end(self, factory: CountingFactory) -> Any:
        """Cut all connections and await it."""
        for protocol in factory.made:
            if protocol.transport is not None:
                protocol.transport.abortConnection()
        return next_turn(3)

    def test_which_reactors(self):
        """Those on asyncio."""
        self.assertIs(loop_of(reactor), getattr(reactor, "_asyncioEventloop", None))
        self.assertIsNone(loop_of(Clock()))

    @inlineCallbacks
    def test_ipv6(self):
        """A host with colons."""
        if not socket.has_ipv6:
            self.skipTest("no IPv6 here")
        factory = CountingFactory()
        port = self.listen(factory, "::1")
        self.assertEqual(port.getHost().host, "::1")
        self.peer(port)
        while not factory.made:
            yield next_turn()
        yield factory.made[0].when("made")
        self.assertEqual(factory.made[0].transport.getHost().port, port.getHost().port)
        self.assertEqual(factory.made[0].transport.getPeer().host, "::1")
        yield self.end(factory)

    def test_a_scope_has_its_name(self):
        """As Twisted says it."""
        self.assertEqual(named(("::1", 1, 0, 0)), ("::1", 1, 0, 0))
        self.assertEqual(named(("127.0.0.1", 1)), ("127.0.0.1", 1))
        index = socket.if_nametoindex("lo")
        self.assertEqual(named(("fe80::1", 1, 0, index)), ("fe80::1%lo", 1, 0, index))

    @inlineCallbacks
    def test_restart(self):
        """A port that was stopped can start again; stopping twice is no error."""
        factory = CountingFactory()
        port = self.listen(factory)
        yield port.stopListening()
        yield port.stopListening()
        port.startListening()
        self.peer(port)
        while not factory.made:
            yield next_turn()
        self.assertEqual(factory.starts, ["start", "stop", "start"])
        yield self.end(factory)

    @inlineCallbacks
    def test_a_burst_is_taken_in_turns(self):
        """More than a turn's share waits; all get in."""
        factory = CountingFactory()
        port = self.listen(factory)
        many = ACCEPTS_PER_TURN * 2 + 1
        peers = [self.peer(port) for _ in range(many)]
        port._accept()
        self.assertEqual(len(factory.made), ACCEPTS_PER_TURN)
        while len(factory.made) < many:
            yield next_turn()
        for protocol in factory.made:
            yield protocol.when("made")
        self.assertEqual(len(peers), many)
        yield self.end(factory)

    @inlineCallbacks
    def test_a_port_that_is_stopped_by_a_connection(self):
        """It takes no other."""
        factory = CountingFactory()
        port = self.listen(factory)
        build = factory.buildProtocol

        def build_once(addr):
            port.stopListening()
            return build(addr)

        factory.buildProtocol = build_once
        self.peer(port), self.peer(port)
        while not factory.made:
            yield next_turn()
        yield next_turn(3)
        self.assertEqual(len(factory.made), 1)
        yield self.end(factory)

    @inlineCallbacks
    def test_no_descriptors(self):
        """Accepting rests for a moment, said once, and goes on; whoever waits gets in."""
        factory = CountingFactory()
        port = self.listen(factory)
        port._socket = failing = FailingSocket(port._socket, errno.EMFILE, errno.ENFILE, errno.ENOBUFS)
        times: list[float] = []
        loop, port._loop = port._loop, port  # the port's calls of the loop come to us
        port.remove_reader, port.add_reader = loop.remove_reader, loop.add_reader
        port.create_task, port.connect_accepted_socket = loop.create_task, loop.connect_accepted_socket
        port.call_later = lambda seconds, call: times.append(seconds) or loop.call_soon(call)
        self.addCleanup(setattr, port, "_loop", loop)
        warnings = self.warnings()
        self.peer(port)
        while not factory.made:
            yield next_turn()
        self.assertEqual(times, [REST_SECONDS] * 3)
        self.assertLessEqual(failing.accepts, 5)
        self.assertEqual(len(warnings), 1)
        yield self.end(factory)

    @inlineCallbacks
    def test_stopped_while_it_rests(self):
        """Nothing comes back."""
        port = self.listen(CountingFactory())
        port._socket = FailingSocket(port._socket, errno.EMFILE)
        self.peer(port)
        while port._rest is None:
            yield next_turn()
        yield port.stopListening()
        self.assertTrue(port._rest.cancelled())

    @inlineCallbacks
    def test_one_that_has_gone(self):
        """A connection that was aborted in the backlog is passed over."""
        factory = CountingFactory()
        port = self.listen(factory)
        port._socket = FailingSocket(port._socket, errno.ECONNABORTED, errno.EINTR)
        self.peer(port)
        while not factory.made:
            yield next_turn()
        self.assertIsNone(port._rest)
        yield self.end(factory)

    @inlineCallbacks
    def test_a_connection_that_cannot_begin(self):
        """The loop refuses the socket: it is logged, and the protocol hears of an end."""
        factory = CountingFactory()
        port = self.listen(factory)
        loop, port._loop = port._loop, port
        port.create_task, port.remove_reader = loop.create_task, loop.remove_reader
        port.connect_accepted_socket = lambda *_: 1 // 0
        self.addCleanup(setattr, port, "_loop", loop)
        self.peer(port)
        while not factory.made:
            yield next_turn()
        self.assertIsInstance((yield factory.made[0].when("lost")), ConnectionLost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def warnings(self) -> list[Any]:
        """What is warned of from here on."""
        seen: list[Any] = []

        def observe(event: Any) -> None:
            if event.get("log_level") is LogLevel.warn:
                seen.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return seen
