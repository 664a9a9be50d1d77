"""The client for asyncio: `client = await connect("quickpulse://127.0.0.1:50051")`. The blocking one stands on it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from quickpulse.client.dialing import fault_in_tls, fault_of, make_link, ssl_context
from quickpulse.client.errors import ClientClosed, ConnectionLost, LeaseLost, PartialPublish, Timeout, TlsFailed
from quickpulse.client.messages import Batch, Message
from quickpulse.client.options import Address, Backoff, Options, milliseconds
from quickpulse.client.outbox import OutBatch, Outbox
from quickpulse.client.session import Session
from quickpulse.client.settling import Leased, count_of, settles
from quickpulse.client.subscribing import Subscribing
from quickpulse.errors import NotFound, PermissionDenied, QuickPulseError, Unauthenticated, Unsupported
from quickpulse.requests import (
    Action,
    Count,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    ListQueues,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    PublishReply,
    Pull,
    Purge,
    QueueInfo,
    QueuePage,
    Range,
    Redrive,
    Resume,
    ServerInfo,
    SetPolicy,
    Settle,
    SettleReply,
    Subscribe,
)
from quickpulse.requests import Batch as Columns

_HOPELESS = (Unauthenticated, PermissionDenied, Unsupported, TlsFailed)
"""A new connection gets the same answer."""

MOST_BUFFERED = 100_000
MOST_BUFFERED_BYTES = 64 * 1024 * 1024
"""What a publisher holds that is not confirmed, before it makes its caller wait."""

CREDIT_BYTES = 16 * 1024 * 1024
"""What a subscription holds that its user has not seen."""


LEAST_WAIT_MS = 20
"""Of what is left of a wait: below it nobody is asked again."""


async def connect(url: str, *, options: Options | None = None, wait_seconds: float = 10.0) -> Client:
    """Connect to a server, and stay connected until `close`.

    :param url: `quickpulse://host:port`; quickpulses:// is TLS, quickpulse+ws:// and quickpulse+wss:// are WebSocket.
    :param wait_seconds: for a server that does not answer yet.
    :raises ConnectionLost: it does not.
    :raises TlsFailed: it cannot prove who it is.
    :raises InvalidArgument: the URL is none.
    """
    client = Client(Address.of(url), options or Options())
    await client.start(wait_seconds)
    return client


class _Protocol(asyncio.Protocol):
    """A connection of a client."""

    def __init__(self, client: Client, session: Session, link: Any) -> None:
        self._client = client
        self._session = session
        self._link = link
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[QuickPulseError] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self._client.transport = transport
        fault = fault_in_tls(transport, self._client.address)
        if fault is not None:
            self._session.fault = fault
            self._client.cut()
            return
        self._session.connected(self._link, self._loop.time())

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        self._session.receive(data, self._loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._client.transport = None
        reason = self._session.fault or fault_of(exc, self._client.address)
        self._session.lost(reason, self._loop.time())
        if not self.ended.done():
            self.ended.set_result(reason)


class Client:
    """A connection that comes back when it is lost. Made by `connect`."""

    def __init__(self, address: Address, options: Options) -> None:
        self.address = address
        self.options = options
        self.transport: Any = None
        self.session = Session(self, options)
        self._tls = ssl_context(address, options)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing = self._is_flushing = False
        self._is_ready = self._loop.create_future()
        self._connecting: asyncio.Task[None] | None = None
        self._backoff = Backoff(options, random.random)
        self._closing: list[Callable[[], Awaitable[None]]] = []  # what is to be ended first
        self._is_closed = False

    # ---- for users ----

    def queue(self, name: str) -> Queue:
        """One queue; it is made when something is put into it or taken out."""
        return Queue(self, name)

    async def list_queues(self, prefix: str = "") -> Sequence[QueueInfo]:
        """Which queues there are."""
        queues: list[QueueInfo] = []
        token, is_first = "", True
        while token or is_first:  # a page after the other
            page: QueuePage = await self.ask(ListQueues(prefix, page_token=token))
            queues += page.queues
            token, is_first = page.next_page_token, False
        return queues

    @property
    def server(self) -> ServerInfo | None:
        """What the server said of itself when it was last connected to."""
        return self.session.server

    @property
    def lost_leases(self) -> int:
        """Messages whose acks came too late, without `confirm`."""
        return self.session.lost_leases

    async def close(self) -> None:
        """Flush publishers and acks, put back what nobody has seen, and end. Never longer than the options' timeout.

        :raises PartialPublish: a publisher was still open, and not everything in it was accepted.
        :raises Timeout: not everything was confirmed in time.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await asyncio.wait_for(self._finish(), self.options.timeout_seconds)
        except asyncio.TimeoutError:
            raise Timeout(f"closed before all was confirmed ({self.session.fault or 'no reply'})") from None
        finally:
            self.session.close()
            self._write()
            if self._timer is not None:
                self._timer.cancel()
            if self._connecting is not None:
                self._connecting.cancel()
                await asyncio.gather(self._connecting, return_exceptions=True)
            if self.transport is not None:
                self.transport.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self.close()

    async def _finish(self) -> None:
        errors = []
        for end in list(self._closing):
            try:
                await end()
            except QuickPulseError as error:
                errors.append(error)
        self.flush()
        while not self.session.is_quiet and self._connecting is not None:
            await asyncio.sleep(0.002)
        if errors:
            raise errors[0]

    # ---- for the parts of this face ----

    def closing(self, end: Callable[[], Awaitable[None]]) -> None:
        """Have this called before the end."""
        self._closing.append(end)

    def closed(self, end: Callable[[], Awaitable[None]]) -> None:
        """It has ended already."""
        if end in self._closing:
            self._closing.remove(end)

    def flush(self) -> None:
        """Send what was said of messages."""
        self.session.flush(self._loop.time())

    async def ask(self, request: Any, seconds: float | None = None) -> Any:
        """The reply.

        :raises QuickPulseError: what the server says instead, or what happened on the way.
        """
        future = self._loop.create_future()
        if not isinstance(request, Publish | Settle):
            self.flush()  # what was said before takes effect before

        def done(reply: Any) -> None:
            if not future.done():
                future.set_result(reply)
            elif isinstance(reply, Deliveries):
                self.session.release(reply)

        call = self.session.ask(request, done, self._loop.time(), seconds)
        try:
            reply = await future
        except asyncio.CancelledError:
            self.session.abandon(call)
            if future.done() and not future.cancelled() and isinstance(future.result(), Deliveries):
                self.session.release(future.result())
            raise
        if isinstance(reply, QuickPulseError):
            raise reply
        return reply

    async def confirm(self, queue: str, ranges: list[Range], action: Action, how: dict[str, Any], lost: int) -> None:
        """Settle, and say so when it was too late."""
        self.flush()  # what was said before takes effect before
        for request in settles(queue, ranges, action, **how):
            try:
                reply: SettleReply = await self.ask(request)
                lost += count_of(reply.unknown)
            except NotFound:  # the queue is gone, with all that was leased of it
                lost += count_of(request.receipts)
        if lost:
            raise LeaseLost(lost)

    def leased(self, deliveries: Deliveries) -> Batch:
        """Messages for the user, kept leased while they are held."""
        return self.handed_out(self.session.lease(deliveries, self._loop.time()))

    def handed_out(self, leased: Leased) -> Batch:
        """The same, of what is kept leased already."""
        return Batch(leased, self.confirm)

    # ---- the connection ----

    async def start(self, wait_seconds: float) -> None:
        """Connect, until it works or the time is up."""
        self._connecting = self._loop.create_task(self._stay_connected())
        try:
            await asyncio.wait_for(asyncio.shield(self._is_ready), wait_seconds)
        except asyncio.TimeoutError:
            await self.close()
            raise ConnectionLost(f"{self.address} does not answer: {self.session.fault or 'no reply'}") from None
        except BaseException:
            await self.close()
            raise

    async def _stay_connected(self) -> None:
        while True:
            link = make_link(self.address, self.options)
            try:
                opening = self._loop.create_connection(
                    lambda link=link: _Protocol(self, self.session, link),  # type: ignore[misc]
                    self.address.host,
                    self.address.port,
                    ssl=self._tls,
                )
                _, protocol = await asyncio.wait_for(opening, self.options.connect_seconds)
            except (OSError, asyncio.TimeoutError) as error:
                reason = fault_of(error, self.address)
                self.session.lost(reason, self._loop.time())
            else:
                reason = await protocol.ended
            if isinstance(reason, _HOPELESS):
                self._give_up(reason)
                return
            await asyncio.sleep(self._backoff.next_seconds())

    def _give_up(self, reason: QuickPulseError) -> None:
        if not self._is_ready.done():
            self._is_ready.set_exception(reason)
        self._connecting = None
        self.session.close(reason)

    # ---- what the session asks (Host) ----

    def write_soon(self) -> None:
        """Once for all that this turn of the loop brings."""
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._is_writing = False
        if self.transport is not None:
            data = self.session.data_to_send()
            if data:
                self.transport.write(data)

    def tick_at(self, when: float) -> None:
        """One timer for all."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.session.tick(self._loop.time())

    def settle_soon(self) -> None:
        """In a few milliseconds, with others."""
        self._loop.call_later(self.options.flush_seconds, self.flush)

    def ready(self) -> None:
        """The server answers."""
        self._backoff.succeeded()
        if not self._is_ready.done():
            self._is_ready.set_result(None)

    def cut(self) -> None:
        """At once."""
        if self.transport is not None:
            self.transport.abort()


class Queue:
    """One queue of a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    async def publish(self, payload: bytes, **properties: Any) -> int | None:
        """Put a message in; returns when that is confirmed.

        :param properties: as of `properties_of`.
        :returns: its sequence; None: one with its `dedup_key` was there.
        :raises QueueFull: and what else of the server's errors refuses a message.
        """
        own = properties_of(**properties) if properties else None
        request = Publish(self.name, Columns((payload,), own), self.client.session.new_key())
        reply: PublishReply = await self.client.ask(request)
        if reply.rejections:
            raise reply.rejections[0].error
        return reply.sequences[0][0] if reply.sequences else None

    async def publish_many(self, payloads: Sequence[bytes], *, atomic: bool = False, **properties: Any) -> PublishReply:
        """Put messages in, with one confirmation.

        :param atomic: all or none.
        :param properties: of each, as of `properties_of`.
        :raises PartialPublish: some were rejected.
        """
        own = properties_of(**properties) if properties else None
        request = Publish(self.name, Columns(payloads, own), self.client.session.new_key(), atomic)
        reply: PublishReply = await self.client.ask(request)
        if reply.rejections:
            raise PartialPublish(len(payloads) - len(reply.rejections), reply.rejections)
        return reply

    def publisher(
        self, *, max_buffered_messages: int = MOST_BUFFERED, max_buffered_bytes: int = MOST_BUFFERED_BYTES
    ) -> Publisher:
        """Messages one by one, in batches behind the scenes."""
        return Publisher(self, max_buffered_messages, max_buffered_bytes)

    async def get(self, *, wait_seconds: float = 0, lease_seconds: float = 0) -> Message | None:
        """The next message, leased; None when none came."""
        batch = await self.pull(max_messages=1, wait_seconds=wait_seconds, lease_seconds=lease_seconds)
        return batch[0] if batch else None

    async def pull(
        self,
        *,
        max_messages: int = 1,
        wait_seconds: float = 0,
        lease_seconds: float = 0,
        max_bytes: int = 0,
        with_enqueued_at: bool = False,
    ) -> Batch:
        """The next messages, leased; waits for one when there is none."""
        request = Pull(
            (self.name,),
            max_messages,
            max_bytes,
            milliseconds(wait_seconds),
            milliseconds(lease_seconds),
            with_enqueued_at=with_enqueued_at,
        )
        return self.client.leased(await self._pulled(request))

    async def take_many(self, max_messages: int, *, wait_seconds: float = 0) -> list[bytes]:
        """The next payloads, at most once: they are gone from the queue."""
        request = Pull((self.name,), max_messages, 0, milliseconds(wait_seconds), delivery=Delivery.TAKEN)
        deliveries = await self._pulled(request)
        return list(deliveries.batch.payloads)

    async def _pulled(self, request: Pull) -> Deliveries:
        """The reply; a server that ends answers what waits, and then the next one is asked for the rest of the time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + request.wait_ms / 1000
        while True:
            seconds = self.client.options.timeout_seconds + request.wait_ms / 1000
            deliveries: Deliveries = await self.client.ask(request, seconds)
            left_ms = milliseconds(end - loop.time())
            if deliveries.batch.payloads or left_ms < LEAST_WAIT_MS:
                return deliveries
            request = replace(request, wait_ms=left_ms)

    def subscribe(
        self,
        *,
        credit_messages: int = 1000,
        credit_bytes: int = CREDIT_BYTES,
        lease_seconds: float = 0,
        release_on_disconnect: bool = False,
        with_enqueued_at: bool = False,
    ) -> Subscription:
        """Messages as they come: `async with queue.subscribe() as messages: async for message in messages: ...`.

        :param credit_messages: that are here at most, and not seen by the user.
        """
        request = Subscribe(
            self.name,
            credit_messages,
            credit_bytes,
            milliseconds(lease_seconds),
            release_on_disconnect=release_on_disconnect,
            with_enqueued_at=with_enqueued_at,
        )
        return Subscription(self.client, request)

    async def consume(self, callback: Callable[[Message], Awaitable[Any]], *, concurrency: int = 1, **how: Any) -> None:
        """Call back with each message, until cancelled: ack after success, nack after an exception.

        :param concurrency: callbacks that run at the same time.
        :param how: as of `subscribe`.
        """
        how.setdefault("credit_messages", max(2 * concurrency, 2))

        async def work(messages: Subscription) -> None:
            async for message in messages:
                try:
                    with message:
                        await callback(message)
                except Exception:
                    _log_failure(message)

        async with self.subscribe(**how) as messages:
            tasks = [asyncio.ensure_future(work(messages)) for _ in range(concurrency)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    # ---- administration ----

    async def stats(self) -> QueueInfo:
        """The queue, as it is now."""
        info: QueueInfo = await self.client.ask(GetQueue(self.name))
        return info

    async def set_policy(self, policy: Policy) -> QueueInfo:
        """How it behaves from now on."""
        info: QueueInfo = await self.client.ask(SetPolicy(self.name, policy))
        return info

    async def pause(self, *, publishes: bool = False) -> QueueInfo:
        """Stop deliveries, and new messages if that is asked for."""
        info: QueueInfo = await self.client.ask(Pause(self.name, publishes))
        return info

    async def resume(self) -> QueueInfo:
        """End a pause."""
        info: QueueInfo = await self.client.ask(Resume(self.name))
        return info

    async def purge(self) -> int:
        """Throw away what nobody holds; how many."""
        return await self._count(Purge(self.name))

    async def delete(self) -> int:
        """Throw it away with all that is in it; how many messages."""
        return await self._count(DeleteQueue(self.name))

    async def redrive(self, *, target: str = "", max_messages: int = 0) -> int:
        """Of a dead-letter queue: put them back; how many."""
        return await self._count(Redrive(self.name, target, max_messages))

    async def peek(self, max_messages: int = 1) -> Batch:
        """Look at the next messages; there is nothing to settle."""
        return self.client.leased(await self.client.ask(Peek(self.name, max_messages)))

    async def _count(self, request: Any) -> int:
        count: Count = await self.client.ask(request)
        return count.messages


class Confirmation:
    """A message on its way: await it to know that it was accepted."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: OutBatch, index: int) -> None:
        self._batch = batch
        self._index = index

    def __await__(self) -> Generator[Any, None, None]:
        reply = yield from asyncio.shield(self._batch.future).__await__()
        if isinstance(reply, QuickPulseError):
            raise reply
        self._batch.require_accepted(self._index, reply)


