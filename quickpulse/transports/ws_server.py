"""WsServer: the WebSocket listener as a service. The connections are in `websocket`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from zope.interface import implementer

from quickpulse.interfaces import ITransportService
from quickpulse.transports.bounds import Bounds
from quickpulse.transports.listening import ListeningService
from quickpulse.transports.websocket import WsFactory


@implementer(ITransportService)
class WsServer(ListeningService):
    """Listens for WebSocket connections while it runs.

    :param endpoint: where.
    :param where: names the address if that fails.
    :param factory: makes the connections.
    """

    name = "WebSocket"
    factory: WsFactory

    def __init__(self, endpoint: IStreamServerEndpoint, where: str, factory: WsFactory) -> None:
        super().__init__(endpoint, where, factory)
        self.bound(Bounds.of(factory.settings))

    def drain(self, seconds: float) -> Deferred[None]:
        """Listen no more, answer what was read, close with 1012."""
        return self.stop_listening().addCallback(lambda _: self.factory.drain(seconds))
