"""A connection of the HTTP port as twisted.web reads it, with a bound of time for the head of a request."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel


class BoundedChannel(HTTPChannel):
    """twisted.web's own timeout begins anew with every byte, so who sends a byte now and then would stay for ever.

    Here a connection brings the head of its first request in time, and each further head from its first byte on.
    """

    site: Any
    _log = Logger(observer=LogPublisher())  # to nobody: it has a line for each connection that rests too long
    _head_deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """A connection was accepted."""
        super().connectionMade()
        self._await_head()

    def dataReceived(self, data: bytes) -> None:
        """Bytes came in: those of a head, or others."""
        super().dataReceived(data)
        if not self.line_mode:  # a body, or what follows a request that is being served
            self._stop_deadline()
        elif self._head_deadline is None and (self.requests or self._buffer):
            self._await_head()

    def allHeadersReceived(self) -> None:
        """The head is there."""
        self._stop_deadline()
        super().allHeadersReceived()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end."""
        self._stop_deadline()
        super().connectionLost(reason)

    def _await_head(self) -> None:
        seconds = self.site.head_seconds
        if seconds:
            self._head_deadline = self.callLater(seconds, self._take_too_long)

    def _stop_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _take_too_long(self) -> None:
        self._head_deadline = None
        self.site.traffic.refused("timeout")
        transport: Any = self.transport
        transport.abortConnection()
