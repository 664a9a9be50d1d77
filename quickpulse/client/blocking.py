"""The blocking client: asyncio's, on a loop in a thread of its own. Any object may be used from any thread.

After a fork the child's first use of a client connects anew: the parent's connection and leases stay the parent's.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, TypeVar

from quickpulse.client import aio
from quickpulse.client.errors import ClientClosed, Timeout
from quickpulse.client.messages import Batch, Message
from quickpulse.client.options import Address, Options
from quickpulse.client.outbox import OutBatch
from quickpulse.client.settling import Leased
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Action, Policy, PublishReply, QueueInfo, Range, ServerInfo

T = TypeVar("T")


def connect(url: str, *, options: Options | None = None, wait_seconds: float = 10.0) -> Client:
    """Connect to a server, and stay connected until `close`.

    :param url: `quickpulse://host:port`.
    :param wait_seconds: for a server that does not answer yet.
    :raises ConnectionLost: it does not.
    :raises InvalidArgument: the URL is none.
    """
    return Client(Address.of(url), options or Options(), wait_seconds)


class _LoopClient(aio.Client):
    """Whose acks come from other threads."""

    confirm_from_threads: Any = None

    def settle_soon(self) -> None:
        """By whichever thread says it."""
        with suppress(RuntimeError):  # the loop has ended: so has what was leased
            self._loop.call_soon_threadsafe(super().settle_soon)

    def handed_out(self, leased: Leased) -> Batch:
        """Messages for the user's threads."""
        return Batch(leased, self.confirm_from_threads)


class _Running:
    """A loop in its thread, and the client that lives there."""

    def __init__(self, address: Address, options: Options, wait_seconds: float, confirm: Any) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="quickpulse-client", daemon=True)
        self._thread.start()
        try:
            self.client: _LoopClient = self.wait(self._open(address, options, wait_seconds, confirm))
        except BaseException:
            self.stop()
            raise

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result; interrupting the wait cancels it."""
        try:
            self.require_usable()
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except BaseException as error:
            coroutine.close()
            if isinstance(error, RuntimeError):  # the loop was closed
                raise ClientClosed from None
            raise
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def require_usable(self) -> None:
        """Raise ClientClosed if nothing here would ever be answered."""
        if self.process != os.getpid():
            raise ClientClosed("this was made before the process was forked; the client makes a new one")
        if threading.current_thread() is self._thread:
            raise ClientClosed("a client's own thread cannot wait for itself")

    def stop(self) -> None:
        """End the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _open(self, address: Address, options: Options, wait_seconds: float, confirm: Any) -> _LoopClient:
        client = _LoopClient(address, options)
        client.confirm_from_threads = confirm
        await client.start(wait_seconds)
        return client


class Client:
    """A connection that comes back when it is lost. Made by `connect`."""

    def __init__(self, address: Address, options: Options, wait_seconds: float) -> None:
        self.address = address
        self.options = options
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._is_closed = False
        self._running = self._run()

    def queue(self, name: str) -> Queue:
        """One queue; it is made when something is put into it or taken out."""
        return Queue(self, name)

    def list_queues(self, prefix: str = "") -> Sequence[QueueInfo]:
        """Which queues there are."""
        return self.wait(lambda client: client.list_queues(prefix))

    @property
    def server(self) -> ServerInfo | None:
        """What the server said of itself when it was last connected to."""
        return self.running.client.server

    @property
    def lost_leases(self) -> int:
        """Messages whose acks came too late, without `confirm`."""
        return self.running.client.lost_leases

    def close(self) -> None:
        """Flush publishers and acks, put back what nobody has seen, and end. Never longer than the options' timeout.

        :raises PartialPublish: a publisher was still open, and not everything in it was accepted.
        :raises Timeout: not everything was confirmed in time.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        if self._running.process == os.getpid():
            try:
                self._running.wait(self._running.client.close())
            finally:
                self._running.stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()

    # ---- for the parts of this face ----

    @property
    def running(self) -> _Running:
        """That of this process."""
        running = self._running
        if running.process != os.getpid():
            with self._lock:
                if self._running.process != os.getpid():
                    self._running = self._run()
                running = self._running
        if self._is_closed:
            raise ClientClosed
        return running

    def wait(self, ask: Callable[[_LoopClient], Coroutine[Any, Any, T]]) -> T:
        """What asyncio's client answers."""
        running = self.running
        return running.wait(ask(running.client))

    def _run(self) -> _Running:
        return _Running(self.address, self.options, self._wait_seconds, self._confirm)

    def _confirm(self, queue: str, ranges: list[Range], action: Action, how: dict[str, Any], lost: int) -> None:
        self.wait(lambda client: client.confirm(queue, ranges, action, how, lost))


