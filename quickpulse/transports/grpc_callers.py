"""Who makes the unary calls of grpcio's server: how much waits to be sent to each, and what each holds on leases.

grpcio shows no connections. It names the peer of a call, and says when a call is over, its reply sent or lost; the sum
of that is what is known of a connection here. Peers on UNIX sockets have no names of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from quickpulse.requests import Action, Deliveries, Reader, SettleReply
from quickpulse.transports.flow import HeldReader
from quickpulse.transports.held_leases import HeldLeases

MOST_UNSENT_BYTES = 1024 * 1024
"""Of replies that wait for one reader, before nothing more is taken out for it."""

LEAST_SWEPT = 64
"""Connections that are known before those with nothing more to them are looked for."""

_UNNAMED = "unix:"


class TimedLeases(HeldLeases):
    """Of a connection whose end nobody tells: they count no longer than the last of them may last.

    :param seconds: the time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds
        self._until = 0.0
        self._lease_ms = 0

    def note(self, request: Any, reply: Any) -> None:
        """A request was answered so."""
        if not self.are_held:
            self.count = 0
        super().note(request, reply)
        if isinstance(reply, Deliveries) and reply.first_receipt:
            self._lease_ms = reply.lease_ms
            self._last(reply.lease_ms)
        elif isinstance(reply, SettleReply) and request.action is Action.EXTEND:
            self._last(request.lease_ms or self._lease_ms)

    @property
    def are_held(self) -> bool:
        """Whether there may be any."""
        return bool(self.count) and self._seconds() < self._until

    def _last(self, lease_ms: int) -> None:
        self._until = max(self._until, self._seconds() + lease_ms / 1000)


class Connection:
    """What is known of one.

    :param seconds: the time.
    :param is_named: whether its peer's name is no other's; else its reader is not held back, which would hold others.
    """

    def __init__(self, seconds: Callable[[], float], is_named: bool) -> None:
        self.open_calls = 0
        self.reader = HeldReader()
        self.held = TimedLeases(seconds)
        self._is_named = is_named
        self._unsent_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing more is to be known of it."""
        return not self.open_calls and not self.held.are_held

    def gave(self, size_bytes: int) -> None:
        """A reply waits to be sent."""
        self._unsent_bytes += size_bytes
        if self._is_named and self._unsent_bytes > MOST_UNSENT_BYTES:
            self.reader.hold()

    def sent(self, size_bytes: int) -> None:
        """It waits no more."""
        self._unsent_bytes -= size_bytes
        if self.reader.is_held and self._unsent_bytes <= MOST_UNSENT_BYTES:
            self.reader.release()


class UnaryCall:
    """One call; a Caller, as `v1_calls` has it."""

    def __init__(self, connection: Connection) -> None:
        self.peer: Reader = connection.reader
        self.held: HeldLeases = connection.held
        self.handed_out = 0
        self._connection = connection
        self._reply_bytes = 0
        self._is_over = False
        connection.open_calls += 1

    async def has_room(self) -> None:
        """Wait until its peer has read enough of what it has, in turn with its other calls."""
        while self.peer.is_held:
            woken = asyncio.Event()
            self.peer.when_released(woken.set)
            try:
                await woken.wait()
            finally:
                self.peer.forget(woken.set)

    def replied(self, reply: bytes) -> bytes:
        """The reply is there; it may come too late."""
        if not self._is_over:
            self._reply_bytes = len(reply)
            self._connection.gave(self._reply_bytes)
        return reply

    def over(self, _context: Any) -> None:
        """The reply was sent, or there will be none."""
        self._is_over = True
        self._connection.open_calls -= 1
        self._connection.sent(self._reply_bytes)


class Callers:
    """All connections on which unary calls come.

    :param seconds: the time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._connections: dict[str, Connection] = {}
        self._most = LEAST_SWEPT

    def __len__(self) -> int:
        return len(self._connections)

    def call(self, context: Any) -> UnaryCall:
        """A call has come.

        :param context: grpcio's.
        """
        name = context.peer()
        connection = self._connections.get(name)
        if connection is None:
            connection = self._connect(name)
        call = UnaryCall(connection)
        context.add_done_callback(call.over)
        return call

    @property
    def hold_leases(self) -> bool:
        """Whether somebody has leased messages and not settled them, and still may."""
        return any(connection.held.are_held for connection in self._connections.values())

    def _connect(self, name: str) -> Connection:
        if len(self._connections) >= self._most:
            self._connections = {known: each for known, each in self._connections.items() if not each.is_idle}
            self._most = LEAST_SWEPT + 2 * len(self._connections)
        connection = self._connections[name] = Connection(self._seconds, not name.startswith(_UNNAMED))
        return connection
