"""A server in a thread of its own, for tests that know nothing of Twisted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from quickpulse import client as blocking
from quickpulse.client.options import Options
from quickpulse.errors import QuickPulseError
from quickpulse.requests import QueueInfo
from quickpulse.testing.faults import Faults
from quickpulse.testing.in_reactor import TwistedServer, read_settings

T = TypeVar("T")

WAIT_SECONDS = 30.0
"""For anything that the server's thread is asked; it answers within milliseconds, or something is badly wrong."""


class Server:
    """A whole server: queues in memory, every transport, on free ports of loopback. Any thread may use it.

    :param still_clock: time stands still for the queues, until `advance`: for leases, delays, time to live, and
        waiting. Clients have their own clocks.
    :param settings: fields of `quickpulse.settings.Settings`, such as `capacity=10`.
    :raises TypeError: there is no such setting.
    :raises SettingsError: what a setting says cannot be.
    """

    def __init__(self, *, still_clock: bool = False, **settings: Any) -> None:
        read_settings(settings)
        self._still_clock = still_clock
        self._settings = settings
        self._server: TwistedServer | None = None
        self._thread: threading.Thread | None = None
        self._clients: list[blocking.Client] = []

    def start(self) -> Server:
        """Listen; returns this server when connections are accepted.

        :raises ListenError: a port that was asked for is taken.
        """
        started: Future[Any] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="quickpulse-server", daemon=True)
        self._thread.start()
        try:
            started.result(WAIT_SECONDS)
        except BaseException:
            self._thread.join(WAIT_SECONDS)
            self._thread = self._server = None
            raise
        return self

    def stop(self) -> None:
        """End at once: connections are cut, messages are gone, and clients of `connect` are closed before."""
        if self._thread is None:
            return
        clients, self._clients = self._clients, []
        for client in clients:
            with suppress(QuickPulseError):  # what it could not deliver is of no interest any more
                client.close()
        self._call(self._inner.stop)
        self._reactor.callFromThread(self._reactor.stop)
        self._thread.join(WAIT_SECONDS)
        self._thread = None

    def __repr__(self) -> str:
        return "<Server, not running>" if self._thread is None else f"<Server at {self.url}>"

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_rest: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For clients: `quickpulse://127.0.0.1:port`, or WebSocket's where only that is served."""
        return self._inner.url

    @property
    def ws_url(self) -> str:
        """For clients over WebSocket: `quickpulse+ws://127.0.0.1:port`."""
        return self._inner.ws_url

    @property
    def http_url(self) -> str:
        """Of the HTTP API and the metrics: `http://127.0.0.1:port`."""
        return self._inner.http_url

    @property
    def faults(self) -> Faults:
        """What is to befall requests."""
        return self._inner.faults

    def connect(self, *, options: Options | None = None) -> blocking.Client:
        """A blocking client of this server, which `stop` closes."""
        client = blocking.connect(self.url, options=options)
        self._clients.append(client)
        return client

    def restart(self) -> None:
        """End at once and start again, empty, on the same ports: clients come back by themselves."""
        self._call(self._inner.restart)

    def drop_connections(self) -> None:
        """Cut all connections, as a network does."""
        self._call(self._inner.drop_connections)

    def advance(self, seconds: float) -> None:
        """With `still_clock`: so much time goes by, and a millisecond; what was due in it is done.

        :raises RuntimeError: the server's time is real.
        """
        self._call(lambda: self._inner.advance(seconds))

    def stats(self, queue: str) -> QueueInfo:
        """A queue as it is now.

        :raises NotFound: there is none.
        """
        return self._call(lambda: self._inner.stats(queue))

    def payloads(self, queue: str) -> list[bytes]:
        """What is ready in a queue, in the order in which it would be delivered; empty where there is no queue.

        As many as fit into a frame, which is 4 MiB by default.
        """
        return self._call(lambda: self._inner.payloads(queue))

    def clear(self) -> None:
        """No queue, no message, no fault any more; connections stay, and subscriptions end with their queues."""
        self._call(self._inner.clear)

    @property
    def _inner(self) -> TwistedServer:
        if self._thread is None or self._server is None:
            raise RuntimeError("the server does not run: `with Server() as server: ...`, or start()")
        return self._server

    def _run(self, started: Future[Any]) -> None:
        loop = _new_loop()
        asyncio.set_event_loop(loop)
        try:
            self._reactor = AsyncioSelectorReactor(loop)
            self._server = TwistedServer(self._reactor, still_clock=self._still_clock, **self._settings)
            self._reactor.callWhenRunning(self._start, started)
            self._reactor.run(installSignalHandlers=False)
        except BaseException as error:  # it belongs to whoever started the thread
            if not started.done():
                started.set_exception(error)
        finally:
            loop.close()

    def _start(self, started: Future[Any]) -> None:
        def failed(failure: Failure) -> None:
            started.set_exception(failure.value)
            self._reactor.stop()

        maybeDeferred(self._inner.start).addCallbacks(started.set_result, failed)

    def _call(self, what: Callable[[], T | Deferred[T]]) -> T:
        """Have something done in the server's thread."""
        self._inner  # noqa: B018 - that it runs
        done: Future[Any] = Future()
        self._reactor.callFromThread(
            lambda: maybeDeferred(what).addCallbacks(done.set_result, lambda failure: done.set_exception(failure.value))
        )
        result: T = done.result(WAIT_SECONDS)
        return result


def _new_loop() -> asyncio.AbstractEventLoop:
    """The faster one where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