class Queue:
    """One queue of a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def publish(self, payload: bytes, **properties: Any) -> int | None:
        """Put a message in; returns when that is confirmed.

        :param properties: as of `properties_of`.
        :returns: its sequence; None: one with its `dedup_key` was there.
        :raises QueueFull: and what else of the server's errors refuses a message.
        """
        return self._wait(lambda queue: queue.publish(payload, **properties))

    def publish_many(self, payloads: Sequence[bytes], *, atomic: bool = False, **properties: Any) -> PublishReply:
        """Put messages in, with one confirmation.

        :param atomic: all or none.
        :param properties: of each, as of `properties_of`.
        :raises PartialPublish: some were rejected.
        """
        return self._wait(lambda queue: queue.publish_many(payloads, atomic=atomic, **properties))

    def publisher(
        self, *, max_buffered_messages: int = aio.MOST_BUFFERED, max_buffered_bytes: int = aio.MOST_BUFFERED_BYTES
    ) -> Publisher:
        """Messages one by one, in batches behind the scenes."""
        return Publisher(self, max_buffered_messages, max_buffered_bytes)

    def get(self, *, wait_seconds: float = 0, lease_seconds: float = 0) -> Message | None:
        """The next message, leased; None when none came."""
        return self._wait(lambda queue: queue.get(wait_seconds=wait_seconds, lease_seconds=lease_seconds))

    def pull(self, **how: Any) -> Batch:
        """The next messages, leased; waits for one when there is none.

        :param how: `max_messages`, `wait_seconds`, `lease_seconds`, `max_bytes`, `with_enqueued_at`.
        """
        return self._wait(lambda queue: queue.pull(**how))

    def take_many(self, max_messages: int, *, wait_seconds: float = 0) -> list[bytes]:
        """The next payloads, at most once: they are gone from the queue."""
        return self._wait(lambda queue: queue.take_many(max_messages, wait_seconds=wait_seconds))

    def subscribe(self, **how: Any) -> Subscription:
        """Messages as they come: `with queue.subscribe() as messages: for message in messages: ...`.

        :param how: as of asyncio's `subscribe`.
        """
        return Subscription(self, how)

    def consume(self, callback: Callable[[Message], Any], *, concurrency: int = 1, **how: Any) -> None:
        """Call back with each message, in threads, until interrupted: ack after success, nack after an exception."""
        with ThreadPoolExecutor(concurrency, "quickpulse-callback") as threads:

            async def in_thread(message: Message) -> None:
                await asyncio.get_running_loop().run_in_executor(threads, callback, message)

            self._wait(lambda queue: queue.consume(in_thread, concurrency=concurrency, **how))

    def stats(self) -> QueueInfo:
        """The queue, as it is now."""
        return self._wait(lambda queue: queue.stats())

    def set_policy(self, policy: Policy) -> QueueInfo:
        """How it behaves from now on."""
        return self._wait(lambda queue: queue.set_policy(policy))

    def pause(self, *, publishes: bool = False) -> QueueInfo:
        """Stop deliveries, and new messages if that is asked for."""
        return self._wait(lambda queue: queue.pause(publishes=publishes))

    def resume(self) -> QueueInfo:
        """End a pause."""
        return self._wait(lambda queue: queue.resume())

    def purge(self) -> int:
        """Throw away what nobody holds; how many."""
        return self._wait(lambda queue: queue.purge())

    def delete(self) -> int:
        """Throw it away with all that is in it; how many messages."""
        return self._wait(lambda queue: queue.delete())

    def redrive(self, *, target: str = "", max_messages: int = 0) -> int:
        """Of a dead-letter queue: put them back; how many."""
        return self._wait(lambda queue: queue.redrive(target=target, max_messages=max_messages))

    def peek(self, max_messages: int = 1) -> Batch:
        """Look at the next messages; there is nothing to settle."""
        return self._wait(lambda queue: queue.peek(max_messages))

    def _wait(self, ask: Callable[[aio.Queue], Coroutine[Any, Any, T]]) -> T:
        return self.client.wait(lambda client: ask(client.queue(self.name)))


class Confirmation:
    """A message on its way."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: OutBatch, index: int) -> None:
        self._batch = batch
        self._index = index

    def result(self, timeout_seconds: float | None = None) -> None:
        """Wait until it was accepted.

        :raises Timeout: it was not yet.
        :raises QuickPulseError: it was not.
        """
        try:
            reply = self._batch.future.result(timeout_seconds)
        except FutureTimeout:
            raise Timeout(f"no confirmation within {timeout_seconds} s") from None
        if isinstance(reply, QuickPulseError):
            raise reply
        self._batch.require_accepted(self._index, reply)

    def done(self) -> bool:
        """Whether it is known."""
        return bool(self._batch.future.done())


