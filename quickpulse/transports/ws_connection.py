"""A WebSocket connection on autobahn: handshake, reading, and its end. Serving the requests is in `ws_serving`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.errors import InvalidArgument, QuickPulseError, Unauthenticated
from quickpulse.transports.held_leases import SEVERED_SECONDS
from quickpulse.transports.tokens import CHALLENGE, SUBPROTOCOL_PREFIX, header_in
from quickpulse.transports.ws_serving import CLOSED, CLOSING, CONNECTING, OPEN, ServingProtocol
from quickpulse.wire.origin import REFUSAL, is_origin_allowed, take_origin
from quickpulse.wire.websocket.handshake import fault_in, has_body
from quickpulse.wire.websocket.requests import ENDPOINTS
from quickpulse.wire.websocket.subprotocols import TEXTS, V1_PATH, Subprotocol, choose

_log = Logger()

GOING_AWAY, UNSUPPORTED_DATA, POLICY_VIOLATION, MESSAGE_TOO_BIG, SERVICE_RESTART = 1001, 1003, 1008, 1009, 1012

CLOSE_TIMEOUT_SECONDS = 5
"""How long the peer's Close is awaited after ours, and its end of the connection after both."""

MOST_IDLE_FRAMES = 1_000
"""Control frames within a second without a message between them, or empty fragments of one message. Nobody has a use
for so many; each costs as much as a message."""

FRAMES_AT_ONCE = 1_000
"""Frames that autobahn parses before other connections get their turn: a read may have 10,000, at 20 us each."""

MOST_PIECES = 1_000
"""Of a message or a frame, kept as they came; then they are joined, as an object costs more than a byte."""

IDLE_LOOKS = 4
"""How often in `idle_seconds` a connection is looked at: it is closed at most a quarter late."""

BAD_REQUEST, UNAUTHORIZED, METHOD_NOT_ALLOWED, UPGRADE_REQUIRED, HEADER_TOO_LARGE = 400, 401, 405, 426, 431

_HANDSHAKE_REFUSALS = {
    UNAUTHORIZED: "unauthenticated",
    403: "forbidden_origin",
    404: "not_found",
    HEADER_TOO_LARGE: "header_too_large",
}

_VERSION = ("Sec-WebSocket-Version", "13")

_REFUSAL_HEADERS = {
    BAD_REQUEST: (_VERSION,),
    UNAUTHORIZED: (("WWW-Authenticate", CHALLENGE),),
    METHOD_NOT_ALLOWED: (("Allow", "GET"),),
    UPGRADE_REQUIRED: (("Upgrade", "websocket"), ("Connection", "Upgrade"), _VERSION),
}
"""What a client must be told with these (RFC 7231, sections 6.5.5 and 6.5.15; RFC 6455, section 4.2.2)."""

_FAULTS = {POLICY_VIOLATION: "flood", MESSAGE_TOO_BIG: "message_too_large"}


def join_many(pieces: list[bytes], joined: int) -> int:
    """Keep a growing list of pieces short: join the last ones when they are many.

    :param joined: so many at its beginning are joined already; they are not copied again.
    :returns: how many are now.
    """
    if len(pieces) - joined < MOST_PIECES:
        return joined
    pieces[joined:] = [b"".join(pieces[joined:])]
    return joined + 1