class Publisher:
    """Messages one by one, in batches behind the scenes. Leaving it flushes and reports. Made by `Queue.publisher`."""

    def __init__(self, queue: Queue, max_messages: int, max_bytes: int, make_future: Any = None) -> None:
        self._client = queue.client
        self._name = queue.name
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(make_future or self._loop.create_future, max_messages, max_bytes)
        self._has_room: asyncio.Future[None] | None = None
        self._is_closed = False
        self._client.closing(self.close)

    async def publish(self, payload: bytes, **properties: Any) -> Confirmation:
        """Put a message in; waits only while the buffer is full.

        :param properties: as of `properties_of`.
        :returns: what can be awaited to know that it was accepted.
        """
        self.require_open()
        if not self.outbox.has_room:
            await self.wait_for_room()
        own = properties_of(**properties) if properties else None
        batch, index, is_due = self.outbox.add(payload, own)
        if is_due:
            if batch.is_full:
                self.pump()
                await asyncio.sleep(0)  # others have a turn, the connection first of all
            else:
                self._loop.call_soon(self.pump)
        return Confirmation(batch, index)

    def require_open(self) -> None:
        """Raise ClientClosed if it is not."""
        if self._is_closed:
            raise ClientClosed("the publisher is closed")

    async def wait_for_room(self) -> None:
        """Until the buffer takes another message."""
        self.pump()
        while not self.outbox.has_room:
            await self._change()

    async def flush(self) -> None:
        """Wait until all is confirmed.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self.pump()
        while not self.outbox.is_empty:
            await self._change()
        self.outbox.report()

    async def close(self) -> None:
        """Flush, and take nothing more.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self._is_closed = True
        self._client.closed(self.close)
        await self.flush()

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self.close()

    def pump(self) -> None:
        """Send what may go now."""
        while (batch := self.outbox.take()) is not None:
            self._send(batch)

    def _send(self, batch: OutBatch) -> None:
        request = Publish(self._name, batch.as_batch(), self._client.session.new_key())

        def done(reply: Any) -> None:
            self.outbox.confirmed(batch, reply)
            if not batch.future.done():
                batch.future.set_result(reply)
            if self._has_room is not None and not self._has_room.done():
                self._has_room.set_result(None)
            self._loop.call_soon(self.pump)  # not from within a reply

        self._client.session.ask(request, done, self._loop.time())

    async def _change(self) -> None:
        """Until a batch was answered."""
        if self._has_room is None or self._has_room.done():
            self._has_room = self._loop.create_future()
        await asyncio.shield(self._has_room)


