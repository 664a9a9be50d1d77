"""A connection that comes back when it is lost: from sockets and a clock to a session, on whatever event loop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from quickpulse.client.dialing import fault_in_tls, fault_of, make_link, ssl_context
from quickpulse.client.errors import ConnectionLost, ConnectionRefused, TlsFailed
from quickpulse.client.options import Address, Backoff, Options
from quickpulse.client.runtime import Runtime, Task, Timer, Transport
from quickpulse.client.session import Session
from quickpulse.errors import PermissionDenied, QuickPulseError, Unauthenticated, Unsupported

MOST_WRITTEN_AT_ONCE = 2
"""Requests on their way, acks among them, up to which one more is written without waiting for others."""

LONG_WAIT_SECONDS = 4.0
"""For a first connection; somebody wonders what is waited for."""

_HOPELESS = (Unauthenticated, PermissionDenied, Unsupported, TlsFailed)
"""A new connection gets the same answer."""


class Connection:
    """What a Session wants of its host.

    :cvar make_session: what it is the host of.

    :param runtime: the loop that it lives on.
    :raises InvalidArgument: a file in the options cannot be read.
    """

    make_session: Callable[[Any, Options], Any] = Session

    def __init__(self, runtime: Runtime, address: Address, options: Options) -> None:
        self.runtime = runtime
        self.address = address
        self.options = options
        self.transport: Transport | None = None
        self.session: Session = type(self).make_session(self, options)
        self.has_given_up = False
        """Whether no new connection is tried any more."""
        self._tls = ssl_context(address, options)
        self._timer: Timer | None = None
        self._is_writing = False
        self._ready = runtime.future()  # None, or why there will be no connection
        self._connecting: Task | None = None
        self._is_ending = False
        self._gives_up_at = 0.0  # if there is no connection by then
        self._has_warned = False
        self._backoff = Backoff(options, random.random)

    async def require_ready(self, wait_seconds: float) -> None:
        """Connect, until it works or the time is up.

        :raises QuickPulseError: why it does not.
        """
        self._gives_up_at = self.runtime.now() + wait_seconds
        self._connecting = self.runtime.start(self._live())
        if not await self.runtime.within(wait_seconds, self._until_ready()):
            fault = self.session.fault
            if isinstance(fault, ConnectionRefused):
                raise fault
            raise ConnectionLost(f"{self.address} does not answer: {fault or 'no reply'}")

    async def disconnect(self) -> None:
        """Ask nothing any more, and end."""
        self.session.close()
        self.write()
        if self._timer is not None:
            self._timer.cancel()
        self._is_ending = True
        if self._connecting is not None:
            self._connecting.cancel()
            await self._connecting.join()
        if self.transport is not None:
            self.transport.close()

    def attach(self, transport: Any) -> None:
        """There is a connection."""
        self.transport = transport

    def detach(self) -> None:
        """It is over."""
        self.transport = None

    async def _until_ready(self) -> None:
        reason = await self.runtime.share(self._ready)
        if reason is not None:
            raise reason

    async def _live(self) -> None:
        try:
            await self._stay_connected()
        except self.runtime.cancelled:
            if not self._is_ending:  # the loop ends, as by `asyncio.run`, and nobody has closed the client
                self.flush()
                self.write()
            raise

    async def _stay_connected(self) -> None:
        while True:
            try:
                wire = _Wire(self, make_link(self.address, self.options))
                await self.runtime.connect(wire, self.address, self._tls, self.options.connect_seconds)
            except self.runtime.cancelled:
                raise
            except Exception as error:
                reason = fault_of(error, self.address)
                is_usual = isinstance(error, OSError | asyncio.TimeoutError)
                if not is_usual and str(reason) != str(self.session.fault):  # no thread for a moment, maybe
                    logging.getLogger("quickpulse.client").exception("no connection to %s", self.address)
                self.session.lost(reason, self.runtime.now())
            else:
                if self._is_ending:
                    self.cut()
                reason = await wire.ended
            if isinstance(reason, _HOPELESS):
                self._give_up(reason)
                return
            if self._is_ending:  # and not cancelled: asyncio's `wait_for` may swallow that
                return
            self._warn(reason)
            await self.runtime.sleep(self._backoff.next_seconds())

    def _warn(self, reason: QuickPulseError) -> None:
        """Once, while somebody waits for the first connection: what is wrong may be the address."""
        left = self._gives_up_at - self.runtime.now()
        if left >= LONG_WAIT_SECONDS and not self._has_warned and not self._ready.done():
            self._has_warned = True
            logging.getLogger("quickpulse.client").warning("%s; trying for another %.0f s", reason, left)

    def _give_up(self, reason: QuickPulseError) -> None:
        self.has_given_up = True
        if not self._ready.done():
            self._ready.set_result(reason)
        self.session.close(reason)

    # ---- what the session asks (Host) ----

    def write_soon(self) -> None:
        """Once for all that this turn of the loop brings."""
        if not self._is_writing:
            self._is_writing = True
            self.runtime.call_soon(self.write)

    def hold(self) -> bool:
        """Write nothing until `write` is called; whether that was not so already."""
        held, self._is_writing = self._is_writing, True
        return not held

    def write_if_few(self) -> None:
        """After `hold`: who asks one thing after the other is not kept for a turn, who asks many has them together."""
        if self.session.open_calls <= MOST_WRITTEN_AT_ONCE:
            self.write()
        else:
            self.runtime.call_soon(self.write)

    def write(self) -> None:
        """What there is."""
        self._is_writing = False
        if self.transport is not None:
            data = self.session.data_to_send()
            if data:
                self.transport.write(data)

    def tick_at(self, when: float) -> None:
        """One timer for all."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.runtime.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.session.tick(self.runtime.now())

    def settle_soon(self) -> None:
        """In a few milliseconds, with others."""
        self.runtime.call_at(self.runtime.now() + self.options.flush_seconds, self.flush)

    def flush(self) -> None:
        """Send what was said of messages."""
        self.session.flush(self.runtime.now())

    def ready(self) -> None:
        """The server answers."""
        self._backoff.succeeded()
        if not self._ready.done():
            self._ready.set_result(None)

    def cut(self) -> None:
        """At once."""
        if self.transport is not None:
            self.transport.abort()


class _Wire(asyncio.Protocol):
    """One connection; a face that is not asyncio's calls the same methods."""

    def __init__(self, connection: Connection, link: Any) -> None:
        self._connection = connection
        self._session = connection.session
        self._link = link
        self._now = connection.runtime.now
        self.ended = connection.runtime.future()

    def connection_made(self, transport: Any) -> None:
        """Say hello."""
        connection = self._connection
        connection.attach(transport)
        fault = fault_in_tls(transport, connection.address)
        if fault is not None:
            self._session.fault = fault
            connection.cut()
            return
        self._session.connected(self._link, self._now())

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        connection = self._connection
        connection.hold()
        try:
            self._session.receive(data, self._now())
        finally:
            connection.write()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._connection.detach()
        reason = self._session.fault or fault_of(exc, self._connection.address, is_mute=self._link.is_mute)
        self._session.lost(reason, self._now())
        if not self.ended.done():
            self.ended.set_result(reason)
