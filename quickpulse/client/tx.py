"""The client for Twisted: `client = await connect("quickpulse://127.0.0.1:50051")`, the twin of asyncio's.

What is asynchronous returns a Deferred, for callbacks and for `await` alike. `async with` and `async for` are for
coroutines that Deferreds drive (`Deferred.fromCoroutine`, `ensureDeferred`). The reactor may be any.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

from quickpulse.client.asking import QueueAsking
from quickpulse.client.clients import Client as LoopClient
from quickpulse.client.clients import Queue as LoopQueue
from quickpulse.client.messages import Batch, Message
from quickpulse.client.options import Address, Options
from quickpulse.client.properties import properties_of
from quickpulse.client.publishing import MOST_BUFFERED, MOST_BUFFERED_BYTES
from quickpulse.client.tx_runtime import TwistedRuntime
from quickpulse.client.tx_streams import Confirmation, Publisher, Subscription
from quickpulse.client.words import words_of
from quickpulse.requests import Action, Policy, PublishReply, QueueInfo, Range, ServerInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import PropertyWords, PullWords, SubscribeWords

__all__ = ["Client", "Confirmation", "Publisher", "Queue", "Subscription", "connect"]

T = TypeVar("T")


def connect(
    url: str, *, reactor: Any = None, options: Options | None = None, wait_seconds: float = 10.0
) -> Deferred[Client]:
    """Connect to a server, and stay connected until `close`.

    :param url: `quickpulse://host:port`; `quickpulses://` is with TLS, `quickpulse+ws://` and `quickpulse+wss://` are
        by WebSocket.
    :param reactor: None: the global one.
    :param wait_seconds: for a server that does not answer yet.
    :raises ConnectionLost: it does not.
    :raises TlsFailed: it cannot prove who it is.
    :raises InvalidArgument: the URL is none.
    """
    if reactor is None:
        from twisted.internet import reactor  # not before it is needed: this installs one
    return run(_connected(reactor, url, options or Options(), wait_seconds))


async def _connected(reactor: Any, url: str, options: Options, wait_seconds: float) -> Client:
    inner = LoopClient(TwistedRuntime(reactor), Address.of(url), options)
    client = Client(inner)
    await inner.start(wait_seconds)
    return client


def run(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    """A coroutine as a Deferred."""
    return Deferred.fromCoroutine(coroutine)


class Client:
    """A connection that comes back when it is lost. Made by `connect`.

    :ivar asking: the same as coroutines.
    """

    def __init__(self, inner: LoopClient) -> None:
        self.asking = inner
        inner.confirming = self._confirm

    def queue(self, name: str) -> Queue:
        """One queue; it is made when something is put into it or taken out."""
        return Queue(self, name)

    def list_queues(self, prefix: str = "") -> Deferred[Sequence[QueueInfo]]:
        """Which queues there are."""
        return run(self.asking.list_queues(prefix))

    @property
    def server(self) -> ServerInfo | None:
        """What the server said of itself when it was last connected to."""
        return self.asking.server

    @property
    def lost_leases(self) -> int:
        """Messages whose acks, without `confirm`, came too late or were not done."""
        return self.asking.lost_leases

    def close(self) -> Deferred[None]:
        """Flush publishers and acks, put back what nobody has seen, and end. Never longer than the options' timeout.

        :raises PartialPublish: a publisher was still open, and not everything in it was accepted.
        :raises Timeout: not everything was confirmed in time.
        """
        return run(self.asking.close())

    def __repr__(self) -> str:
        return repr(self.asking)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self.asking.close()

    def _confirm(
        self, queue: str, ranges: list[Range], action: Action, how: dict[str, Any], lost: int
    ) -> Deferred[None]:
        return run(self.asking.confirm(queue, ranges, action, how, lost))


class Queue:
    """One queue of a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self._asking = QueueAsking(client.asking, name)

    def __repr__(self) -> str:
        return f"<Queue {self.name!r} of {self.client.asking.address.url}>"

    @words_of(properties_of)
    def publish(self, payload: bytes, **properties: Unpack[PropertyWords]) -> Deferred[int | None]:
        """Put a message in; returns when that is confirmed.

        :param properties: as of `properties_of`.
        :returns: its sequence; None: one with its `dedup_key` was there.
        :raises QueueFull: and what else of the server's errors refuses a message.
        """
        return run(self._asking.publish(payload, **properties))

    @words_of(properties_of)
    def publish_many(
        self, payloads: Iterable[bytes], *, atomic: bool = False, **properties: Unpack[PropertyWords]
    ) -> Deferred[PublishReply]:
        """Put messages in, with one confirmation.

        :param atomic: all or none.
        :param properties: of each, as of `properties_of`.
        :raises PartialPublish: some were rejected.
        """
        return run(self._asking.publish_many(payloads, atomic=atomic, **properties))

    def publisher(
        self, *, max_buffered_messages: int = MOST_BUFFERED, max_buffered_bytes: int = MOST_BUFFERED_BYTES
    ) -> Publisher:
        """Messages one by one, in batches behind the scenes."""
        return Publisher(self.client.asking, self.name, max_buffered_messages, max_buffered_bytes)

    def get(self, *, wait_seconds: float = 0, lease_seconds: float = 0) -> Deferred[Message | None]:
        """The next message, leased; None when none came.

        :param wait_seconds: for one, where there is none; 0: it does not wait.
        """
        return run(self._asking.get(wait_seconds=wait_seconds, lease_seconds=lease_seconds))

    @words_of(QueueAsking.pull)
    def pull(self, max_messages: int = 1, **how: Unpack[PullWords]) -> Deferred[Batch]:
        """The next messages, leased; an empty batch when none came.

        :param max_messages: at most; 1 by default.
        :param how: `wait_seconds` (0: it does not wait for a first one), `lease_seconds` (0: as the queue's policy has
            it), `max_bytes` (0: no bound), `with_enqueued_at` (False).
        """
        return run(self._asking.pull(max_messages, **how))

    def take_many(self, max_messages: int, *, wait_seconds: float = 0) -> Deferred[list[bytes]]:
        """The next payloads, at most once: they are gone from the queue."""
        return run(self._asking.take_many(max_messages, wait_seconds=wait_seconds))

    @words_of(LoopQueue.subscribe)
    def subscribe(self, **how: Unpack[SubscribeWords]) -> Subscription:
        """Messages as they come: `async with queue.subscribe() as messages: async for message in messages: ...`.

        :param how: `credit_messages` (1000) and `credit_bytes` (16 MiB) that are here at most, and not seen;
            `lease_seconds` (0: as the queue's policy has it), `release_on_disconnect`, `with_enqueued_at` (False).
        """
        return Subscription(LoopQueue(self.client.asking, self.name).subscribe(**how))

    @words_of(LoopQueue.subscribe)
    def consume(
        self, callback: Callable[[Message], Any], *, concurrency: int = 1, **how: Unpack[SubscribeWords]
    ) -> Deferred[None]:
        """Call back with each message, until cancelled: ack after success, nack after an exception.

        :param callback: what it returns is awaited where it can be, as a Deferred can.
        :param concurrency: callbacks that run at the same time.
        :param how: as of `subscribe`; `credit_messages` is twice the concurrency where it is not given.
        :raises QuickPulseError: why the subscription ended.
        """
        queue = LoopQueue(self.client.asking, self.name)
        return run(queue.consume(callback, concurrency=concurrency, **how))

    def stats(self) -> Deferred[QueueInfo]:
        """The queue, as it is now."""
        return run(self._asking.stats())

    def set_policy(self, policy: Policy) -> Deferred[QueueInfo]:
        """How it behaves from now on."""
        return run(self._asking.set_policy(policy))

    def pause(self, *, publishes: bool = False) -> Deferred[QueueInfo]:
        """Stop deliveries, and new messages if that is asked for."""
        return run(self._asking.pause(publishes=publishes))

    def resume(self) -> Deferred[QueueInfo]:
        """End a pause."""
        return run(self._asking.resume())

    def purge(self) -> Deferred[int]:
        """Throw away what nobody holds; how many."""
        return run(self._asking.purge())

    def delete(self) -> Deferred[int]:
        """Throw it away with all that is in it; how many messages."""
        return run(self._asking.delete())

    def redrive(self, *, target: str = "", max_messages: int = 0) -> Deferred[int]:
        """Of a dead-letter queue: put them back; how many."""
        return run(self._asking.redrive(target=target, max_messages=max_messages))

    def peek(self, max_messages: int = 1) -> Deferred[Batch]:
        """Look at the next messages; there is nothing to settle."""
        return run(self._asking.peek(max_messages))