class Publisher:
    """Messages one by one, in batches behind the scenes. Leaving it flushes and reports. Made by `Queue.publisher`."""

    def __init__(self, queue: Queue, max_messages: int, max_bytes: int) -> None:
        self._running = queue.client.running

        async def make() -> aio.Publisher:
            return aio.Publisher(self._running.client.queue(queue.name), max_messages, max_bytes, Future)

        self._inner = self._running.wait(make())
        self._outbox = self._inner.outbox

    def publish(self, payload: bytes, **properties: Any) -> Confirmation:
        """Put a message in; waits only while the buffer is full.

        :param properties: as of `properties_of`.
        :returns: what can be asked whether it was accepted.
        """
        self._running.require_usable()
        self._inner.require_open()
        if not self._outbox.has_room:
            self._running.wait(self._inner.wait_for_room())
        own = aio.properties_of(**properties) if properties else None
        batch, index, is_due = self._outbox.add(payload, own)
        if is_due:
            try:
                self._running.loop.call_soon_threadsafe(self._inner.pump)
            except RuntimeError:
                raise ClientClosed from None
        return Confirmation(batch, index)

    def flush(self) -> None:
        """Wait until all is confirmed.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self._running.wait(self._inner.flush())

    def close(self) -> None:
        """Flush, and take nothing more.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self._running.wait(self._inner.close())

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()


class Subscription:
    """Messages as they come. Leaving it puts back what was not seen. Made by `Queue.subscribe`."""

    def __init__(self, queue: Queue, how: dict[str, Any]) -> None:
        self._running = queue.client.running

        async def make() -> aio.Subscription:
            inner = self._running.client.queue(queue.name).subscribe(**how)
            inner.also_closing = self._put_back
            inner.open()
            return inner

        self._lock = threading.Lock()
        self._batch: Batch | None = None
        self._at = 0
        self._inner = self._running.wait(make())

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        with self._lock:
            batch = self._batch
            while batch is None or self._at >= len(batch.payloads):
                self._batch = batch = self._running.wait(self._inner.next_batch())
                self._at = 0
                if batch is None:
                    raise StopIteration
            index = self._at
            self._at = index + 1
            return Message(batch.payloads[index], batch, index)

    def close(self) -> None:
        """Have nothing more pushed, and put back what was not seen."""
        self._running.wait(self._inner.close())

    def _put_back(self) -> None:
        """What came and was not seen; in the client's thread."""
        batch = self._batch
        if self._lock.acquire(blocking=False):  # else its reader waits for more, and has seen all of it
            if batch is not None and self._at < len(batch.payloads):
                batch.settle(self._at, len(batch.payloads) - 1, Action.RELEASE, False, {})
                self._at = len(batch.payloads)
            self._lock.release()
