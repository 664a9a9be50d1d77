"""Twisted's reactor, for the client's coroutines. Whichever reactor that is; it is given."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from inspect import CORO_RUNNING, getcoroutinestate
from ssl import SSLContext
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure

from quickpulse.client.messages import interrupted_by
from quickpulse.client.options import Address
from quickpulse.client.runtime import Task, Timer, Wire
from quickpulse.client.tls import Tls
from quickpulse.client.tx_connection import TwistedConnection

interrupted_by(CancelledError)


class TwistedRuntime:
    """A reactor.

    :param reactor: with time, TCP and name resolution.
    """

    cancelled: type[BaseException] = CancelledError

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        # Most reactors tell the time of day, which may be set; what is due in so many seconds they are asked for.
        self.now: Callable[[], float] = time.monotonic if reactor.seconds is time.time else reactor.seconds
        self._soon: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call_soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        """In another turn, with all that is said in this one."""
        if not self._soon:
            self.reactor.callLater(0, self._call)
        self._soon.append((call, arguments))

    def _call(self) -> None:
        calls, self._soon = self._soon, deque()
        while calls:
            call, arguments = calls.popleft()
            try:
                call(*arguments)
            except Exception:
                logging.getLogger("quickpulse.client").exception("a call in a turn of its own failed")

    def call_from_thread(self, call: Callable[[], Any]) -> None:
        """In the reactor's thread."""
        self.reactor.callFromThread(call)

    def call_at(self, when: float, call: Callable[[], Any]) -> Timer:
        """At a time of `now`."""
        return _Timer(self.reactor.callLater(max(when - self.now(), 0), call))

    def future(self) -> Future:
        """For any number of coroutines."""
        return Future(self)

    def share(self, future: Future) -> Future:
        """It is shared already."""
        return future

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """As a Deferred."""
        return _Task(self, coroutine)

    async def sleep(self, seconds: float) -> None:
        """Let others run meanwhile."""
        due: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self.reactor.callLater(seconds, due.callback, None)
        await due

    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Whether it ended in time."""
        ended = Deferred.fromCoroutine(coroutine).addTimeout(seconds, self.reactor)
        try:
            await ended
        except TimedOut:
            return False
        return True

    async def connect(self, wire: Wire, address: Address, tls: SSLContext | None, seconds: float) -> None:
        """Open a connection."""
        protocol = TwistedConnection(self.future(), wire, Tls(tls, address.host) if tls is not None else None)
        endpoint = _endpoint_kind(address.host)(self.reactor, address.host, address.port, timeout=seconds)
        try:
            await connectProtocol(endpoint, protocol)
        except ConnectingCancelledError:
            raise CancelledError from None
        except Refused:
            raise ConnectionRefusedError from None
        except (ConnectError, DNSLookupError) as error:
            raise OSError(str(error)) from None
        try:
            if not await self.within(seconds, protocol.until_opened()):
                raise OSError("timeout")
        except BaseException:  # also where it is given up
            protocol.abort()
            raise


def _endpoint_kind(host: str) -> Any:
    """Names take a thread to look up, numbers none."""
    if isIPAddress(host):
        return TCP4ClientEndpoint
    return TCP6ClientEndpoint if isIPv6Address(host) else HostnameEndpoint


class Future:
    """What asyncio's is, for coroutines that are driven by Deferreds. Awaiting it is waiting in a line of its own."""

    __slots__ = ("_is_done", "_result", "_runtime", "_waiting")

    def __init__(self, runtime: TwistedRuntime) -> None:
        self._runtime = runtime
        self._is_done = False
        self._result: Any = None
        self._waiting: list[Deferred[Any]] = []

    def done(self) -> bool:
        """Whether it is known."""
        return self._is_done

    def set_result(self, result: Any) -> None:
        """Now it is; whoever awaits it goes on in a turn of its own."""
        self._is_done, self._result = True, result
        if self._waiting:
            self._runtime.call_soon(self._tell)

    def _tell(self) -> None:
        while self._waiting:
            self._waiting.pop(0).callback(self._result)

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._is_done:
            waiting: Deferred[Any] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            yield from waiting.__await__()
        return self._result


class _Timer:
    """A delayed call that may be over."""

    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> None:
        """Not any more."""
        if self._call.active():
            self._call.cancel()


class _Task:
    """A coroutine that runs by itself."""

    def __init__(self, runtime: TwistedRuntime, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._runtime = runtime
        self._coroutine = coroutine
        self._ended = runtime.future()
        self._running = Deferred.fromCoroutine(coroutine)
        self._running.addBoth(self._end)

    def cancel(self) -> None:
        """Have it end where it waits."""
        if getcoroutinestate(self._coroutine) == CORO_RUNNING:  # it does this itself: it ends where it waits next
            self._runtime.call_soon(self._running.cancel)
        else:
            self._running.cancel()

    async def join(self) -> None:
        """Until it has ended, however it did."""
        await self._ended

    def _end(self, result: Any) -> None:
        if isinstance(result, Failure) and not result.check(CancelledError):
            error = (result.type, result.value, result.getTracebackObject())
            logging.getLogger("quickpulse.client").error("a coroutine of the client failed", exc_info=error)  # type: ignore[arg-type]
        self._ended.set_result(None)
