"""The blocking client: asyncio's, on a loop in a thread of its own. Any object may be used from any thread.

After a fork the child's first use of a client connects anew: the parent's connection and leases stay the parent's.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from quickpulse.client.asking import Asking, QueueAsking, at_once
from quickpulse.client.blocking_streams import Confirmation, Publisher, Subscription
from quickpulse.client.clients import CallbackError, log_failure
from quickpulse.client.clients import Queue as LoopQueue
from quickpulse.client.errors import ClientClosed
from quickpulse.client.messages import Batch, Message
from quickpulse.client.options import Address, Options
from quickpulse.client.properties import properties_of
from quickpulse.client.publishing import MOST_BUFFERED, MOST_BUFFERED_BYTES
from quickpulse.client.runtime import Future
from quickpulse.client.settling import Leased
from quickpulse.client.threads import Running
from quickpulse.client.words import words_of
from quickpulse.requests import Action, Policy, PublishReply, QueueInfo, Range, ServerInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import PropertyWords, PullWords, SubscribeWords

__all__ = ["Client", "Confirmation", "Publisher", "Queue", "Subscription", "connect"]


def connect(url: str, *, options: Options | None = None, wait_seconds: float = 10.0) -> Client:
    """Connect to a server, and stay connected until `close`.

    :param url: `quickpulse://host:port`; `quickpulses://` is with TLS, `quickpulse+ws://` and `quickpulse+wss://` are
        by WebSocket.
    :param wait_seconds: for a server that does not answer yet.
    :raises ConnectionLost: it does not.
    :raises TlsFailed: it cannot prove who it is.
    :raises InvalidArgument: the URL is none.
    """
    return Client(Address.of(url), options or Options(), wait_seconds)


class Client:
    """A connection that comes back when it is lost. Made by `connect`."""

    def __init__(self, address: Address, options: Options, wait_seconds: float) -> None:
        self.address = address
        self.options = options
        self.asking = _ThreadAsking(self)
        self._wait_seconds = wait_seconds
        self._locks: dict[int, threading.Lock] = {}
        self._is_closed = False
        self._running = self._run()

    def queue(self, name: str) -> Queue:
        """One queue; it is made when something is put into it or taken out."""
        return Queue(self, name)

    def list_queues(self, prefix: str = "") -> Sequence[QueueInfo]:
        """Which queues there are."""
        return at_once(self.asking.list_queues(prefix))

    @property
    def server(self) -> ServerInfo | None:
        """What the server said of itself when it was last connected to."""
        return self.running.client.server

    @property
    def lost_leases(self) -> int:
        """Messages whose acks, without `confirm`, came too late or were not done."""
        return self._running.client.lost_leases  # also after the end: the last acks are sent then

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

    def __repr__(self) -> str:
        if self._is_closed or self._running.process == os.getpid():
            return repr(self._running.client)
        return f"<Client of {self.address.url}, not connected>"  # in this process

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()

    @property
    def running(self) -> Running:
        """The thread and its client, of this process."""
        running = self._running
        if running.process != os.getpid():
            with self._lock:
                if self._running.process != os.getpid():
                    self._running = self._run()
                running = self._running
        if self._is_closed:
            raise ClientClosed
        return running

    @property
    def _lock(self) -> threading.Lock:
        """This process's: what another thread held at a fork stays locked in the child."""
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _run(self) -> Running:
        return Running(self.address, self.options, self._wait_seconds, self._confirm)

    def _confirm(self, queue: str, ranges: list[Range], action: Action, how: dict[str, Any], lost: int) -> None:
        at_once(self.asking.confirm(queue, ranges, action, how, lost))


class _ThreadAsking(Asking):
    """Asks with the thread that calls: nothing of it ever suspends.

    :param client: the user's.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.options = client.options

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def new_key(self) -> bytes:
        """Of the process's own client."""
        return self._client.running.client.new_key()

    async def ask(self, request: Any, seconds: float | None = None) -> Any:
        """Wait here."""
        return self._client.running.ask(request, seconds, False)

    async def ask_leased(self, request: Any, seconds: float | None = None) -> Leased:
        """Likewise."""
        leased: Leased = self._client.running.ask(request, seconds, True)
        return leased

    def handed_out(self, leased: Leased) -> Batch:
        """Messages for the user's threads."""
        return Batch(leased, self._client.running.client.confirming)


