"""The client for asyncio: `client = await connect("quickpulse://127.0.0.1:50051")`. The blocking one stands on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from ssl import SSLContext
from typing import Any

from quickpulse.client.clients import Client, Queue
from quickpulse.client.errors import Timeout
from quickpulse.client.options import Address, Options
from quickpulse.client.properties import properties_of
from quickpulse.client.publishing import Confirmation, Publisher
from quickpulse.client.runtime import Task, Wire
from quickpulse.client.subscription import Subscription

__all__ = ["Client", "Confirmation", "Publisher", "Queue", "Subscription", "connect", "properties_of"]


async def connect(url: str, *, options: Options | None = None, wait_seconds: float = 10.0) -> Client:
    """Connect to a server, and stay connected until `close`.

    :param url: `quickpulse://host:port`; `quickpulses://` is with TLS, `quickpulse+ws://` and `quickpulse+wss://` are
        by WebSocket.
    :param wait_seconds: for a server that does not answer yet.
    :raises ConnectionLost: it does not.
    :raises TlsFailed: it cannot prove who it is.
    :raises InvalidArgument: the URL is none.
    """
    client = Client(AsyncioRuntime(asyncio.get_running_loop()), Address.of(url), options or Options())
    await client.start(wait_seconds)
    return client


class AsyncioRuntime:
    """asyncio's loop, for the client's coroutines."""

    cancelled: type[BaseException] = asyncio.CancelledError

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # The loop's own methods, without a frame between.
        self.now: Callable[[], float] = loop.time
        self.call_soon: Callable[..., Any] = loop.call_soon
        self.call_from_thread: Callable[..., Any] = loop.call_soon_threadsafe
        self.call_at: Callable[..., asyncio.TimerHandle] = loop.call_at
        self.future: Callable[[], Any] = loop.create_future
        self.share: Callable[[Any], Any] = asyncio.shield
        self.sleep: Callable[[float], Any] = asyncio.sleep

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """As a task."""
        return _Task(self.loop.create_task(coroutine))

    async def within(self, seconds: float, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Whether it ended in time."""
        try:
            await asyncio.wait_for(coroutine, seconds)
        except Timeout:  # the coroutine's own
            raise
        except asyncio.TimeoutError:
            return False
        return True

    async def connect(self, wire: Wire, address: Address, tls: SSLContext | None, seconds: float) -> None:
        """Open a connection."""
        opening = self.loop.create_connection(lambda: wire, address.host, address.port, ssl=tls)  # type: ignore[type-var,return-value]
        await asyncio.wait_for(opening, seconds)


class _Task:
    """A task that is waited for without its result."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    def cancel(self) -> None:
        """Have it end where it waits."""
        self._task.cancel()

    async def join(self) -> None:
        """Until it has ended, however it did."""
        await asyncio.gather(self._task, return_exceptions=True)
