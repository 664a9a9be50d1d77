"""A connection of a run as an asyncio protocol, whatever is spoken on it: its life, and its window of requests.

A read of answers is booked as a batch, and the requests that follow are written at once: `Publisher` and `Consumer`
decide how many those are, for every transport. The protocols are `websocket_connection` and `grpc_connection`.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from perf.client import ConnectionEndedError
from perf.exchange import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Exchange
from perf.options import MAX_IN_FLIGHT


class PerfConnection(asyncio.Protocol):
    """What every connection has.

    unanswered: requests under way
    paused: requests that the window has room for, but that may not be sent yet
    most_in_flight: how large the window may be
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[None] = loop.create_future()
        self.unanswered = self.paused = 0
        self.most_in_flight = exchange.options.in_flight
        self._end = "connection lost"
        self._is_running = False

    def greet(self) -> None:
        """The transport is there: says what the protocol begins with. For the protocols."""
        raise NotImplementedError

    def say_goodbye(self) -> None:
        """What the protocol ends with. For the protocols."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Sends what may be sent now. For publishers and consumers."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.greet()

    def connection_lost(self, exc: Exception | None) -> None:
        """From asyncio: whatever has not ended well by now has ended badly."""
        ended = ConnectionEndedError(f"{self._end}: {exc}" if exc else self._end)
        for future in (self.connected, self.finished):
            if not future.done():
                future.set_exception(ended)
                future.exception()  # nobody may be listening any more

    def will_end(self, why: str) -> None:
        """The server is about to end the connection, and says why."""
        self._end = why

    def give_up(self, error: Exception) -> None:
        """Ends the connection for a fault of the server's."""
        self._end = str(error)
        self.transport.abort()

    @property
    def is_working(self) -> bool:
        """Whether the run is under way for it."""
        return self._is_running and not self.finished.done()

    async def run(self) -> None:
        """Publishes or consumes to the end."""
        self.exchange.waiting(self)
        if not self.finished.done():
            self._is_running = True
            self.go_on()
        await self.finished

    async def close(self) -> None:
        """Says goodbye, without waiting for the answer."""
        if not self.transport.is_closing():
            self.say_goodbye()
            self.transport.close()

    def finish(self) -> None:
        """All work is done."""
        self.finished.set_result(None)

    def count_answers(self, count: int) -> None:
        """So many came. Raises ConnectionEndedError if they are more than requests."""
        if count > self.unanswered:
            raise ConnectionEndedError("more answers than requests")
        self.unanswered -= count

    def pause(self, count: int, seconds: float) -> None:
        """Keeps room for `count` requests of the window unused for a while."""
        self.paused += count
        asyncio.get_running_loop().call_later(seconds, self._resume, count)

    def _resume(self, count: int) -> None:
        self.paused -= count
        if self.is_working:
            self.go_on()

    @property
    def _room(self) -> int:
        return self.most_in_flight - self.unanswered - self.paused


class Publisher(PerfConnection):
    """Keeps a window of messages under way.

    number: of the producer
    """

    number: int

    def send_messages(self, first: int, count: int) -> None:
        """Sends these. For the transports."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Fills the window; at the end of the work, and when all is answered, finishes."""
        wanted = self._room
        if wanted <= 0:
            return
        first, count = self.exchange.allot(self.number, wanted)
        if count > 0:
            self.unanswered += count
            self.send_messages(first, count)
        elif not self.unanswered and not self.paused:
            self.finish()


class Consumer(PerfConnection):
    """Keeps a window of requests under way; asks an empty queue ever less often."""

    _window = MAX_IN_FLIGHT
    _round_messages = 0
    _was_empty = False
    _pause_seconds = FIRST_PAUSE_SECONDS

    def send_requests(self, count: int) -> None:
        """Asks for so many messages. For the transports."""
        raise NotImplementedError

    def count_messages(self, count: int) -> None:
        """So many of the answers were messages."""
        self._round_messages += count

    def count_empty(self, count: int) -> None:
        """So many said that the queue is empty."""
        self._was_empty = True
        self.exchange.empty(count)

    def go_on(self) -> None:
        """Asks again, at once or after a pause, or finishes."""
        if not self._was_empty:
            self._window = min(self._window + self._round_messages, self.most_in_flight)
            self._round_messages = 0
            wanted = min(self._window - self.unanswered, self._room)
            if wanted > 0:
                self.unanswered += wanted
                self.send_requests(wanted)
        elif not self.unanswered:
            self._end_round()

    def _end_round(self) -> None:
        """All is answered, and the queue was empty: the next requests are as many as found a message."""
        if self.exchange.may_stop():
            self.finish()
            return
        if self._round_messages:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        self._window = max(1, min(self._round_messages, self.most_in_flight))
        self._round_messages = 0
        self._was_empty = False
        self.pause(self.most_in_flight, self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _resume(self, count: int) -> None:
        self.exchange.waiting(self)
        super()._resume(count)


AnyConnection = TypeVar("AnyConnection", bound=PerfConnection)


async def connect(connection: AnyConnection, target: tuple[str, int]) -> AnyConnection:
    """The connection, when the server has answered its greeting. Raises OSError or ConnectionEndedError."""
    await asyncio.get_running_loop().create_connection(lambda: connection, *target)
    try:
        await connection.connected
    except BaseException:
        connection.transport.abort()
        raise
    return connection


def authority(target: tuple[str, int]) -> str:
    """The server's name as requests have it."""
    host, port = target
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
