"""How many connections a listener holds. Whoever comes over the bound is told so, if the wire has words for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocolFactory,
    IProtocolNegotiationFactory,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from quickpulse.interfaces import ITraffic
from quickpulse.settings import Settings
from quickpulse.transports.loop_transport import Stall

REASON = "too_many_connections"

REFUSALS_AT_ONCE = 100
"""Refused connections that are open at one time, to be told why; more are closed without a word."""

REFUSAL_SECONDS = 1.0
"""How long a refused client may take to read why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a listener's connections may take.

    :param connections: most of them; `None` is no bound.
    :param per_address: most of them from one address; `None` is no bound.
    :param stall_seconds: a peer that reads nothing of what waits for it, for so long, is cut off; 0 is never.
    """

    connections: int | None
    per_address: int | None = None
    stall_seconds: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Those that the settings have for the listeners of messages."""
        return cls(settings.max_connections, settings.max_connections_per_address, settings.stall_seconds)


def http_refusal(reason: str) -> bytes:
    """What an HTTP client is told, and a WebSocket client before its handshake."""
    body = f"{reason}\n".encode()
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    )


OVER_CONNECTIONS = "too many connections: --max-connections is reached"
OVER_ADDRESS = "too many connections from this address: --max-connections-per-address is reached"


@implementer(IProtocolFactory)
class BoundedFactory:
    """Another factory, as long as its connections are within bounds. It is not on the way of the bytes.

    :param reactor: for the time that a refused client gets.
    :param factory: makes the protocols; they must let their `connectionLost` be replaced.
    :param bounds: how many.
    :param traffic: the ITraffic that counts refusals.
    :param refusals: what is written to a refused client, over either bound; empty where the wire has no words for it.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        factory: Any,
        bounds: Bounds,
        traffic: ITraffic,
        refusals: tuple[bytes, bytes] = (http_refusal(OVER_CONNECTIONS), http_refusal(OVER_ADDRESS)),
    ) -> None:
        self.reactor = reactor
        self.stall = Stall(bounds.stall_seconds, partial(traffic.refused, "stalled"))  # for the loop's transports
        self.refusals_open = 0
        self._factory = factory
        self._bounds = bounds
        self._traffic = traffic
        self._refusals = refusals
        self._open = 0
        self._open_of: dict[str, int] = {}  # by address; those with none are not in it
        if IProtocolNegotiationFactory.providedBy(factory):  # TLS asks us what the factory speaks
            self.acceptableProtocols = factory.acceptableProtocols
            alsoProvides(self, IProtocolNegotiationFactory)

    def doStart(self) -> None:
        """The port opens."""
        self._factory.doStart()

    def doStop(self) -> None:
        """The port closes."""
        self._factory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """The factory's protocol, or a refusal."""
        address: str | None = getattr(addr, "host", None)  # UNIX sockets have none
        most, most_of_address = self._bounds.connections, self._bounds.per_address
        if most is not None and self._open >= most:
            return self._refuse(self._refusals[0])
        if address is not None and most_of_address is not None and self._open_of.get(address, 0) >= most_of_address:
            return self._refuse(self._refusals[1])
        protocol = self._factory.buildProtocol(addr)
        if protocol is not None:
            self._open += 1
            if address is not None:
                self._open_of[address] = self._open_of.get(address, 0) + 1
            # Replaced and not wrapped: a wrapper would cost on the way of every byte.
            protocol.connectionLost = partial(self._ended, protocol, address)
        return protocol

    def _ended(self, protocol: Any, address: str | None, reason: Failure = connectionDone) -> None:
        del protocol.connectionLost
        self._open -= 1
        if address is not None:
            self._open_of[address] -= 1
            if not self._open_of[address]:
                del self._open_of[address]
        protocol.connectionLost(reason)

    def _refuse(self, text: bytes) -> Protocol | None:
        self._traffic.refused(REASON)
        if not text or self.refusals_open >= REFUSALS_AT_ONCE:
            return None
        return _Refusal(self, text)


@implementer(IHalfCloseableProtocol)
class _Refusal(Protocol):
    """Says why, and reads on until the client has seen it: a close with unread input would destroy the words."""

    def __init__(self, factory: BoundedFactory, text: bytes) -> None:
        self._bounded = factory
        self._text = text
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Say it."""
        transport: Any = self.transport
        self._bounded.refusals_open += 1
        self._deadline = self._bounded.reactor.callLater(REFUSAL_SECONDS, transport.abortConnection)
        transport.write(self._text)
        half_close = getattr(transport, "loseWriteConnection", None)
        (half_close or transport.loseConnection)()

    def readConnectionLost(self) -> None:
        """The client has seen the end."""
        self.transport.loseConnection()  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None:
        """It is said; the client's end is awaited."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end."""
        self._bounded.refusals_open -= 1
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
