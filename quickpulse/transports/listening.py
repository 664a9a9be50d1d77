"""From settings to a listening socket: endpoints, and binding at once so that a failure fails the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.python.failure import Failure

from quickpulse.errors import ListenError, SettingsError
from quickpulse.events import Event
from quickpulse.transports.bounds import BoundedFactory, Bounds
from quickpulse.transports.loop import LoopPort, LoopServerEndpoint, loop_of

BACKLOG = 65_535
"""Connections that may wait to be accepted; the kernel lowers it to its maximum. Twisted's 50 drops bursts."""

TWISTED_BACKLOG = 50
"""What an endpoint string without a backlog means."""


class _LoopReactor:
    """The asyncio reactor, but TCP ports are the event loop's own; for endpoint strings, however they are nested.

    :param reactor: everything else.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = TWISTED_BACKLOG, interface: str = ""
    ) -> IListeningPort:
        """As IReactorTCP says, with a backlog for bursts unless another is asked for."""
        loop_port = LoopPort(
            self._reactor, factory, interface, port, BACKLOG if backlog == TWISTED_BACKLOG else backlog
        )
        loop_port.startListening()
        return loop_port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def make_endpoint(reactor: Any, option: str, endpoint: str | None, host: str, port: int) -> IStreamServerEndpoint:
    """Where to listen: the endpoint string if there is one, else host and port.

    On an asyncio reactor TCP is the event loop's own; all else, and all of other reactors, is Twisted's.

    :param option: the flag that an error names, "--ws-endpoint".
    :raises SettingsError: the endpoint string is not valid.
    """
    has_loop = loop_of(reactor) is not None
    if endpoint is None:
        if has_loop:
            return LoopServerEndpoint(reactor, host, port, BACKLOG)
        kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        return kind(reactor, port, backlog=BACKLOG, interface=host)
    try:
        described: IStreamServerEndpoint = serverFromString(_LoopReactor(reactor) if has_loop else reactor, endpoint)
    except KeyError as error:
        raise SettingsError(f"{option} {endpoint!r}: systemd handed over no socket that is called {error}") from error
    except Exception as error:  # each kind of endpoint has its own way to refuse its arguments
        raise SettingsError(f"{option} {endpoint!r}: {type(error).__name__}: {error}") from error
    return described


def listen_now(endpoint: IStreamServerEndpoint, factory: IProtocolFactory, where: str) -> Deferred[IListeningPort]:
    """Listen, and raise at once what fails at once, so that a taken port fails the start of the service.

    :param where: names the address in the error.
    :returns: a Deferred of the port; all of Twisted's own endpoints have it fired already.
    :raises ListenError: the address cannot be listened on.
    """
    failures: list[Failure] = []

    def failed(failure: Failure) -> Failure:
        failures.append(failure)
        return failure

    listening: Deferred[IListeningPort] = endpoint.listen(factory).addErrback(failed)
    if failures:
        listening.addErrback(lambda _: None)
        raise ListenError(f"{where}: {reason_of(failures[0].value)}") from failures[0].value
    return listening


def reason_of(error: BaseException | None) -> str:
    """What the operating system said, without the layers around it."""
    if isinstance(error, CannotListenError):
        error = error.socketError
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"


def address_text(port: IListeningPort) -> str:
    """The address that a port listens on, for people: 127.0.0.1:8081, [::1]:8081, unix:/run/queue.sock."""
    address: Any = port.getHost()
    if hasattr(address, "port"):
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"{host}:{address.port}"
    name = getattr(address, "name", None)
    return f"unix:{name.decode(errors='replace')}" if name else str(address)


class ListeningService(Service):
    """Listens on one endpoint while it runs; a subclass says how its connections end.

    :param endpoint: where.
    :param where: names the address if that fails.
    :param factory: makes the connections; its `abort_all` cuts those that are open.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, where: str, factory: Any) -> None:
        self.factory = factory
        self._listening_factory: IProtocolFactory = factory
        self.addresses: list[str] = []
        self._endpoint = endpoint
        self._where = where
        self._listening = Event()
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Listen.

        :raises ListenError: the address cannot be listened on.
        """
        super().startService()
        listening = listen_now(self._endpoint, self._listening_factory, self._where)
        listening.addCallback(self._listens).addCallbacks(self._listening.happened, self._listening.failed)

    def bound(self, bounds: Bounds, **refusals: tuple[bytes, bytes]) -> None:
        """Hold no more connections than `bounds` has; the factory must have `reactor` and `traffic`.

        :param refusals: as BoundedFactory takes them.
        """
        factory = self.factory
        self._listening_factory = BoundedFactory(factory.reactor, factory, bounds, factory.traffic, **refusals)

    def when_listening(self) -> Deferred[None]:
        """Fires when connections are accepted."""
        return self._listening.wait()

    def stopService(self) -> Deferred[None]:
        """Listen no more and cut what is open; `drain` comes first where order is wanted."""
        super().stopService()
        self.factory.abort_all()
        return self.stop_listening()

    def stop_listening(self) -> Deferred[None]:
        """Close the listening socket; open connections stay."""
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        stopped: Deferred[None] = maybeDeferred(cast("Callable[[], Any]", port.stopListening))
        return stopped

    def _listens(self, port: IListeningPort) -> None:
        self._port = port
        self.addresses.append(address_text(port))