class Queue:
    """One queue of a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self._asking = QueueAsking(client.asking, name)

    def __repr__(self) -> str:
        return f"<Queue {self.name!r} of {self.client.address.url}>"

    @words_of(properties_of)
    def publish(self, payload: bytes, **properties: Unpack[PropertyWords]) -> int | None:
        """Put a message in; returns when that is confirmed.

        :param properties: as of `properties_of`.
        :returns: its sequence; None: one with its `dedup_key` was there.
        :raises QueueFull: and what else of the server's errors refuses a message.
        """
        return at_once(self._asking.publish(payload, **properties))

    @words_of(properties_of)
    def publish_many(
        self, payloads: Iterable[bytes], *, atomic: bool = False, **properties: Unpack[PropertyWords]
    ) -> PublishReply:
        """Put messages in, with one confirmation.

        :param atomic: all or none.
        :param properties: of each, as of `properties_of`.
        :raises PartialPublish: some were rejected.
        """
        return at_once(self._asking.publish_many(payloads, atomic=atomic, **properties))

    def publisher(
        self, *, max_buffered_messages: int = MOST_BUFFERED, max_buffered_bytes: int = MOST_BUFFERED_BYTES
    ) -> Publisher:
        """Messages one by one, in batches behind the scenes."""
        return Publisher(self.client.running, self.name, max_buffered_messages, max_buffered_bytes)

    def get(self, *, wait_seconds: float = 0, lease_seconds: float = 0) -> Message | None:
        """The next message, leased; None when none came.

        :param wait_seconds: for one, where there is none; 0: it does not wait.
        """
        return at_once(self._asking.get(wait_seconds=wait_seconds, lease_seconds=lease_seconds))

    @words_of(QueueAsking.pull)
    def pull(self, max_messages: int = 1, **how: Unpack[PullWords]) -> Batch:
        """The next messages, leased; an empty batch when none came.

        :param max_messages: at most; 1 by default.
        :param how: `wait_seconds` (0: it does not wait for a first one), `lease_seconds` (0: as the queue's policy has
            it), `max_bytes` (0: no bound), `with_enqueued_at` (False).
        """
        return at_once(self._asking.pull(max_messages, **how))

    def take_many(self, max_messages: int, *, wait_seconds: float = 0) -> list[bytes]:
        """The next payloads, at most once: they are gone from the queue."""
        return at_once(self._asking.take_many(max_messages, wait_seconds=wait_seconds))

    @words_of(LoopQueue.subscribe)
    def subscribe(self, **how: Unpack[SubscribeWords]) -> Subscription:
        """Messages as they come: `with queue.subscribe() as messages: for message in messages: ...`.

        :param how: `credit_messages` (1000) and `credit_bytes` (16 MiB) that are here at most, and not seen;
            `lease_seconds` (0: as the queue's policy has it), `release_on_disconnect`, `with_enqueued_at` (False).
        """
        return Subscription(self.client.running, self.name, how)

    @words_of(LoopQueue.subscribe)
    def consume(
        self, callback: Callable[[Message], Any], *, concurrency: int = 1, **how: Unpack[SubscribeWords]
    ) -> None:
        """Call back with each message, in threads, until interrupted: ack after success, nack after an exception.

        A callback that is under way then goes on, and its message is settled when it has ended. That is waited for,
        unless it is interrupted too: then a client that is closed earlier leaves the message to its lease.
        """
        running = self.client.running
        ends: list[BaseException] = []  # of a callback that ended the program, by `sys.exit` for instance

        def work(message: Message) -> None:
            try:
                with message:
                    try:
                        callback(message)
                    except asyncio.CancelledError as error:  # in a loop of its own
                        raise CallbackError from error
            except Exception:
                log_failure(message)
            except BaseException as error:
                ends.append(error)

        async def in_thread(message: Message, _ended: Future) -> None:
            try:
                begun = threads.submit(work, message)
            except RuntimeError:  # there are no threads any more: `consume` was interrupted just now
                message.release()
                raise ClientClosed from None
            try:
                await asyncio.wrap_future(begun)
            except asyncio.CancelledError:
                if begun.cancelled():  # before it began
                    message.release()
                raise
            if ends:
                raise ClientClosed("a callback ends the program")

        with ThreadPoolExecutor(concurrency, "quickpulse-callback") as threads:
            try:
                running.wait(running.client.queue(self.name).consume_by(in_thread, concurrency, how))
            except ClientClosed:
                if ends:
                    raise ends[0] from None
                raise

    def stats(self) -> QueueInfo:
        """The queue, as it is now."""
        return at_once(self._asking.stats())

    def set_policy(self, policy: Policy) -> QueueInfo:
        """How it behaves from now on."""
        return at_once(self._asking.set_policy(policy))

    def pause(self, *, publishes: bool = False) -> QueueInfo:
        """Stop deliveries, and new messages if that is asked for."""
        return at_once(self._asking.pause(publishes=publishes))

    def resume(self) -> QueueInfo:
        """End a pause."""
        return at_once(self._asking.resume())

    def purge(self) -> int:
        """Throw away what nobody holds; how many."""
        return at_once(self._asking.purge())

    def delete(self) -> int:
        """Throw it away with all that is in it; how many messages."""
        return at_once(self._asking.delete())

    def redrive(self, *, target: str = "", max_messages: int = 0) -> int:
        """Of a dead-letter queue: put them back; how many."""
        return at_once(self._asking.redrive(target=target, max_messages=max_messages))

    def peek(self, max_messages: int = 1) -> Batch:
        """Look at the next messages; there is nothing to settle."""
        return at_once(self._asking.peek(max_messages))
