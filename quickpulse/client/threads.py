"""A loop in a thread of its own, the client that lives there, and how other threads ask it.

A request is written by the thread that asks, or goes to the loop by one wake-up; its reply comes back by one lock. What
many threads ask together is written together.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, TypeVar

from quickpulse.client.aio import AsyncioRuntime
from quickpulse.client.errors import ClientClosed, Timeout
from quickpulse.client.loop_client import LOOK_SECONDS, LoopClient
from quickpulse.client.messages import Confirm
from quickpulse.client.options import Address, Options
from quickpulse.client.settling import Leased
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Deliveries

T = TypeVar("T")

GRACE_SECONDS = 5.0
"""Beyond the time of a request, which ends it: nobody waits for ever for a thread that is stuck."""

EXIT_SECONDS = 5.0
"""How long the end of a program waits for what clients that were not closed have to say, at most."""


class Running:
    """The thread and the client; made and stopped by any thread of one process.

    :param confirm: what `confirm=True` does in the user's threads.
    :raises QuickPulseError: why there is no connection.
    """

    def __init__(self, address: Address, options: Options, wait_seconds: float, confirm: Confirm) -> None:
        self.process = os.getpid()
        self._is_stopping = False
        self._posted: deque[Callable[[], Any]] = deque()
        self._waits: set[Future[Any]] = set()
        self._is_awake = self._is_over = self._has_client = False
        self.loop = new_loop()
        self._thread = threading.Thread(target=self._run, name="quickpulse-client", daemon=True)
        self._thread.start()
        _running.add(self)
        try:
            self.client: LoopClient = self.wait(self._make(address, options, confirm))
            self._has_client = True
            self.wait(self.client.start(wait_seconds))
        except BaseException:
            self.stop()
            raise

    def ask(self, request: Any, seconds: float | None, leases: bool) -> Any:
        """The reply, or what it leased; interrupting the wait gives it up. By any thread but the client's own.

        :raises QuickPulseError: what the server says instead, or what happened on the way.
        """
        self.require_usable()
        self.client.step_aside()
        question = _Question(self.client, request, seconds, leases)
        try:
            patience = self.client.options.timeout_seconds if seconds is None else seconds
            deadline = time.monotonic() + patience
            if self._posted or not self.client.ask_now(question.ask):
                self.post(question.ask)
            else:
                self.client.read_until(question.answered, deadline)
            if not question.answered.acquire(blocking=False):
                question.wait(deadline)
        except BaseException:
            self.post(question.give_up)
            raise
        if isinstance(question.reply, QuickPulseError):
            raise question.reply
        return question.reply

    def post(self, call: Callable[[], Any]) -> None:
        """Have it called in the client's thread, soon; what it has to say is written at once. By any thread."""
        self._posted.append(call)
        if self._is_over:
            self._work()
        elif not self._is_awake:
            try:
                self._is_awake = True
                self.loop.call_soon_threadsafe(self._work)
            except RuntimeError:  # the loop was closed: `stop` does what is left
                pass
            except BaseException:  # Ctrl-C: perhaps nobody was woken, so that the next one does it
                self._is_awake = False
                raise

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result; interrupting the wait cancels it. By any thread but the client's own."""
        future: Future[T] | None = None
        try:
            self.require_usable()
            if self._has_client:
                self.client.step_aside()
        except BaseException:
            coroutine.close()
            raise
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
            self._waits.add(future)
            if self._is_over:
                raise ClientClosed
            return _result_of(future)
        except CancelledError:
            raise ClientClosed from None
        except BaseException as error:
            if future is None and isinstance(error, RuntimeError):  # the loop was closed
                coroutine.close()
                raise ClientClosed from None
            self._wake(lambda: self._abandon(coroutine))
            raise
        finally:
            if future is not None:
                self._waits.discard(future)

    def _abandon(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Nobody waits for it any more; Ctrl-C may have come before or after it was begun. In the client's thread."""
        for task in asyncio.all_tasks(self.loop):
            if task.get_coro() is coroutine:
                task.cancel()
                return
        coroutine.close()

    def require_usable(self) -> None:
        """Raise ClientClosed if nothing here would ever be answered."""
        if self.process != os.getpid():
            raise ClientClosed("this was made before the process was forked; the client makes a new one")
        if threading.current_thread() is self._thread:
            raise ClientClosed("a client's own thread cannot wait for itself")

    def finish(self) -> None:
        """The program ends, and the client was not closed: flush its publishers and acks, and go on with the rest."""
        if not self._has_client:
            return
        client = self.client
        seconds = min(client.options.timeout_seconds, EXIT_SECONDS)
        finishing = client.runtime.within(seconds, client.finish())
        try:
            if asyncio.run_coroutine_threadsafe(finishing, self.loop).result(seconds + GRACE_SECONDS):
                return
            why = str(client.session.fault or "no reply")
        except (QuickPulseError, FutureTimeout) as error:
            why = str(error) or "no reply"
        logging.getLogger("quickpulse.client").warning("%r at the end of the program: %s", client, why)

    def stop(self) -> None:
        """End the thread, and what still waits for it. By any thread but the client's own."""
        _running.discard(self)
        with suppress(FutureTimeout):
            asyncio.run_coroutine_threadsafe(self._finish(), self.loop).result(GRACE_SECONDS)
        self._is_stopping = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._is_over = True
        if self._has_client:  # there is none where the options were wrong
            self.client.detach()
        for future in list(self._waits):  # that came too late to be begun
            future.cancel()
        if self._posted:
            self._work()

    def _run(self) -> None:
        """The client's thread."""
        asyncio.set_event_loop(self.loop)
        while not self._is_stopping:
            # What a callback of the user's raises to end the program must not end this thread, which others wait for.
            with suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_forever()

    def _work(self) -> None:
        """What was posted; in the client's thread, or when that has ended."""
        self._is_awake = False  # before anything is taken, so that what comes meanwhile wakes again
        self.client.hold()
        while True:
            try:
                call = self._posted.popleft()
            except IndexError:
                break
            call()
        self.client.write()

    def _wake(self, call: Callable[[], Any]) -> None:
        with suppress(RuntimeError):  # the loop has ended: so has all that it would do
            self.loop.call_soon_threadsafe(call)

    async def _finish(self) -> None:
        """The client is closed: whoever waits for something of it is told in the next turns."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks)

    async def _make(self, address: Address, options: Options, confirm: Confirm) -> LoopClient:
        runtime = AsyncioRuntime(self.loop)
        runtime.now = time.monotonic  # the same clock; uvloop's own stands still while its thread waits
        client = LoopClient(runtime, address, options)
        client.wake = self._wake
        client.confirming = confirm
        return client


_running: set[Running] = set()
"""All that were not stopped."""


@atexit.register
def _finish_all() -> None:
    for running in list(_running):
        if running.process == os.getpid():
            running.finish()


class _Question:
    """A request of one thread, and the reply to it."""

    __slots__ = ("_call", "_client", "_leases", "_request", "_seconds", "answered", "reply")

    def __init__(self, client: LoopClient, request: Any, seconds: float | None, leases: bool) -> None:
        self._client = client
        self._request = request
        self._seconds = seconds
        self._leases = leases
        self._call: Any = None
        self.reply: Any = None
        self.answered = threading.Lock()
        self.answered.acquire()

    def ask(self) -> None:
        """By whoever has the session."""
        client = self._client
        client.flush()  # what was said before takes effect before
        self._call = client.session.ask(self._request, self._answer, client.now(), self._seconds)

    def wait(self, deadline: float) -> None:
        """Until it is answered, also a little longer than there is time. By any thread but the client's own.

        :raises Timeout: even that was not enough.
        """
        left = max(deadline - time.monotonic(), 0) + GRACE_SECONDS
        while not self.answered.acquire(timeout=min(left, LOOK_SECONDS)):
            left -= LOOK_SECONDS
            if left <= 0:
                raise Timeout(f"no reply to {type(self._request).__name__} in time (the client's thread is stuck)")

    def give_up(self) -> None:
        """Nobody waits any more; messages are put back. In the client's thread."""
        reply = self.reply.deliveries if isinstance(self.reply, Leased) else self.reply
        if isinstance(reply, Deliveries):
            self._client.session.release(reply)
        elif self._call is not None:
            self._client.session.abandon(self._call)

    def _answer(self, reply: Any) -> None:
        if self._leases and isinstance(reply, Deliveries):
            reply = self._client.session.lease(reply, self._client.now())
            self._client.plan_flush()
        self.reply = reply
        self.answered.release()


def _result_of(future: Future[T]) -> T:
    """As soon as it is there, or Ctrl-C."""
    while True:
        try:
            return future.result(LOOK_SECONDS)
        except FutureTimeout:
            if future.done():  # it is the future's own; or there is a result just now
                return future.result()


def new_loop() -> asyncio.AbstractEventLoop:
    """One of uvloop, where that is installed, as its turns take less time; else one of asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