class Subscription:
    """Messages as they come. Leaving it puts back what was not seen. Made by `Queue.subscribe`."""

    def __init__(self, client: Client, request: Subscribe) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._subscribing = Subscribing(request, self._changed)
        self._change: asyncio.Future[None] | None = None
        self._leased: Leased | None = None
        self._batch: Batch | None = None
        self._payloads: Sequence[bytes] = ()
        self._at = 0
        self._refilling = asyncio.Lock()
        self.also_closing: Callable[[], None] | None = None
        """What another face does before what was not seen is put back."""
        self._is_open = self._is_closed = False

    def open(self) -> None:
        """Have messages pushed from now on."""
        if not self._is_open:
            self._is_open = True
            self._client.closing(self.close)
            self._client.session.subscribe(self._subscribing)

    async def __aenter__(self) -> Subscription:
        self.open()
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Message]:
        self.open()
        return self

    async def __anext__(self) -> Message:
        while self._at >= len(self._payloads) or self._batch is None:
            async with self._refilling:  # one of many readers
                if self._at < len(self._payloads):
                    continue
                batch = await self.next_batch()
                if batch is None:
                    raise StopAsyncIteration
                self._batch, self._payloads, self._at = batch, batch.payloads, 0
        index = self._at
        self._at = index + 1
        return Message(self._payloads[index], self._batch, index)

    async def next_batch(self) -> Batch | None:
        """What came together; None at the end.

        :raises QuickPulseError: why the subscription ended.
        """
        self._give_room()
        subscribing = self._subscribing
        if not subscribing.helpings:
            self._client.flush()
        while not subscribing.helpings and not self._is_closed:
            if subscribing.is_ended:
                if subscribing.error is not None:
                    raise subscribing.error
                return None
            if self._change is None or self._change.done():
                self._change = self._loop.create_future()
            await asyncio.shield(self._change)
        if self._is_closed:
            return None
        self._leased = subscribing.helpings.popleft()
        return self._client.handed_out(self._leased)

    async def close(self) -> None:
        """Have nothing more pushed, and put back what was not seen."""
        if self._is_closed or not self._is_open:
            self._is_closed = True
            return
        self._is_closed = True
        self._client.closed(self.close)
        self._client.session.unsubscribe(self._subscribing)
        self._changed()
        deadline = self._loop.time() + self._client.options.timeout_seconds
        while not self._subscribing.is_ended and self._loop.time() < deadline:
            self._change = self._loop.create_future()
            await asyncio.wait([self._change], timeout=deadline - self._loop.time())
        if self.also_closing is not None:
            self.also_closing()
        if self._batch is not None and self._at < len(self._payloads):
            self._batch.settle(self._at, len(self._payloads) - 1, Action.RELEASE, False, {})
        for leased in self._subscribing.helpings:
            self._client.session.release(leased.deliveries)
        self._subscribing.helpings.clear()
        self._client.flush()

    def _give_room(self) -> None:
        if self._leased is not None:
            leased, self._leased = self._leased, None
            if self._subscribing.handed_on(leased):
                self._client.session.add_credit(self._subscribing)

    def _changed(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)


def properties_of(
    *,
    id: str = "",  # noqa: A002 - the property's name
    headers: dict[str, str] | None = None,
    content_type: str = "",
    priority: int = 0,
    delay_seconds: float = 0,
    ttl_seconds: float = 0,
    dedup_key: str = "",
    reply_to: str = "",
    correlation_id: str = "",
) -> Properties:
    """What a message may have beside its payload, as users say it.

    :param priority: 0 to 9; 9 comes first.
    :param delay_seconds: it is ready so long after it was accepted.
    :param ttl_seconds: it is void so long after it was accepted; 0 is never.
    :param dedup_key: a second one with this key is not stored while the queue's window lasts.
    """
    return Properties(
        id,
        headers or {},
        content_type,
        priority,
        milliseconds(delay_seconds),
        milliseconds(ttl_seconds),
        dedup_key,
        reply_to,
        correlation_id,
    )


def _log_failure(message: Message) -> None:
    logging.getLogger("quickpulse.client").exception("a callback failed; its message of %s is nacked", message.queue)
