"""The native gRPC server as a service: what its connections share, its listener and its drain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolNegotiationFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from quickpulse.interfaces import ITransportService
from quickpulse.transports import grpc_health
from quickpulse.transports.bounds import OVER_ADDRESS, OVER_CONNECTIONS, Bounds
from quickpulse.transports.grpc_connection import GrpcConnection
from quickpulse.transports.grpc_contract import NAME, SERVICE
from quickpulse.transports.grpc_health import Health
from quickpulse.transports.grpc_methods import Table
from quickpulse.transports.grpc_reflection import reflection_table
from quickpulse.transports.grpc_v0 import v0_table
from quickpulse.transports.grpc_v1 import admitted, token_fault, v1_table
from quickpulse.transports.listening import ListeningService
from quickpulse.transports.open_connections import OpenConnections
from quickpulse.wire.grpc.requests import Call, read_call
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import goaway_frame, settings_frame
from quickpulse.wire.v1.table import SERVICE as V1_SERVICE

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.settings import Settings
    from quickpulse.transports.tokens import Tokens
    from quickpulse.wire.grpc.status import RpcError
    from quickpulse.wire.http2.fields import Field


@implementer(IProtocolNegotiationFactory)
class GrpcFactory(OpenConnections, Factory):
    """Makes the connections, holds what they share, and knows which are open.

    :param reactor: for timeouts.
    :param queue: the IMessageQueue.
    :param traffic: the ITraffic.
    :param settings: the mode and the bounds.
    :param broker: the IBroker of v1; None: v1 is not served.
    :param tokens: of which v1 wants one; None: it does not.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        queue: Any,
        traffic: ITraffic,
        settings: Settings,
        broker: Any = None,
        tokens: Tokens | None = None,
    ) -> None:
        super().__init__()
        self.reactor = reactor
        self.traffic = traffic
        self.counts = traffic.of(NAME)
        self.settings = settings
        self._tokens = tokens
        if tokens is not None:
            tokens.when_reloaded(self._read_calls_anew)
        v0: Table = {}
        if settings.v0 == "on":
            v0 = v0_table(settings.mode, queue, traffic, settings.max_message_bytes)
        v1: Table = {}
        if broker is not None:
            v1 = v1_table(broker, traffic, settings.max_batch_bytes, tokens)
        services = tuple(name for name, table in ((SERVICE, v0), (V1_SERVICE, v1)) if table)
        self.health = Health(services)
        self.table: Table = {
            **v0,
            **v1,
            **self.health.table(),
            **reflection_table((*services, grpc_health.SERVICE)),
        }
        self._guarded = frozenset(v1.values())

    def buildProtocol(self, addr: Any) -> GrpcConnection:
        """A connection."""
        return GrpcConnection(self)

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS clients are told in its handshake; gRPC's insist on it."""
        return [b"h2"]

    def read_call(self, fields: list[Field]) -> Call:
        """What a request's fields mean here."""
        call = read_call(fields, self.table, self.settings.max_header_bytes)
        return admitted(call, self._tokens) if self._tokens is not None and call.method in self._guarded else call

    def _read_calls_anew(self) -> None:
        """What was admitted before may not be now."""
        for connection in list(self.connections):
            connection.forget_calls(self._refusal)

    def _refusal(self, call: Call) -> RpcError | None:
        if self._tokens is None or call.method not in self._guarded:
            return None
        return token_fault(call, self._tokens)

    def drain(self, seconds: float) -> Deferred[None]:
        """Close every connection in order; the Deferred fires when the last has ended, cut after `seconds`."""
        self.health.drain()
        return self.end_all(lambda connection: _drain(connection, seconds), seconds)


def _drain(connection: GrpcConnection, seconds: float) -> None:
    connection.flush()  # whoever watches the health is told first
    connection.drain(seconds)


def _refusal(reason: str) -> bytes:
    """What a client over a bound on connections is told."""
    return settings_frame(()) + goaway_frame(0, ErrorCode.ENHANCE_YOUR_CALM, reason.encode())


@implementer(ITransportService)
class NativeGrpcServer(ListeningService):
    """Listens for gRPC while it runs, whatever the mode.

    :param endpoint: where.
    :param where: names the address if that fails.
    :param factory: makes the connections.
    """

    name = "gRPC"
    factory: GrpcFactory

    def __init__(self, endpoint: IStreamServerEndpoint, where: str, factory: GrpcFactory) -> None:
        super().__init__(endpoint, where, factory)
        self.bound(Bounds.of(factory.settings), refusals=(_refusal(OVER_CONNECTIONS), _refusal(OVER_ADDRESS)))

    def drain(self, seconds: float) -> Deferred[None]:
        """Listen no more, say GOAWAY, answer what was read, end streams with UNAVAILABLE."""
        return self.stop_listening().addCallback(lambda _: self.factory.drain(seconds))
