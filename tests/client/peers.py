"""The three clients as ways to a server for the stories of `tests.broker_scenario`: requests are said by their verbs.

What no verb says (a `batch_key`, properties of one message of many, receipts by number, several queues) is asked as it
is, over the same client.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from quickpulse import client as blocking
from quickpulse.client import LeaseLost, Options, PartialPublish, aio, tx
from quickpulse.requests import (
    Action,
    Batch,
    Count,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Pause,
    Peek,
    Properties,
    Publish,
    Pull,
    Purge,
    QueuePage,
    Redrive,
    Resume,
    SetPolicy,
    Settle,
    SettleReply,
)

THREADS = ThreadPoolExecutor(64, "blocking-peer")
"""The loop's own are few where the machine has few processors."""

STILL = Options(max_lease_seconds=0)
"""Leases are not extended behind the scenes: in the stories they run out."""


def words_of(properties: Properties | None) -> dict[str, Any]:
    """Properties as the verbs take them."""
    if properties is None:
        return {}
    names = ("id", "headers", "content_type", "priority", "dedup_key", "reply_to", "correlation_id")
    words = {name: getattr(properties, name) for name in names}
    return {**words, "delay_seconds": properties.delay_ms / 1000, "ttl_seconds": properties.ttl_ms / 1000}


class ClientPeer:
    """A client of whatever kind."""

    scheme = "quickpulse"

    def __init__(self) -> None:
        self.client: Any = None
        self._held: dict[tuple[str, int], Any] = {}
        self._says = {
            Publish: self._publish,
            Pull: self._pull,
            Settle: self._settle,
            ListQueues: self._list_queues,
            GetServerInfo: self._server,
            Peek: self._peek,
            GetQueue: lambda each: self._of_queue(each, "stats"),
            SetPolicy: lambda each: self._of_queue(each, "set_policy", each.policy),
            Pause: lambda each: self._of_queue(each, "pause", publishes=each.publishes),
            Resume: lambda each: self._of_queue(each, "resume"),
            Purge: lambda each: self._counted(each, "purge"),
            DeleteQueue: lambda each: self._counted(each, "delete"),
            Redrive: lambda each: self._counted(each, "redrive", target=each.target, max_messages=each.max_messages),
        }

    async def open(self, port: str, options: Options = STILL, **how: Any) -> ClientPeer:
        """Connect to host:port."""
        raise NotImplementedError

    async def call(self, verb: Any, *arguments: Any, **options: Any) -> Any:
        """Say it, and wait."""
        raise NotImplementedError

    async def made(self, verb: Any, **options: Any) -> Any:
        """A publisher, or a subscription that is open."""
        raise NotImplementedError

    async def next(self, messages: Any) -> Any:
        """A subscription's next message."""
        raise NotImplementedError

    async def confirmed(self, confirmation: Any) -> None:
        """A publisher's message is; raises why it is not."""
        raise NotImplementedError

    async def as_it_is(self, request: Any) -> Any:
        """Ask what no verb says."""
        raise NotImplementedError

    async def ask(self, request: Any) -> Any:
        """By a verb."""
        return await self._says[type(request)](request)

    async def close(self) -> None:
        """Leave."""
        await self.call(self.client.close)

    async def _publish(self, request: Publish) -> Any:
        if request.batch_key or request.batch.properties:
            return await self.as_it_is(request)
        words = words_of(request.batch.common)
        publish_many = self.client.queue(request.queue).publish_many
        try:
            return await self.call(publish_many, request.batch.payloads, atomic=request.atomic, **words)
        except PartialPublish as partial:
            return partial.reply

    async def _pull(self, request: Pull) -> Any:
        if len(request.queues) != 1:
            return await self.as_it_is(request)
        queue, wait_seconds = self.client.queue(request.queues[0]), request.wait_ms / 1000
        if request.delivery is Delivery.TAKEN:
            payloads = await self.call(queue.take_many, request.max_messages, wait_seconds=wait_seconds)
            return Deliveries(queue.name, Batch(payloads))
        batch = await self.call(
            queue.pull,
            max_messages=request.max_messages,
            max_bytes=request.max_bytes,
            wait_seconds=wait_seconds,
            lease_seconds=request.lease_ms / 1000,
            with_enqueued_at=request.with_enqueued_at,
        )
        deliveries = batch._leased.deliveries
        self._held[queue.name, deliveries.first_receipt] = batch
        return deliveries

    async def _settle(self, request: Settle) -> Any:
        first, last = request.receipts[0]
        batch = self._held.get((request.queue, first))
        if batch is None or len(request.receipts) != 1 or len(batch) != last - first + 1:
            return await self.as_it_is(request)
        verb, options = {
            Action.ACK: (batch.ack, {}),
            Action.NACK: (batch.nack, {"delay_seconds": None if request.delay_ms is None else request.delay_ms / 1000}),
            Action.RELEASE: (batch.release, {}),
            Action.EXTEND: (batch.extend, {"seconds": request.lease_ms / 1000}),
            Action.DEAD_LETTER: (batch.dead_letter, {"reason": request.reason}),
        }[request.action]
        try:
            await self.call(verb, confirm=True, **options)
        except LeaseLost as lost:
            return SettleReply(len(batch) - lost.messages, request.receipts)  # as all of them are lost, or none
        return SettleReply(len(batch))

    async def _list_queues(self, request: ListQueues) -> Any:
        if request != ListQueues(request.prefix):
            return await self.as_it_is(request)
        return QueuePage(await self.call(self.client.list_queues, request.prefix))

    async def _server(self, _request: GetServerInfo) -> Any:
        return self.client.server

    async def _peek(self, request: Peek) -> Any:
        return (await self._of_queue(request, "peek", request.max_messages))._leased.deliveries

    async def _of_queue(self, request: Any, verb: str, *arguments: Any, **options: Any) -> Any:
        return await self.call(getattr(self.client.queue(request.queue), verb), *arguments, **options)

    async def _counted(self, request: Any, verb: str, **options: Any) -> Any:
        return Count(await self._of_queue(request, verb, **options))


