"""One run: connect, publish and consume over any transport, watch for silence, and say what happened.

`PerfClient` knows neither WebSocket nor gRPC; a `Driver` brings the connections.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from perf.exchange import SILENCE, Exchange
from perf.options import Options
from perf.outcome import Outcome
from perf.processor import ProcessorMeter
from perf.timeline import SLICE_SECONDS, Timeline

CONNECTS_AT_ONCE = 50
"""A burst below the usual listen backlog of 128, so that no connect is lost and repeated a second later."""

CLOSE_SECONDS = 2.0
"""For a polite goodbye; the measurement is over by then."""


class ServerUnavailableError(Exception):
    """There is no server, or it does not speak what was asked of it."""


class ConnectionEndedError(Exception):
    """The server ended a connection before its work was done; the text says how."""


class Connection(Protocol):
    """A producer or a consumer, connected."""

    async def run(self) -> None:
        """Publishes or consumes to the end. Raises ConnectionEndedError."""

    async def close(self) -> None:
        """Gives the connection up, whatever its state."""


class Driver(Protocol):
    """A transport.

    mode: as in the options
    ordered: whether answers come in the order of the requests, so that the order of messages means something
    producers_receive: whether a producer is answered with messages
    """

    mode: str
    ordered: bool
    producers_receive: bool

    def __init__(self, target: tuple[str, int], exchange: Exchange) -> None: ...

    async def producer(self, number: int) -> Connection:
        """Connects one. Raises OSError, ConnectionEndedError or asyncio.TimeoutError."""

    async def consumer(self, number: int) -> Connection:
        """Likewise; `number` is also the receiver's. Producers that receive come after the consumers."""


class PerfClient:
    """Drives one run.

    driver_class: the transport
    target: (host, port) of the server
    on_tick: called with the exchange now and then, to show how far it is
    server_pid: the server's process, if it is known: its processor time is measured too
    """

    def __init__(
        self,
        options: Options,
        driver_class: type[Driver],
        target: tuple[str, int],
        on_tick: Callable[[Exchange], None] = lambda exchange: None,
        server_pid: int | None = None,
    ) -> None:
        self._options = options
        self._server_pid = server_pid
        self._consumers = options.consumers or int(driver_class.producers_receive)
        receivers = self._consumers + (options.producers if driver_class.producers_receive else 0)
        self.exchange = Exchange(options, int.from_bytes(os.urandom(4), "big"), max(receivers, 1), time.perf_counter)
        self._driver = driver_class(target, self.exchange)
        self._timeline = Timeline()
        self._on_tick = on_tick
        self._work: list[asyncio.Task[None]] = []

    async def run(self) -> Outcome:
        """The whole run. Raises ServerUnavailableError."""
        producers: list[Connection] = []
        consumers: list[Connection] = []
        try:
            await self._connect(self._driver.producer, self._options.producers, producers)
            await self._connect(self._driver.consumer, self._consumers, consumers)
            self.exchange.start()
            meter = ProcessorMeter(self._server_pid)
            await self._exchange_messages(producers, consumers)
            processor = meter.use()
        finally:
            await self._close(producers + consumers)
        if not self.exchange.heard:
            raise ServerUnavailableError(f"the server answered nothing: {self._first_error()}")
        return Outcome.of(
            self.exchange,
            self._timeline,
            processor,
            ordered=self._driver.ordered,
            consumed=self._consumers > 0,
        )

    async def _connect(self, connect: Callable, count: int, connections: list[Connection]) -> None:  # type: ignore[type-arg]
        timeout = self._options.timeout_seconds
        for first in range(0, count, CONNECTS_AT_ONCE):
            numbers = range(first, min(first + CONNECTS_AT_ONCE, count))
            attempts = (asyncio.wait_for(connect(number), timeout) for number in numbers)
            results = await asyncio.gather(*attempts, return_exceptions=True)
            connections.extend(result for result in results if not isinstance(result, BaseException))
            for result in results:
                if isinstance(result, asyncio.TimeoutError):
                    raise ServerUnavailableError(f"no connection within {timeout:g} seconds")
                if isinstance(result, (OSError, ConnectionEndedError)):
                    raise ServerUnavailableError(str(result))
                if isinstance(result, BaseException):
                    raise result

    async def _exchange_messages(self, producers: Sequence[Connection], consumers: Sequence[Connection]) -> None:
        producing = [asyncio.create_task(self._guard(connection)) for connection in producers]
        ended = asyncio.create_task(self._await_producers(producing))
        after = ended if self._options.in_turn or not self._options.consumers else None
        consuming = [asyncio.create_task(self._guard(connection, after)) for connection in consumers]
        self._work = [*producing, ended, *consuming]
        ticking = asyncio.create_task(self._tick())
        try:
            await asyncio.wait(self._work)
        finally:
            for task in [ticking, *self._work]:
                task.cancel()
            await asyncio.gather(ticking, *self._work, return_exceptions=True)
            self._close_slice()

    async def _await_producers(self, producing: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.wait(producing)
        self.exchange.producing = False

    async def _guard(self, connection: Connection, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            await connection.run()
        except ConnectionEndedError as error:
            self.exchange.error(str(error))
        finally:
            self.exchange.resting(connection)

    async def _tick(self) -> None:
        produced_at: float | None = None
        while True:
            await asyncio.sleep(SLICE_SECONDS)
            self._close_slice()
            self._on_tick(self.exchange)
            silent = self.exchange.silent()
            if silent:
                self._stop(SILENCE, len(silent))
            if self.exchange.producing:
                continue
            produced_at = produced_at or self.exchange.clock()
            if self.exchange.clock() - produced_at > self._options.drain_seconds:
                self._stop("consuming took too long", 1)

    def _stop(self, why: str, count: int) -> None:
        self.exchange.error(why, count)
        for task in self._work:
            task.cancel()

    def _close_slice(self) -> None:
        exchange = self.exchange
        exchange.book_all()
        self._timeline.close_slice(
            exchange.clock() - exchange.started_at,
            exchange.ledger.acknowledged_count,
            exchange.ledger.received_count,
            exchange.publish_latency.close_interval(),
            exchange.end_to_end_latency.close_interval(),
        )

    async def _close(self, connections: Sequence[Connection]) -> None:
        closing = asyncio.gather(*(connection.close() for connection in connections), return_exceptions=True)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(closing, CLOSE_SECONDS)

    def _first_error(self) -> str:
        return next((kind for kind in self.exchange.errors), "no reason was given")
