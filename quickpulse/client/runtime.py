"""What the client's coroutines want of an event loop. asyncio's is in `aio.py`, Twisted's in `tx_runtime.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from ssl import SSLContext
from typing import Any, Protocol

from quickpulse.client.options import Address


class Future(Protocol):
    """Something that will be known."""

    def done(self) -> bool:
        """Whether it is."""

    def set_result(self, result: Any) -> None:
        """Now it is; whoever awaits it goes on in a turn of its own."""

    def __await__(self) -> Generator[Any, Any, Any]:
        """Until it is known."""


class Timer(Protocol):
    """A call that is to be made."""

    def cancel(self) -> None:
        """Not any more."""


class Task(Protocol):
    """A coroutine that runs by itself."""

    def cancel(self) -> None:
        """Have it end where it waits."""

    async def join(self) -> None:
        """Until it has ended, however it did."""


class Transport(Protocol):
    """A connection's bytes."""

    def write(self, data: bytes) -> None:
        """Send them."""

    def close(self) -> None:
        """End, after what was written."""

    def abort(self) -> None:
        """End at once."""

    def get_extra_info(self, name: str) -> Any:
        """`ssl_object` where there is TLS; else None."""


class Wire(Protocol):
    """What is told of a connection; the names are asyncio's."""

    def connection_made(self, transport: Any) -> None:
        """It is there."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over; None: the server closed it."""


class Runtime(Protocol):
    """An event loop, of whatever kind. All but `call_from_thread` belongs to the loop's thread."""

    cancelled: type[BaseException]
    """What is raised where a coroutine waits that is cancelled."""

    def now(self) -> float:
        """Seconds, on a clock that never goes back."""

    def call_soon(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """In another turn of the loop."""

    def call_from_thread(self, call: Callable[[], Any]) -> Any:
        """In the loop's thread, soon; by any thread.

        :raises RuntimeError: the loop has ended.
        """

    def call_at(self, when: float, call: Callable[[], Any]) -> Timer:
        """At a time of `now`."""

    def future(self) -> Future:
        """To be awaited by one."""

    def share(self, future: Any) -> Awaitable[Any]:
        """The same, to be awaited by many: one that is cancelled does not take it from the others."""

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Run it beside the others."""

    async def sleep(self, seconds: float) -> None:
        """Let others run meanwhile, also with 0."""

    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Whether it ended in time; else it is cancelled. What it raises is raised."""

    async def connect(self, wire: Wire, address: Address, tls: SSLContext | None, seconds: float) -> None:
        """Open a connection; it has been told to `wire` when this returns.

        :raises OSError: there is none, an SSLError among others.
        """


class Signal:
    """Something changed. Any number of coroutines wait for the next time.

    :param runtime: whose they are.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._next: Future | None = None

    def fire(self) -> None:
        """Now."""
        waited, self._next = self._next, None
        if waited is not None:
            waited.set_result(None)

    async def wait(self) -> None:
        """Until it does."""
        if self._next is None:
            self._next = self._runtime.future()
        await self._runtime.share(self._next)
