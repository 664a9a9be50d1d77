"""The native gRPC server's connection: one read served, one write; its beginning, its keepalive and its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.transports.flow import knows_arrivals
from quickpulse.transports.grpc_serving import Serving
from quickpulse.transports.handed_out import HandedOut
from quickpulse.transports.held_leases import SEVERED_SECONDS
from quickpulse.transports.keepalive import PING_SECONDS, PING_TIMEOUT_SECONDS
from quickpulse.wire.grpc.requests import TIMEOUT
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.events import Failed
from quickpulse.wire.http2.frames import PREFACE

if TYPE_CHECKING:
    from quickpulse.transports.grpc_native import GrpcFactory
    from quickpulse.wire.grpc.requests import Call
    from quickpulse.wire.grpc.status import RpcError

LINGER_SECONDS = 5
"""How long the peer's end of the connection is awaited after ours."""

GOAWAY_SECONDS = 1.0
"""How long the answer to the PING between the two GOAWAYs is awaited."""

_HTTP1 = re.compile(rb"[A-Z]{1,20} [^\r\n]+ HTTP/1\.")
"""The first line of a request of HTTP/1."""

_MAYBE_HTTP1 = re.compile(rb"[A-Z]{1,20}( [^\r\n]{0,8000})?")
"""What may still become one: RFC 9112, section 3, recommends lines of 8,000 bytes at least."""

_NOT_HTTP2 = b"this port speaks gRPC: HTTP/2 with prior knowledge\n"
_HTTP1_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_NOT_HTTP2), _NOT_HTTP2)
)

_ALIVE = b"are you?"
_BETWEEN_GOAWAYS = b"draining"


