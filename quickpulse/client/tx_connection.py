"""A connection of Twisted's, as a `Wire` is told of it; with the standard library's TLS where that is asked for."""

from __future__ import annotations

from ssl import SSLError
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from quickpulse.client.runtime import Future, Wire
from quickpulse.client.tls import Tls


class TwistedConnection(Protocol):
    """One connection: Twisted's protocol on one side, asyncio's names on the other.

    :param opened: becomes None when `wire` was told, or what was wrong.
    :param wire: is told.
    :param tls: where there is one.
    """

    def __init__(self, opened: Future, wire: Wire, tls: Tls | None) -> None:
        self._wire = wire
        self._tls = tls
        self._opened = opened
        self._fault: Exception | None = None
        self._is_told = False

    async def until_opened(self) -> None:
        """Until it has been told to the wire.

        :raises OSError: it ended before.
        """
        fault = await self._opened
        if fault is not None:
            raise fault

    # ---- of Twisted ----

    def connectionMade(self) -> None:
        """With TLS there is more to do before it is told."""
        if self._tls is None:
            self._tell()
        else:
            self._tls.start()
            self._flush()

    def dataReceived(self, data: bytes) -> None:
        """Bytes, or parts of TLS."""
        if self._tls is None:
            self._wire.data_received(data)
            return
        try:
            said = self._tls.receive(data)
        except SSLError as error:
            self._fault = error
            self._flush()  # the alert
            self.abort()
            return
        self._flush()
        if self._tls.is_ready and not self._is_told:
            self._tell()
        if said:
            self._wire.data_received(said)
        if self._tls.has_ended:
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        fault = self._fault
        if fault is None and not reason.check(ConnectionDone):
            fault = OSError(reason.getErrorMessage())
        if self._is_told:
            self._wire.connection_lost(fault)
        elif not self._opened.done():
            self._opened.set_result(fault or OSError("the server closed it"))

    # ---- of asyncio ----

    def write(self, data: bytes) -> None:
        """Send."""
        assert self.transport is not None
        if self._tls is None:
            self.transport.write(data)
        else:
            self._tls.send(data)
            self._flush()

    def close(self) -> None:
        """End, after what was written."""
        assert self.transport is not None
        if self._tls is not None and self._tls.is_ready:
            self._tls.end()
            self._flush()
        self.transport.loseConnection()

    def abort(self) -> None:
        """End at once."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def get_extra_info(self, name: str) -> Any:
        """`ssl_object` where there is TLS; else None."""
        return self._tls.ssl_object if self._tls is not None and name == "ssl_object" else None

    def _tell(self) -> None:
        self._is_told = True
        self._wire.connection_made(self)
        self._opened.set_result(None)

    def _flush(self) -> None:
        assert self.transport is not None
        assert self._tls is not None
        data = self._tls.data_to_send()
        if data:
            self.transport.write(data)
