"""Listening on the event loop itself: an endpoint and a port. The connections are in `loop_transport`.

Connections are accepted here and not by the loop's `create_server`, so that it is ours to say what follows when that
fails: uvloop's listener may end without a word then, or use up a core.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from quickpulse.transports.loop_transport import LoopTransport, Stall

_log = Logger()

ACCEPTS_PER_TURN = 64
"""A burst of connections is taken in between the work for those that are open."""

REST_SECONDS = 0.2
"""How long accepting rests when the system has no file descriptor or memory; the connections wait in the backlog."""


def loop_of(reactor: Any) -> asyncio.AbstractEventLoop | None:
    """The asyncio event loop that a reactor runs on, if it is one that does."""
    loop: asyncio.AbstractEventLoop | None = getattr(reactor, "_asyncioEventloop", None)
    return loop


@implementer(IStreamServerEndpoint)
class LoopServerEndpoint:
    """TCP connections over the event loop's own transports, which cost a fraction of Twisted's.

    :param reactor: Twisted's asyncio reactor.
    :param host: the address to listen on; "" is every IPv4 interface.
    :param port: 0 picks a free one.
    :param backlog: connections that may wait to be accepted.
    """

    def __init__(self, reactor: Any, host: str, port: int, backlog: int) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._backlog = backlog

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen, at once: the Deferred has fired, with the port or with CannotListenError."""
        listening: Deferred[IListeningPort] = execute(self._listen, protocolFactory)
        return listening

    def _listen(self, factory: IProtocolFactory) -> LoopPort:
        port = LoopPort(self._reactor, factory, self._host, self._port, self._backlog)
        port.startListening()
        return port


@implementer(IListeningPort)
class LoopPort:
    """A listening socket whose connections are the event loop's; the parameters are those of the endpoint.

    :param factory: makes the protocols; `None` in place of one closes the connection. Its attribute `stall`, if it has
        one, is the bound for peers that do not read.
    """

    def __init__(self, reactor: Any, factory: IProtocolFactory, host: str, port: int, backlog: int) -> None:
        loop = loop_of(reactor)
        assert loop is not None, "the reactor must be asyncio's"
        self._loop = loop
        self._factory = factory
        self._host = host
        self._port = port
        self._backlog = backlog
        self._stall: Stall | None = getattr(factory, "stall", None)
        self._address_type = IPv6Address if isIPv6Address(host) else IPv4Address
        self._socket: socket.socket | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._is_short = False
        self._beginning: set[asyncio.Task[None]] = set()

    def startListening(self) -> None:
        """Bind, listen and accept.

        :raises CannotListenError: the address cannot be listened on.
        """
        try:
            self._socket = self._bound_socket()
        except OSError as error:
            raise CannotListenError(self._host, self._port, error) from error
        self._factory.doStart()
        self._loop.add_reader(self._socket, self._accept)

    def stopListening(self) -> Deferred[None]:
        """Accept no more; the address is free when this returns. Open connections stay."""
        if self._socket is not None:
            if self._rest is not None:
                self._rest.cancel()
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        """The address that is listened on."""
        assert self._socket is not None, "not listening"
        return self._address_type("TCP", *named(self._socket.getsockname()))

    def _bound_socket(self) -> socket.socket:
        family = socket.AF_INET6 if self._address_type is IPv6Address else socket.AF_INET
        # The protocol is said because asyncio looks at it before it turns Nagle's algorithm off.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            # Connections of an earlier server that wait for their end must not keep the address.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            address: Any = (self._host, self._port)
            if family == socket.AF_INET6:  # also reads the scope in fe80::1%eth0
                found = socket.getaddrinfo(self._host, self._port, family, flags=socket.AI_NUMERICHOST)
                address = found[0][4]
            listener.bind(address)
            listener.listen(self._backlog)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    def _accept(self) -> None:
        """Take what waits in the backlog, so many in one turn of the loop."""
        for _ in range(ACCEPTS_PER_TURN):
            if self._socket is None:  # a protocol's beginning may stop the port
                return
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:  # gone before we came
                continue
            except OSError as error:
                self._rest_from(error)
                return
            self._is_short = False
            self._begin(accepted, address)

    def _rest_from(self, error: OSError) -> None:
        """Whatever the system lacks, asking again at once would only burn time."""
        assert self._socket is not None
        if not self._is_short:
            self._is_short = True
            _log.warn("cannot accept connections at the moment: {error}", error=error)
        self._loop.remove_reader(self._socket)
        self._rest = self._loop.call_later(REST_SECONDS, self._accept_again)

    def _accept_again(self) -> None:
        self._rest = None
        assert self._socket is not None
        self._loop.add_reader(self._socket, self._accept)

    def _begin(self, accepted: socket.socket, address: Any) -> None:
        try:
            accepted.setblocking(False)
            peer = self._address_type("TCP", *named(address))
            protocol = self._factory.buildProtocol(peer)
        except Exception:
            _log.failure("no protocol could be built for a connection")
            protocol = None
        if protocol is None:
            accepted.close()
            return
        transport = LoopTransport(self._loop, accepted, protocol, peer, self._stall)
        task = self._loop.create_task(self._connect(transport, accepted))
        self._beginning.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._beginning.discard)

    async def _connect(self, transport: LoopTransport, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: transport, accepted)
        except Exception as error:
            _log.failure("a connection could not begin")
            accepted.close()
            transport.connection_lost(error)


def named(address: Any) -> tuple[Any, ...]:
    """A socket's address as Twisted's addresses take it: IPv6 with the scope's name, where it has one."""
    if len(address) == 4 and address[3]:
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        return (socket.getnameinfo(address, numeric)[0], *address[1:])
    return tuple(address)
