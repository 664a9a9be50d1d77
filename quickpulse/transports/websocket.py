"""What the WebSocket connections of a listener share: their factory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolNegotiationFactory
from zope.interface import implementer

from quickpulse.transports.keepalive import PING_SECONDS, PING_TIMEOUT_SECONDS
from quickpulse.transports.open_connections import OpenConnections
from quickpulse.transports.ws_connection import CLOSE_TIMEOUT_SECONDS, WsProtocol
from quickpulse.transports.ws_fast import FastWsProtocol
from quickpulse.wire.websocket.requests import ENDPOINTS
from quickpulse.wire.websocket.subprotocols import V1_PATH

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.settings import Settings
    from quickpulse.transports.tokens import Tokens

NAME = "ws"
"""The label of this transport in metrics."""


class _Timer:
    """What autobahn asks for its timeouts, on the reactor that we were given."""

    def __init__(self, reactor: Any) -> None:
        self.call_later = reactor.callLater


@implementer(IProtocolNegotiationFactory)
class WsFactory(OpenConnections, WebSocketServerFactory):  # type: ignore[misc]
    """Makes the connections, holds what they share, and knows which are open.

    :param reactor: for timeouts.
    :param queue: the IMessageQueue.
    :param traffic: the ITraffic.
    :param settings: the bounds, and the origins of other hosts that may connect.
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
        OpenConnections.__init__(self)
        WebSocketServerFactory.__init__(self, reactor=reactor, server="QuickPulse")
        self.protocol = FastWsProtocol if settings.ws_frames == "fast" else WsProtocol
        self._batched_timer = _Timer(reactor)  # autobahn's own would run on the global reactor
        self.queue = queue
        self.broker = broker
        self.tokens = tokens
        self.max_batch_bytes = settings.max_batch_bytes
        v0 = tuple(ENDPOINTS) if settings.v0 == "on" else ()
        paths = v0 if broker is None else (*v0, V1_PATH)
        self.paths = frozenset(paths)
        self.no_such_path = f"no such path; there {'are' if v0 else 'is'} {' and '.join(paths)}"
        self.traffic = traffic
        self.counts = traffic.of(NAME)
        self.settings = settings
        self.allow_origin = settings.allow_origin
        self.is_draining = False
        self.setProtocolOptions(
            maxMessagePayloadSize=settings.max_message_bytes,
            maxFramePayloadSize=settings.max_message_bytes,
            versions=[13],  # RFC 6455; the drafts before it have another Origin header
            failByDrop=False,  # a dropped connection has no close code
            echoCloseCodeReason=True,
            openHandshakeTimeout=settings.handshake_seconds,
            closeHandshakeTimeout=CLOSE_TIMEOUT_SECONDS,
            autoPingInterval=PING_SECONDS,
            autoPingTimeout=PING_TIMEOUT_SECONDS,
            tcpNoDelay=True,
            webStatus=False,  # a plain GET gets 426
            serveFlashSocketPolicy=False,
        )

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS clients are told in its handshake. Browsers ask, and without this Twisted ends what they ask."""
        return [b"http/1.1"]

    def drain(self, seconds: float) -> Deferred[None]:
        """Close every connection in order; the Deferred fires when the last has ended, cut after `seconds`."""
        self.is_draining = True
        return self.end_all(lambda connection: connection.drain(seconds), seconds)