def patience(request: Any) -> float:
    """Seconds for a request that waits."""
    return STILL.timeout_seconds + getattr(request, "wait_ms", 0) / 1000


class AioPeer(ClientPeer):
    """asyncio's."""

    async def open(self, port: str, options: Options = STILL, **how: Any) -> ClientPeer:
        """Connect."""
        self.client = await aio.connect(f"{self.scheme}://{port}", options=options, **how)
        return self

    async def call(self, verb: Any, *arguments: Any, **options: Any) -> Any:
        """Await it."""
        return await verb(*arguments, **options)

    async def made(self, verb: Any, **options: Any) -> Any:
        """At once."""
        return await verb(**options).__aenter__()

    async def next(self, messages: Any) -> Any:
        """As `async for` has it."""
        return await messages.__anext__()

    async def confirmed(self, confirmation: Any) -> None:
        """Await it."""
        await confirmation

    async def as_it_is(self, request: Any) -> Any:
        """Ask."""
        return await self.client.ask(request, patience(request))


class TxPeer(ClientPeer):
    """Twisted's, on the reactor of the tests."""

    async def open(self, port: str, options: Options = STILL, **how: Any) -> ClientPeer:
        """Connect."""
        self.client = await self.call(tx.connect, f"{self.scheme}://{port}", reactor=reactor, options=options, **how)
        return self

    async def call(self, verb: Any, *arguments: Any, **options: Any) -> Any:
        """What its Deferred gives, or what it has given already."""
        result = verb(*arguments, **options)
        return await (result.asFuture(asyncio.get_running_loop()) if isinstance(result, Deferred) else result)

    async def made(self, verb: Any, **options: Any) -> Any:
        """At once."""
        return await verb(**options).__aenter__()

    async def next(self, messages: Any) -> Any:
        """As `async for` has it."""
        return await self.call(lambda: Deferred.fromCoroutine(messages.__anext__()))

    async def confirmed(self, confirmation: Any) -> None:
        """By callback."""
        await self.call(confirmation.result)

    async def as_it_is(self, request: Any) -> Any:
        """Ask."""
        return await self.call(lambda: tx.run(self.client.asking.ask(request, patience(request))))


class BlockingPeer(ClientPeer):
    """The blocking one, by threads."""

    async def open(self, port: str, options: Options = STILL, **how: Any) -> ClientPeer:
        """Connect."""
        self.client = await self.call(blocking.connect, f"{self.scheme}://{port}", options=options, **how)
        return self

    async def call(self, verb: Any, *arguments: Any, **options: Any) -> Any:
        """In a thread of its own: one that waits holds up none."""
        return await asyncio.get_running_loop().run_in_executor(THREADS, partial(verb, *arguments, **options))

    async def made(self, verb: Any, **options: Any) -> Any:
        """It asks the client's thread."""
        return await self.call(verb, **options)

    async def next(self, messages: Any) -> Any:
        """As `for` has it."""
        return await self.call(next, messages)

    async def confirmed(self, confirmation: Any) -> None:
        """Wait."""
        await self.call(confirmation.result)

    async def as_it_is(self, request: Any) -> Any:
        """Ask."""
        return await self.call(self.client.running.ask, request, patience(request), False)
