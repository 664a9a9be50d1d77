"""WebSocket on autobahn: one read becomes one call of the queue and one write. What the messages mean is in `wire`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.transports.flow import Deliveries, ReadGate, unacknowledged_bytes
from quickpulse.wire.origin import REFUSAL, is_origin_allowed, take_origin
from quickpulse.wire.websocket.requests import ENDPOINTS, UNAVAILABLE, Endpoint

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.settings import Settings

_log = Logger()  # not the class's `log`: that is autobahn's, with its own levels

NAME = "ws"
"""The label of this transport in metrics."""

SERVICE_RESTART = 1012
MESSAGE_TOO_BIG = 1009

MAX_HANDSHAKE_BYTES = 16 * 1024
"""The usual limit of HTTP servers for a request's header."""

OPEN_TIMEOUT_SECONDS = 5
"""A handshake is one packet; who needs longer holds a place for nothing."""

CLOSE_TIMEOUT_SECONDS = 5
"""How long the peer's Close is awaited after ours, and its end of the connection after both."""

PING_SECONDS = 25
"""Below the 30 s after which common proxies cut what is silent."""

PING_TIMEOUT_SECONDS = 50
"""Two pings missed."""

UPGRADE_REQUIRED = 426

NO_SUCH_PATH = f"no such path; there are {' and '.join(ENDPOINTS)}"

_HANDSHAKE_REFUSALS = {403: "forbidden_origin", 404: "not_found"}