@implementer(IHalfCloseableProtocol, IPushProducer)
class GrpcConnection(Protocol):
    """One connection of a client.

    :param factory: what its connections share.
    """

    transport: Any

    def __init__(self, factory: GrpcFactory) -> None:
        self._factory = factory
        self._settings = settings = factory.settings
        self._reactor = factory.reactor
        self._traffic = factory.traffic
        self._counts = factory.counts
        self._http2 = Connection(
            Role.SERVER,
            interpret=factory.read_call,
            volatile=TIMEOUT,
            max_streams=settings.max_streams,
            max_header_bytes=settings.max_header_bytes,
            window=settings.max_inflight_bytes,
        )
        self._opening: bytes | None = b""  # what came of the preface; None once it is there
        self._is_beginning = True
        self._is_lost = self._is_over = False
        self._last_received = 0.0
        self._timer: IDelayedCall | None = None
        self._linger: IDelayedCall | None = None

    # ---- Twisted's side ----

    def connectionMade(self) -> None:
        """A connection was accepted."""
        self._handed = HandedOut(self.transport)
        self._serving = Serving(self, self._http2, self._handed, self._reactor, self._traffic, self._settings)
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self._factory.opened(self)
        self.transport.registerProducer(self, True)
        if self._settings.handshake_seconds:
            self._schedule(self._settings.handshake_seconds, self._never_began)

    def dataReceived(self, data: bytes) -> None:
        """Serve all that lies complete in a read, and answer it with one write."""
        self._counts.received_bytes += len(data)
        if self._is_over:
            return
        if self._opening is not None:
            data = self._open(data)
            if not data:
                return
        self._last_received = now = self._reactor.seconds()
        self._serving.receive(data, now)
        if self._is_beginning and self._http2.is_established:
            self._is_beginning = False
            self._look_later()
        self.flush()

    def forget_calls(self, refusal: Callable[[Call], RpcError | None]) -> None:
        """Ask the factory anew what fields mean, and end what is open, is not served yet, and would not be now.

        :param refusal: why a call is not admitted any more; None: it is.
        """
        self._http2.forget_meanings()
        self._serving.refuse_open(refusal)
        self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        data = self._http2.data_to_send()
        if not self._is_lost:
            self._handed.writes(len(data))  # also of nothing: what became known as handed out may be written already
            if data:
                self._counts.sent_bytes += len(data)
                self.transport.write(data)
        if self._serving.is_draining:
            self._finish_drain()

    def pauseProducing(self) -> None:
        """The buffer to the peer is above high water: read no more."""
        self._serving.peer_waits()
        self.pause()

    def resumeProducing(self) -> None:
        """It is empty again."""
        self._serving.peer_reads()

    def stopProducing(self) -> None:
        """The transport is closing; it reads no more by itself."""

    def pause(self) -> None:
        """Read no more."""
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    def readConnectionLost(self) -> None:
        """The peer sends nothing more; it may still read."""
        self._serving.confirm()
        self._is_over = True
        self._lose()

    def writeConnectionLost(self) -> None:
        """All of ours is out; the peer's end is awaited, not for long."""
        if self._linger is not None and self._linger.active():
            self._linger.reset(LINGER_SECONDS)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection, and count what it took with it."""
        if knows_arrivals(self.transport) or (self._is_tls and reason.check(ConnectionDone)):
            self._serving.confirm()  # the end of TLS in order: both sides have said that they have all
        self._is_lost = self._is_over = True
        for timer in (self._timer, self._linger):
            if timer is not None and timer.active():
                timer.cancel()
        self._serving.lost()
        self._factory.closed(self)

    @property
    def _is_tls(self) -> bool:
        return bool(ISSLTransport.providedBy(self.transport))

    def abort(self) -> None:
        """Cut the connection, and know what was under way."""
        self._serving.confirm()
        self.transport.abortConnection()

    # ---- the beginning ----

    def _open(self, data: bytes) -> bytes:
        """Wait for the preface, and tell HTTP/1 that it is wrong here."""
        opening = (self._opening or b"") + data
        self._opening = None
        if PREFACE.startswith(opening[: len(PREFACE)]):
            if len(opening) < len(PREFACE):
                self._opening = opening
                return b""
        elif _HTTP1.match(opening):
            self._traffic.refused("bad_request")
            self._http2.data_to_send()  # our own preface is not for it
            self.transport.write(_HTTP1_ANSWER)
            self._close()
            return b""
        elif _MAYBE_HTTP1.fullmatch(opening):
            self._opening = opening
            return b""
        return opening

    def _never_began(self) -> None:
        self._traffic.refused("timeout")
        self.abort()

    # ---- the keepalive ----

    def _look(self) -> None:
        """Find out, once in a while, whether the peer is there and wants anything."""
        now, idle, serving = self._reactor.seconds(), self._settings.idle_seconds, self._serving
        quiet = now - self._last_received
        if quiet >= PING_TIMEOUT_SECONDS and not serving.is_held:
            self._traffic.refused("timeout")
            self.abort()
            return
        if idle and serving.is_quiet and now - serving.last_request >= idle:
            self._traffic.refused("idle")
            self._http2.shut_down()
            self._close()
            return
        stall = self._settings.stall_seconds
        if stall and self._http2.is_blocked and serving.is_stalled(stall):
            self._traffic.refused("stalled")
            self.abort()
            return
        if quiet >= PING_SECONDS and not serving.is_held:
            self._http2.ping(_ALIVE)
            self.flush()
        self._look_later()

    def _look_later(self) -> None:
        settings = self._settings
        self._schedule(
            min(PING_SECONDS, settings.idle_seconds or PING_SECONDS, settings.stall_seconds or PING_SECONDS), self._look
        )

    def ponged(self, data: bytes) -> None:
        """The peer answered a PING."""
        if data == _BETWEEN_GOAWAYS and self._serving.is_draining:
            self._shut_down()

    # ---- the end ----

    def drain(self, seconds: float) -> None:
        """Say GOAWAY, serve what is on its way, end streams, and close.

        After GOAWAY clients begin no calls on this connection: so one that holds leases has `seconds`, but for the last
        of them, to settle those.
        """
        if self._is_over or self._serving.is_draining:
            return
        self._serving.is_draining = True
        if self._opening is not None:
            self._close()
            return
        self._schedule(max(seconds - SEVERED_SECONDS, 0.0), lambda: self._announce(SEVERED_SECONDS / 2))
        self._serving.held.when_none(self._announce)

    def _announce(self, seconds: float = GOAWAY_SECONDS) -> None:
        """The first GOAWAY; the second comes when the peer has seen it, after `seconds` at the latest."""
        self._serving.held.when_none(None)
        if self._is_over:
            return
        self._http2.announce_shutdown()
        self._http2.ping(_BETWEEN_GOAWAYS)
        self.flush()
        self._schedule(seconds, self._shut_down)

    def _shut_down(self) -> None:
        """The second GOAWAY, and the end of what may last for ever."""
        if self._is_over:
            return
        self._schedule(None, self._shut_down)
        self._http2.shut_down()
        self._serving.end_streams()
        self.flush()

    def _finish_drain(self) -> None:
        if self._serving.is_draining and not self._is_over and self._http2.is_shut_down and self._serving.is_quiet:
            self._close()

    def failed(self, fault: Failed) -> None:
        """The peer broke a rule of HTTP/2: GOAWAY says which, and nothing more is read."""
        self._close()

    def _close(self) -> None:
        """Close without a reset that would destroy answers on their way: half-close, read on and discard."""
        self._is_over = True
        self._schedule(None, self._close)
        self.flush()
        self._serving.confirm()  # not every end of a connection can be asked
        half_close = getattr(self.transport, "loseWriteConnection", None)
        self._linger = self._reactor.callLater(self._settings.stall_seconds or LINGER_SECONDS, self.abort)
        if half_close is None or self._is_tls:
            self._lose()  # TLS has its own closing handshake
        else:
            self.transport.resumeProducing()
        if half_close is not None:
            half_close()  # of TLS the socket's: some clients await its end, whatever TLS has said

    def _lose(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _schedule(self, seconds: float | None, action: Any) -> None:
        """The one timer of a connection: what comes next, or nothing."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self._reactor.callLater(seconds, action)
