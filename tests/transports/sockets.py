"""Both ends of a TCP connection on loopback for tests: a Twisted protocol that remembers, and a plain socket."""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from quickpulse.transports.listening import BACKLOG
from quickpulse.transports.loop import LoopServerEndpoint, loop_of


def next_turn(turns: int = 1) -> Deferred[None]:
    """Fires after so many turns of the loop."""
    done: Deferred[None] = Deferred()
    reactor.callLater(0, lambda: done.callback(None))
    for _ in range(turns - 1):
        done.addCallback(lambda _: next_turn())
    return done


class Remembering(Protocol):
    """Keeps what happened, in order; `when(event)` fires with the first such event, past or to come.

    :param on: what to do at an event: a callable that gets the protocol.
    """

    def __init__(self, **on: Any) -> None:
        self.events: list[tuple[str, Any]] = []
        self._on = on
        self._waiting: list[tuple[str, Deferred[Any]]] = []

    @property
    def received(self) -> bytes:
        """All bytes so far."""
        return b"".join(value for name, value in self.events if name == "data")

    def names(self) -> list[str]:
        """What happened, without the values."""
        return [name for name, _ in self.events]

    def when(self, name: str) -> Deferred[Any]:
        """Wait for an event."""
        done: Deferred[Any] = Deferred()
        for happened, value in self.events:
            if happened == name:
                done.callback(value)
                return done
        self._waiting.append((name, done))
        return done

    def happened(self, name: str, value: Any = None) -> None:
        """Keep it, tell who waits, and do what the test wants."""
        self.events.append((name, value))
        due = [item for item in self._waiting if item[0] == name]
        self._waiting = [item for item in self._waiting if item[0] != name]
        for _, done in due:
            reactor.callLater(0, done.callback, value)
        if name in self._on:
            self._on[name](self)

    def connectionMade(self) -> None:
        """It begins."""
        self.happened("made")

    def dataReceived(self, data: bytes) -> None:
        """Bytes."""
        self.happened("data", data)

    def connectionLost(self, reason: Any = None) -> None:
        """It ends; the value is the error, as a Deferred would take a Failure for its own."""
        self.happened("lost", reason.value)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Remembering):
    """One that knows of halves."""

    def readConnectionLost(self) -> None:
        """The peer's half is closed."""
        self.happened("read lost")

    def writeConnectionLost(self) -> None:
        """Ours is."""
        self.happened("write lost")


class Producer:
    """Remembers what the transport asks of it.

    :param on_resume: what to do when it is asked for data.
    """

    def __init__(self, on_resume: Any = None) -> None:
        self.calls: list[str] = []
        self.paused: Deferred[None] = Deferred()
        self.resumed: Deferred[None] = Deferred()
        self._on_resume = on_resume

    def pauseProducing(self) -> None:
        """No more for now."""
        self.calls.append("pause")
        if not self.paused.called:
            self.paused.callback(None)

    def resumeProducing(self) -> None:
        """More."""
        self.calls.append("resume")
        if self._on_resume is not None:
            self._on_resume()
        if not self.resumed.called:
            self.resumed.callback(None)

    def stopProducing(self) -> None:
        """No more at all."""
        self.calls.append("stop")


class Peer:
    """The other end: a blocking socket, used from threads."""

    def __init__(self, port: Any, receive_buffer: int | None = None) -> None:
        host = port.getHost()
        self.socket = socket.socket(socket.AF_INET6 if ":" in host.host else socket.AF_INET)
        self.socket.settimeout(20)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((host.host, host.port))

    def send(self, data: bytes) -> Deferred[None]:
        """Send it all."""
        return deferToThread(self.socket.sendall, data)

    def read(self, size: int) -> Deferred[bytes]:
        """So many bytes, or what there is before the end."""
        return deferToThread(self._read, size)

    def read_all(self) -> Deferred[bytes]:
        """Everything until the end; the error if that is a reset."""
        return self.read(1 << 62)

    def _read(self, size: int) -> bytes:
        parts, got = [], 0
        while got < size:
            part = self.socket.recv(min(size - got, 1 << 20))
            if not part:
                break
            parts.append(part)
            got += len(part)
        return b"".join(parts)

    def close_write(self) -> None:
        """Half-close."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class SocketTestCase(TestCase):
    """Listens on loopback and connects."""

    timeout = 30

    def endpoint(self, host: str = "127.0.0.1", port: int = 0) -> Any:
        """The event loop's own."""
        if loop_of(reactor) is None:
            self.skipTest("not an asyncio reactor")
        return LoopServerEndpoint(reactor, host, port, BACKLOG)

    def listen(self, factory: Any, host: str = "127.0.0.1") -> Any:
        """A port, closed after the test."""
        port = self.successResultOf(self.endpoint(host).listen(factory))
        self.addCleanup(port.stopListening)
        return port

    def peer(self, port: Any, receive_buffer: int | None = None) -> Peer:
        """A socket to it, closed after the test."""
        peer = Peer(port, receive_buffer)
        self.addCleanup(peer.socket.close)
        return peer

    def connect(self, protocol: Remembering, receive_buffer: int | None = None, stall: Any = None) -> Peer:
        """A peer of `protocol`, whose transport reads when "made" has happened."""
        factory = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        if stall is not None:
            factory.stall = stall
        peer = self.peer(self.listen(factory), receive_buffer)
        self.addCleanup(lambda: protocol.transport is not None and protocol.transport.abortConnection())
        return peer


class TwistedSocketTestCase(SocketTestCase):
    """The same with Twisted's own TCP transport: the plain twin that says what is right."""

    def endpoint(self, host: str = "127.0.0.1", port: int = 0) -> Any:
        """Twisted's."""
        return TCP4ServerEndpoint(reactor, port, backlog=BACKLOG, interface=host)