@implementer(IHalfCloseableProtocol)
class WsProtocol(WebSocketServerProtocol):  # type: ignore[misc]
    """One connection. autobahn parses; complete messages gather until the read is used up, and are answered at once.

    While the queue's answer is a Deferred, `_is_waiting`: reading rests, and what autobahn wants to do next (send a
    Close, drop the connection) is kept in `_postponed`, so that no answer comes after a Close.
    """

    factory: WsFactory
    data: bytes  # autobahn's: what was received and not parsed yet

    def connectionMade(self) -> None:
        """A connection was accepted; the handshake comes next."""
        self._requests: list[bytes] = []
        self._origins: list[str] = []
        self._is_waiting = self._is_lost = False
        self._postponed: list[Callable[[], None]] = []
        self._endpoint: Endpoint = ENDPOINTS["/ws/consume"]
        self._gate = ReadGate(self.transport)
        self._deliveries = Deliveries()
        self._linger: IDelayedCall | None = None
        self.factory.opened(self)
        super().connectionMade()

    def onConnect(self, request: ConnectionRequest) -> None:
        """Choose the endpoint by the path, and apply the Origin rule."""
        if request.path not in ENDPOINTS:
            raise ConnectionDeny(404, NO_SUCH_PATH)
        host, allowed = request.headers.get("host"), self.factory.allow_origin
        if not all(is_origin_allowed(origin, host, allowed) for origin in self._origins):
            raise ConnectionDeny(403, REFUSAL)
        self._endpoint = ENDPOINTS[request.path]

    def onOpen(self) -> None:
        """The handshake is done: from here on a slow reader stops our reading."""
        self.registerProducer(self._gate, True)
        if self.factory.is_draining:
            self.drain(CLOSE_TIMEOUT_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        """Feed autobahn; after the end of the conversation, discard."""
        if self.state == self.STATE_CLOSED:
            return
        self.factory.counts.received_bytes += len(data)
        self._dataReceived(data)
        if self.state == self.STATE_CONNECTING and len(self.data) > MAX_HANDSHAKE_BYTES:
            self.failHandshake("request header is too large", 431)

    def processHandshake(self) -> None:
        """Take the Origin out before autobahn reads the request: the rule for it is ours."""
        end = self.data.find(b"\r\n\r\n") + 4
        if end > MAX_HANDSHAKE_BYTES:
            self.failHandshake("request header is too large", 431)
            return
        if end >= 4:
            self._origins, head = take_origin(self.data[:end])
            self.data = head + self.data[end:]
        super().processHandshake()

    def consumeData(self) -> None:
        """Parse what is buffered, then answer all of it."""
        if self.state not in (self.STATE_OPEN, self.STATE_CLOSING):
            super().consumeData()
            return
        while not self._is_waiting and self.processData() and self.state != self.STATE_CLOSED:
            pass
        self._answer()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Gather a complete message; one that comes after our Close is not accepted, and is not answered."""
        if self.state == self.STATE_OPEN:
            self._requests.append(payload)

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> Any:
        """The peer's Close; as the reply to ours it says that all before ours was read."""
        if self.state == self.STATE_CLOSING:
            self._deliveries.confirm(0)
        return super().onCloseFrame(code, reasonRaw)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Answer what came before, then send Close."""
        self._answer()
        send = super().sendCloseFrame
        self._soon(lambda: send(code, reasonUtf8, isReply))

    def dropConnection(self, abort: bool = False) -> None:
        """End the connection: at once when it has failed, else after the answers."""
        drop = super().dropConnection
        if abort and not self.wasClean:
            drop(abort)
        else:
            self._soon(lambda: drop(abort))

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Write what autobahn makes, counted."""
        self._wrote(len(data))
        super().sendData(data, sync, chopsize)

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        """A refused handshake, with a body that says why, as any HTTP client expects."""
        line = "".join(c if " " <= c <= "~" else "?" for c in " ".join(reason.split()))
        body = f"{line}\n"
        headers = [*(responseHeaders or ()), ("Content-Type", "text/plain; charset=utf-8")]
        headers += [("Content-Length", str(len(body))), ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.sendData(f"HTTP/1.1 {code} {line[:200]}\r\n{head}\r\n{body}".encode())

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Count why, and refuse."""
        if code == UPGRADE_REQUIRED and self.http_request_path not in ENDPOINTS:
            code, reason = 404, NO_SUCH_PATH
        self.factory.traffic.refused(_HANDSHAKE_REFUSALS.get(code, "bad_request"))
        super().failHandshake(reason, code, responseHeaders)

    def onOpenHandshakeTimeout(self) -> None:
        """The handshake did not come in time."""
        if self.state == self.STATE_CONNECTING:
            self.factory.traffic.refused("timeout")
        super().onOpenHandshakeTimeout()

    def onAutoPingTimeout(self) -> None:
        """The peer is gone."""
        self.factory.traffic.refused("timeout")
        super().onAutoPingTimeout()

    def drain(self, seconds: float) -> None:
        """Answer what was read, say 1012, and give the peer `seconds` to read it all."""
        if self.state == self.STATE_OPEN:
            self.closeHandshakeTimeout = seconds
            self.sendCloseFrame(SERVICE_RESTART, b"server is restarting")
        elif self.state == self.STATE_CONNECTING:
            self.failHandshake("server is restarting", 503)

    def abort(self) -> None:
        """Cut the connection, and know what was under way."""
        self._deliveries.confirm(unacknowledged_bytes(self.transport))
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """The peer sends nothing more; it may still read."""
        self._deliveries.confirm(unacknowledged_bytes(self.transport))
        self._soon(self._lose)

    def writeConnectionLost(self) -> None:
        """Our half is closed; the peer's end is awaited."""

    def connectionLost(self, reason: Failure) -> None:
        """Forget the connection, and count what it took with it."""
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self._is_lost = True
        self._requests.clear()
        self._postponed.clear()
        self.factory.traffic.undelivered(self._deliveries.unconfirmed())
        super().connectionLost(reason)
        self.factory.closed(self)

    def _fail_connection(self, code: int = 1001, reason: str = "going away") -> None:
        """Autobahn found a fault of the peer's: count it, then close with `code`."""
        if not self.failedByMe:
            self.factory.traffic.refused("message_too_large" if code == MESSAGE_TOO_BIG else "bad_request")
        super()._fail_connection(code, reason)

    def _answer(self) -> None:
        """Serve the gathered requests with one call of the queue."""
        if self._is_waiting or not self._requests:
            return
        requests, self._requests = self._requests, []
        try:
            result = self._endpoint.ask(self.factory.queue, requests)
        except Exception:
            self._unavailable(Failure(), len(requests))
            return
        if isinstance(result, Deferred):
            self._is_waiting = True
            self._gate.hold()
            result.addCallbacks(
                self._reply, self._unavailable, callbackArgs=(len(requests),), errbackArgs=(len(requests),)
            )
            result.addCallback(self._go_on).addErrback(self._broken)
        else:
            self._reply(result, len(requests))

    def _reply(self, result: Any, asked: int) -> None:
        """Write one answer for each request."""
        frames, refused, messages = self._endpoint.answer(result, asked)
        if refused:
            self.factory.traffic.refused("queue_full", refused)
        if self._is_gone:
            self.factory.traffic.undelivered(messages)
            return
        if not self._deliveries.is_empty:
            self._deliveries.confirm(unacknowledged_bytes(self.transport))
        self._wrote(len(frames), messages)
        self.transport.write(frames)

    def _unavailable(self, failure: Failure, asked: int) -> None:
        """The provider failed: whether the requests took effect is not known, and so they are told."""
        _log.failure("the queue failed", failure)
        self.factory.traffic.refused("queue_unavailable", asked)
        if not self._is_gone:
            self._wrote(len(UNAVAILABLE) * asked)
            self.transport.write(UNAVAILABLE * asked)

    def _go_on(self, _: None) -> None:
        """The late answer is written: do what waited for it, then read on."""
        self._is_waiting = False
        if self._is_gone:
            return
        postponed, self._postponed = self._postponed, []
        for action in postponed:
            action()
        self._gate.release()
        if self.state in (self.STATE_OPEN, self.STATE_CLOSING):
            self.consumeData()

    def _broken(self, failure: Failure) -> None:
        _log.failure("a WebSocket connection failed", failure)
        self.abort()

    def _soon(self, action: Callable[[], None]) -> None:
        """Do it now, or after the answer that is awaited."""
        if self._is_waiting:
            self._postponed.append(action)
        else:
            action()

    def _wrote(self, size_bytes: int, messages: int = 0) -> None:
        self._deliveries.wrote(size_bytes, messages)
        self.factory.counts.sent_bytes += size_bytes

    @property
    def _is_gone(self) -> bool:
        return self._is_lost or self.state == self.STATE_CLOSED

    def _closeConnection(self, abort: bool = False) -> None:
        """Close without a reset that would destroy answers on their way: half-close, read on and discard.

        A close with unread input makes the kernel send RST.
        """
        half_close = getattr(self.transport, "loseWriteConnection", None)
        if abort and not self.wasClean:
            self.abort()
        elif half_close is None:  # TLS has its own closing handshake
            self.transport.loseConnection()
        else:
            self._gate.open()
            half_close()
            self._linger = self.factory.reactor.callLater(CLOSE_TIMEOUT_SECONDS, self.abort)

    def _lose(self) -> None:
        self.unregisterProducer()
        self.transport.loseConnection()


class _Timer:
    """What autobahn asks for its timeouts, on the reactor that we were given."""

    def __init__(self, reactor: Any) -> None:
        self.call_later = reactor.callLater


class WsFactory(WebSocketServerFactory):  # type: ignore[misc]
    """Makes the connections, holds what they share, and knows which are open.

    :param reactor: for timeouts.
    :param queue: the IMessageQueue.
    :param traffic: the ITraffic.
    :param settings: the bounds, and the origins of other hosts that may connect.
    """

    protocol = WsProtocol
    noisy = False

    def __init__(
        self,
        reactor: Any,
        queue: Any,
        traffic: ITraffic,
        settings: Settings,
    ) -> None:
        super().__init__(reactor=reactor, server="QuickPulse")
        self._batched_timer = _Timer(reactor)  # autobahn's own would run on the global reactor
        self.queue = queue
        self.traffic = traffic
        self.counts = traffic.of(NAME)
        self.settings = settings
        self.allow_origin = settings.allow_origin
        self.is_draining = False
        self.connections: set[WsProtocol] = set()
        self._all_closed: Deferred[None] | None = None
        self.setProtocolOptions(
            maxMessagePayloadSize=settings.max_message_bytes,
            maxFramePayloadSize=settings.max_message_bytes,
            versions=[13],  # RFC 6455; the drafts before it have another Origin header
            failByDrop=False,  # a dropped connection has no close code
            echoCloseCodeReason=True,
            openHandshakeTimeout=OPEN_TIMEOUT_SECONDS,
            closeHandshakeTimeout=CLOSE_TIMEOUT_SECONDS,
            autoPingInterval=PING_SECONDS,
            autoPingTimeout=PING_TIMEOUT_SECONDS,
            tcpNoDelay=True,
            webStatus=False,  # a plain GET gets 426
            serveFlashSocketPolicy=False,
        )

    def opened(self, connection: WsProtocol) -> None:
        """Remember a connection."""
        self.connections.add(connection)
        self.counts.opened()

    def closed(self, connection: WsProtocol) -> None:
        """Forget it."""
        self.connections.discard(connection)
        self.counts.closed()
        if self._all_closed is not None and not self.connections:
            waiter, self._all_closed = self._all_closed, None
            waiter.callback(None)

    def drain(self, seconds: float) -> Deferred[None]:
        """Close every connection in order; the Deferred fires when the last has ended, cut after `seconds`."""
        self.is_draining = True
        done: Deferred[None] = Deferred()
        if not self.connections:
            done.callback(None)
            return done
        self._all_closed = done
        for connection in list(self.connections):
            connection.drain(seconds)
        deadline = self.reactor.callLater(seconds, self.abort_all)
        return done.addBoth(lambda _: (deadline.active() and deadline.cancel()) or None)

    def abort_all(self) -> None:
        """Cut what is still open."""
        for connection in list(self.connections):
            connection.abort()