@implementer(IHalfCloseableProtocol)
class WsProtocol(ServingProtocol):
    """One connection. autobahn parses; complete messages gather until the read is used up, and are answered at once."""

    # autobahn's: what was received and not parsed yet, and the pieces of a message and of one of its frames
    data: bytes
    message_data: list[bytes]
    frame_data: list[bytes]
    http_headers: dict[str, str]

    def connectionMade(self) -> None:
        """A connection was accepted; the handshake comes next."""
        self._origins: list[str] = []
        self._linger: IDelayedCall | None = None
        self._idle_look: IDelayedCall | None = None
        self._next_turn: IDelayedCall | None = None
        self._last_chance: IDelayedCall | None = None
        self._frames = 0  # of this turn
        self._joined_fragments = self._joined_data = 0  # as join_many has it: of the message, and of its frame
        self._idle_frames = self._idle_frames_asked = 0
        self._idle_frames_since = 0.0
        self._empty_fragments = 0
        self._refused_kind: bool | None = None  # whether binary messages are, or text; None: neither
        self._wrong_kind = ""
        self.factory.opened(self)
        super().connectionMade()

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Choose the endpoint by the path, and apply the Origin rule; the subprotocol, where there is one."""
        try:
            return self._admit(request)
        except ConnectionDeny:
            raise
        except Exception:
            _log.failure("a handshake failed")
            raise

    def _admit(self, request: ConnectionRequest) -> str | None:
        if self._path not in self.factory.paths:
            raise ConnectionDeny(404, self.factory.no_such_path)
        if has_body(request.headers.get("content-length"), request.headers.get("transfer-encoding")):
            raise ConnectionDeny(BAD_REQUEST, "a handshake has no body")
        host, allowed = request.headers.get("host"), self.factory.allow_origin
        if not all(is_origin_allowed(origin, host, allowed) for origin in self._origins):
            raise ConnectionDeny(403, REFUSAL)
        if self._path != V1_PATH:
            self._use(ENDPOINTS[self._path])
            return None
        digest = self._check_token(request)
        try:
            subprotocol = choose(request.protocols, request.params.get(TEXTS, [""])[-1])
        except InvalidArgument as error:
            raise ConnectionDeny(BAD_REQUEST, str(error)) from None
        self._use_v1(subprotocol)
        if self.factory.tokens is not None:
            self.factory.tokens.hold(self, digest)
        return subprotocol.name

    def _check_token(self, request: ConnectionRequest) -> bytes:
        """What the client's token is known by; b"" where none is asked for. A page's is a subprotocol's name."""
        if self.factory.tokens is None:
            return b""
        header = request.headers.get("authorization")  # of several the values, with commas between them
        try:
            digest: bytes = self.factory.tokens.check(
                [header.encode("latin-1", "replace")] if header is not None else header_in(request.protocols)
            )
        except Unauthenticated as error:
            raise ConnectionDeny(UNAUTHORIZED, str(error)) from None
        return digest

    def _use_v1(self, subprotocol: Subprotocol) -> None:
        """Serve frames of v1."""
        super()._use_v1(subprotocol)
        self._refused_kind, self._wrong_kind = not subprotocol.is_binary, subprotocol.wrong_kind

    def onOpen(self) -> None:
        """The handshake is done: from here on a slow reader stops our reading."""
        self.registerProducer(self._gate, True)
        self.http_request_data, self.http_headers = b"", {}  # as many and as long as a client likes
        if self.factory.settings.idle_seconds:
            self._look_again(self._asked, 0)
        if self.factory.is_draining:
            self.drain(CLOSE_TIMEOUT_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        """Feed autobahn; after the end of the conversation, discard."""
        if self.state == CLOSED:
            return
        self._counts.received_bytes += len(data)
        self._dataReceived(data)
        if self.state == CONNECTING and len(self.data) > self.factory.settings.max_header_bytes:
            self._refuse_header()

    def processHandshake(self) -> None:
        """Refuse what is no HTTP, and take the Origin out before autobahn reads the head: the rule for it is ours."""
        self.data = self.data.removeprefix(b"\r\n")  # an empty line before a request is ignored: RFC 7230, 3.5
        end = self.data.find(b"\r\n\r\n") + 4
        if end > self.factory.settings.max_header_bytes:
            self._refuse_header()
            return
        if end >= 4:
            if fault := fault_in(self.data[:end]):
                self.failHandshake(fault)
                return
            self._origins, head = take_origin(self.data[:end])
            self.data = head + self.data[end:]
        super().processHandshake()

    def consumeData(self) -> None:
        """Parse what is buffered, then answer all of it."""
        if self.state not in (OPEN, CLOSING):
            super().consumeData()
            return
        while not self._is_waiting and self.processData() and self.state != CLOSED:
            pass
        self._answer()

    def processData(self) -> bool:
        """One step of autobahn's parser: a header, or some of a payload. After many frames others get their turn."""
        if self.current_frame is None:
            if self._frames == FRAMES_AT_ONCE:
                self._rest_a_turn()
                return False
            self._frames += 1
        return bool(super().processData())

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Gather a complete message; one that comes after our Close is not accepted, and is not answered."""
        if self.state != OPEN:
            return
        if isBinary is self._refused_kind:
            self._fail_connection(UNSUPPORTED_DATA, self._wrong_kind)
        else:
            self._requests.append(payload)

    def onMessageBegin(self, isBinary: bool) -> None:
        """A message begins, to come in one frame or in fragments."""
        self._empty_fragments = self._joined_fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        """One of its frames begins. Empty ones bring the message no nearer to its limit, so they have their own."""
        super().onMessageFrameBegin(length)
        self._joined_data = 0
        if not length:
            self._empty_fragments += 1
            if self._empty_fragments > MOST_IDLE_FRAMES:
                self._end_flood(f"more than {MOST_IDLE_FRAMES} empty fragments")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Some of a frame's payload came."""
        super().onMessageFrameData(payload)
        self._joined_data = join_many(self.frame_data, self._joined_data)

    def onMessageFrameEnd(self) -> None:
        """One of its frames ends."""
        super().onMessageFrameEnd()
        self._joined_fragments = join_many(self.message_data, self._joined_fragments)

    def processControlFrame(self) -> bool:
        """A control frame is complete: a flood of them ends the connection."""
        if self._is_flood():
            self._end_flood(f"more than {MOST_IDLE_FRAMES} control frames in a second")
            return False
        return bool(super().processControlFrame())

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> Any:
        """The peer's Close; as the reply to ours it says that all before ours was read."""
        if self.state == CLOSING:
            self._deliveries.confirm_all()
        return super().onCloseFrame(code, reasonRaw)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Answer what came before, then send Close."""
        self._answer()
        send = super().sendCloseFrame

        def send_last() -> None:
            self._forget_v1()
            send(code, reasonUtf8, isReply)

        self._soon(send_last)

    def dropConnection(self, abort: bool = False) -> None:
        """End the connection: at once when it has failed, else after the answers."""
        drop = super().dropConnection
        if abort and not self.wasClean:
            drop(abort)
        else:
            self._soon(lambda: drop(abort))

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        """A refused handshake, with a body that says why, as any HTTP client expects."""
        line = "".join(c if " " <= c <= "~" else "?" for c in " ".join(reason.split()))
        body = f"{line}\n"
        headers = [*(responseHeaders or ()), ("Content-Type", "text/plain; charset=utf-8")]
        headers += [("Content-Length", str(len(body))), ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.sendData(f"HTTP/1.1 {code} {line[:200]}\r\n{head}\r\n{body}".encode())

    def failHandshake(self, reason: str, code: int = BAD_REQUEST, responseHeaders: Any = None) -> None:
        """Count why, and refuse."""
        if code == UPGRADE_REQUIRED and self._path not in self.factory.paths:
            code, reason = 404, self.factory.no_such_path
        if SUBPROTOCOL_PREFIX in reason:  # autobahn names a subprotocol that is there twice
            reason = "a subprotocol twice in Sec-WebSocket-Protocol"
        self.factory.traffic.refused(_HANDSHAKE_REFUSALS.get(code, "bad_request"))
        super().failHandshake(reason, code, _REFUSAL_HEADERS.get(code, responseHeaders))

    def onOpenHandshakeTimeout(self) -> None:
        """The handshake did not come in time."""
        if self.state == CONNECTING:
            self.factory.traffic.refused("timeout")
        super().onOpenHandshakeTimeout()

    def onAutoPingTimeout(self) -> None:
        """The peer is gone."""
        self.factory.traffic.refused("timeout")
        super().onAutoPingTimeout()

    def drain(self, seconds: float) -> None:
        """Answer what was read, say 1012, and give the peer `seconds` to read it all."""
        if self.state == OPEN:
            self.closeHandshakeTimeout = seconds
            if self._v1 is None:
                self._say_restart()
            else:
                wait = max(seconds - SEVERED_SECONDS, 0.0)
                self._last_chance = self.factory.reactor.callLater(wait, self._say_restart)
                self._v1.when_quiet(self._say_restart)
        elif self.state == CONNECTING:
            self.failHandshake("server is restarting", 503)

    def _say_restart(self) -> None:
        if self.state == OPEN:
            self.sendCloseFrame(SERVICE_RESTART, b"server is restarting")

    def revoked(self, error: QuickPulseError) -> None:
        """Its token is not valid any more."""
        if self.state == OPEN:
            self._requests.clear()  # what came and was not served is not, and nothing more is taken out for it
            self._forget_v1()
            self.factory.traffic.refused("unauthenticated")
            self.sendCloseFrame(POLICY_VIOLATION, error.code.encode())
        elif self.state == CONNECTING:
            self.abort()

    def fail(self, code: int, reason: str) -> None:
        """The peer broke the rules of what its messages say: close with `code`."""
        self._fail_connection(code, reason)

    def serve_later(self, requests: list[bytes]) -> None:
        """Keep the rest of a read until the peer reads, or at least until others had their turn."""
        self._requests = requests
        self._asked -= len(requests)
        if self._gate.is_peer_slow:
            self._is_waiting = self._is_resting = True
        else:
            self._rest_a_turn()

    def readConnectionLost(self) -> None:
        """The peer sends nothing more; it may still read."""
        self.confirm()
        self._soon(self._lose)

    def writeConnectionLost(self) -> None:
        """Our half is closed; the peer's end is awaited."""

    def connectionLost(self, reason: Failure) -> None:
        """Forget the connection, and count what it took with it."""
        timers = self._linger, self._idle_look, self._next_turn, self._last_chance, self.closeHandshakeTimeoutCall
        for timer in timers:
            if timer is not None and timer.active():
                timer.cancel()
        self._lost()
        super().connectionLost(reason)
        self.data, self.message_data, self.frame_data = b"", [], []  # we are in cycles, which may stay for long
        self.factory.closed(self)

    @property
    def _path(self) -> str:
        """The path that was asked for; autobahn's own is without what a semicolon begins, which belongs to it."""
        return urlsplit(self.http_request_uri).path

    def _refuse_header(self) -> None:
        self.failHandshake("request header is too large", HEADER_TOO_LARGE)

    def _fail_connection(self, code: int = GOING_AWAY, reason: str = "going away") -> None:
        """Autobahn found a fault of the peer's: count it, then close with `code`."""
        if not self.failedByMe:
            self.factory.traffic.refused(_FAULTS.get(code, "bad_request"))
        super()._fail_connection(code, reason)

    def _is_flood(self) -> bool:
        """Count a control frame; whether there were too many since the last message."""
        now, asked = self.factory.reactor.seconds(), self._asked + len(self._requests)
        if self._idle_frames_asked != asked or now - self._idle_frames_since > 1:
            self._idle_frames, self._idle_frames_asked, self._idle_frames_since = 0, asked, now
        self._idle_frames += 1
        return self._idle_frames > MOST_IDLE_FRAMES

    def _end_flood(self, reason: str) -> None:
        """Say why and close our half. The peer's Close is not looked for: that would be to read the flood."""
        self._fail_connection(POLICY_VIOLATION, reason)
        self.dropConnection()

    def _rest_a_turn(self) -> None:
        """Read no further before the loop was at the other connections."""
        self._frames = 0
        self._is_waiting = True
        self._gate.hold()
        self._next_turn = self.factory.reactor.callLater(0, self._go_on, None)

    def _look_again(self, asked: int, looks: int) -> None:
        seconds = self.factory.settings.idle_seconds / IDLE_LOOKS
        self._idle_look = self.factory.reactor.callLater(seconds, self._look_for_messages, asked, looks + 1)

    def _look_for_messages(self, asked: int, looks: int) -> None:
        """Close a connection on which no message came since `looks` looks ago, when it had been asked `asked`."""
        if self.state != OPEN:
            return
        if self._asked != asked or self._is_waiting or not (self._v1 is None or self._v1.is_idle):
            self._look_again(self._asked, 0)
        elif looks < IDLE_LOOKS:
            self._look_again(asked, looks)
        else:
            self.factory.traffic.refused("idle")
            self.sendCloseFrame(GOING_AWAY, b"no message for %g s" % self.factory.settings.idle_seconds)

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
        self._forget_v1()
        self.unregisterProducer()
        self.transport.loseConnection()
