"""Requests of the HTTP port with bodies: kept in memory, bounded while they come, for one and for all of them.

A body that will not be used is read and dropped, so that its sender comes to reading the answer; within reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES
from twisted.web.server import Request

from quickpulse.errors import QuickPulseError, RequestTooLarge, TooManyRequests, Unauthenticated
from quickpulse.transports.http_access import Access
from quickpulse.transports.http_answers import count_error
from quickpulse.transports.tokens import CHALLENGE
from quickpulse.wire.v1.errors import row_of
from quickpulse.wire.v1.http_form import write_error

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

API = b"/api/"

BODY_SECONDS = 60.0
"""How long a body may take. A connection that brings none is looked after by the idle bound."""

MOST_HELD_BYTES = 64 * 1024 * 1024
"""Of all bodies that are on their way at one time."""

MOST_DROPPED_BYTES = 16 * 1024 * 1024
"""Of one body that is not used; then its connection ends."""


@dataclass(slots=True)
class Bodies:
    """What requests may bring.

    :param access: whose bodies are used at all.
    :param max_bytes: of one.
    :param traffic: the ITraffic.
    :param held_bytes: of all that are there now.
    """

    access: Access
    max_bytes: int
    traffic: ITraffic
    held_bytes: int = 0


class BoundedRequest(Request):
    """A request whose body is bounded. Bodies for the API are never parsed as forms.

    :ivar fault: why it is not served, known before its body; None: nothing is wrong so far.
    :ivar digest: what its token is known by; b"": it has none.
    """

    content: Any
    fault: QuickPulseError | None = None
    digest = b""
    _held_bytes = 0
    _dropped_bytes = 0
    _is_cut = False
    _deadline: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        """The headers are there."""
        channel: Any = self.channel
        site = channel.site
        self._bodies: Bodies = site.bodies
        self.content = BytesIO()
        try:
            self.digest = self._bodies.access.check(self)
        except QuickPulseError as error:
            self.fault = error
        if length != 0:
            self._deadline = site.reactor.callLater(BODY_SECONDS, self._take_too_long)
        if length is not None and length > self._bodies.max_bytes:
            self._find(RequestTooLarge(f"body of {length} bytes is over the limit of {self._bodies.max_bytes}"))
            if isinstance(self.fault, RequestTooLarge) and self.requestHeaders.hasHeader(b"Expect"):
                self.requestHeaders.removeHeader(b"Expect")  # else it would be told to go on
                self._cut(self.fault)

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body."""
        bodies = self._bodies
        if self.fault is None and self._held_bytes + len(data) > bodies.max_bytes:
            self._find(RequestTooLarge(f"body is over the limit of {bodies.max_bytes} bytes"))
        elif self.fault is None and bodies.held_bytes + len(data) > MOST_HELD_BYTES:
            self._find(TooManyRequests(f"bodies of {bodies.held_bytes} bytes are on their way"))
        if self.fault is not None:
            self._drop(len(data))
            return
        self._held_bytes += len(data)
        bodies.held_bytes += len(data)
        self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is there."""
        self._stop_deadline()
        if self._is_cut:
            return
        if path.startswith(API):
            self.method, self.uri, self.clientproto = command, path, version
            self.path = path.partition(b"?")[0]
            self.args = {}
            self.process()
        else:
            super().requestReceived(command, path, version)

    def take_body(self) -> bytes:
        """What came, which is not kept here any more."""
        body: bytes = self.content.getvalue()
        self.content.truncate(0)
        self._let_go()
        return body

    def finish(self) -> None:
        """It is answered."""
        self._let_go()
        super().finish()

    def connectionLost(self, reason: Failure) -> None:
        """The peer is gone."""
        self._stop_deadline()
        self._let_go()
        super().connectionLost(reason)

    def _find(self, fault: QuickPulseError) -> None:
        if self.fault is None:
            self.fault = fault
            self._let_go()
            self.content.truncate(0)

    def _drop(self, count: int) -> None:
        self._dropped_bytes += count
        if self._dropped_bytes > MOST_DROPPED_BYTES and not self._is_cut:
            assert self.fault is not None
            self._cut(self.fault)

    def _cut(self, fault: QuickPulseError) -> None:
        """Answer before the body is there, and be done with the connection."""
        self._is_cut = True
        count_error(self._bodies.traffic, fault)
        status, body = row_of(fault).http, write_error(fault)
        more = f"WWW-Authenticate: {CHALLENGE}\r\n".encode() if isinstance(fault, Unauthenticated) else b""
        head = b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n" % len(body)
        channel: Any = self.channel
        channel.write(b"HTTP/1.1 %d %b\r\n%b%b\r\n%b" % (status, RESPONSES[status], head, more, body))
        channel.loseConnection()

    def _take_too_long(self) -> None:
        self._deadline = None
        self._is_cut = True
        transport: Any = self.transport
        transport.abortConnection()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _let_go(self) -> None:
        if self._held_bytes:  # else there may not even have been headers
            self._bodies.held_bytes -= self._held_bytes
            self._held_bytes = 0
