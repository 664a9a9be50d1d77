"""Requests of a client and of its queues, as coroutines that need nothing but somebody who asks. No event loop is here.

The faces for asyncio and Twisted ask and wait; the blocking one asks with its thread, and never suspends.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from quickpulse.client.errors import LeaseLost, PartialPublish
from quickpulse.client.messages import Batch, Message
from quickpulse.client.options import Options, milliseconds
from quickpulse.client.properties import properties_of
from quickpulse.client.settling import Leased, count_of, settles
from quickpulse.client.words import as_payload, as_payloads, hides_unknown, no_such_word, words_of
from quickpulse.errors import InvalidArgument, NotFound
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
    Publish,
    PublishReply,
    Pull,
    Purge,
    QueueInfo,
    QueuePage,
    Range,
    Redrive,
    Resume,
    SetPolicy,
    SettleReply,
)
from quickpulse.requests import Batch as Columns

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import PropertyWords

T = TypeVar("T")

LEAST_WAIT_MS = 20
"""Of what is left of a wait: below it nobody is asked again."""


class Asking:
    """Somebody who asks a server."""

    options: Options

    def now(self) -> float:
        """Seconds."""
        raise NotImplementedError

    async def ask(self, request: Any, seconds: float | None = None) -> Any:
        """The reply; what was said of messages before takes effect before.

        :raises QuickPulseError: what the server says instead, or what happened on the way.
        """
        raise NotImplementedError

    async def ask_leased(self, request: Any, seconds: float | None = None) -> Leased:
        """The same, of messages: kept leased while they are held."""
        raise NotImplementedError

    def handed_out(self, leased: Leased) -> Batch:
        """Messages for the user."""
        raise NotImplementedError

    def new_key(self) -> bytes:
        """A `batch_key` that nobody else has."""
        raise NotImplementedError

    async def list_queues(self, prefix: str = "") -> Sequence[QueueInfo]:
        """Which queues there are."""
        queues: list[QueueInfo] = []
        token, is_first = "", True
        while token or is_first:  # a page after the other
            page: QueuePage = await self.ask(ListQueues(prefix, page_token=token))
            queues += page.queues
            token, is_first = page.next_page_token, False
        return queues

    async def confirm(self, queue: str, ranges: list[Range], action: Action, how: dict[str, Any], lost: int) -> None:
        """Settle, and say so when it was too late."""
        for request in settles(queue, ranges, action, **how):
            try:
                reply: SettleReply = await self.ask(request)
                lost += count_of(reply.unknown)
            except NotFound:  # the queue is gone, with all that was leased of it
                lost += count_of(request.receipts)
        if lost:
            raise LeaseLost(lost)


class QueueAsking:
    """One queue, as far as it is asked and answers.

    :param client: who asks.
    :param name: the queue's.
    :raises InvalidArgument: that is no str.
    """

    def __init__(self, client: Asking, name: str) -> None:
        if not isinstance(name, str):
            raise InvalidArgument(f"the name of a queue is {name!r}, expected a str")
        self._asking = client
        self.name = name

    @words_of(properties_of)
    async def publish(self, payload: bytes, **properties: Unpack[PropertyWords]) -> int | None:
        """Put a message in; returns when that is confirmed.

        :param properties: as of `properties_of`.
        :returns: its sequence; None: one with its `dedup_key` was there.
        :raises QueueFull: and what else of the server's errors refuses a message.
        """
        own = properties_of(**properties) if properties else None
        if type(payload) is not bytes:
            payload = as_payload(payload)
        request = Publish(self.name, Columns((payload,), own), self._asking.new_key())
        reply: PublishReply = await self._asking.ask(request)
        if reply.rejections:
            raise reply.rejections[0].error
        return reply.sequences[0][0] if reply.sequences else None

    @words_of(properties_of)
    async def publish_many(
        self, payloads: Iterable[bytes], *, atomic: bool = False, **properties: Unpack[PropertyWords]
    ) -> PublishReply:
        """Put messages in, with one confirmation.

        :param atomic: all or none.
        :param properties: of each, as of `properties_of`.
        :raises PartialPublish: some were rejected.
        """
        own = properties_of(**properties) if properties else None
        kept = as_payloads(payloads)
        request = Publish(self.name, Columns(kept, own), self._asking.new_key(), atomic)
        reply: PublishReply
        try:
            reply = await self._asking.ask(request)
        except InvalidArgument:
            if all(type(each) is bytes for each in kept):
                raise
            copied = [as_payload(each, index) for index, each in enumerate(kept)]
            reply = await self._asking.ask(replace(request, batch=Columns(copied, own)))
        if reply.rejections:
            raise PartialPublish(len(kept) - len(reply.rejections), reply.rejections, reply=reply)
        return reply

    async def get(self, *, wait_seconds: float = 0, lease_seconds: float = 0) -> Message | None:
        """The next message, leased; None when none came.

        :param wait_seconds: for one, where there is none; 0: it does not wait.
        """
        batch = await self.pull(max_messages=1, wait_seconds=wait_seconds, lease_seconds=lease_seconds)
        return batch[0] if batch else None

    @hides_unknown
    async def pull(
        self,
        max_messages: int = 1,
        *,
        wait_seconds: float = 0,
        lease_seconds: float = 0,
        max_bytes: int = 0,
        with_enqueued_at: bool = False,
        **unknown: NoReturn,
    ) -> Batch:
        """The next messages, leased; an empty batch when none came.

        :param wait_seconds: for a first one, where there is none; 0: it does not wait.
        """
        if unknown:
            no_such_word(unknown, QueueAsking.pull, "max_messages")
        request = Pull(
            (self.name,),
            max_messages,
            max_bytes,
            milliseconds(wait_seconds, "wait_seconds"),
            milliseconds(lease_seconds, "lease_seconds"),
            with_enqueued_at=with_enqueued_at,
        )
        return self._asking.handed_out(await self._pulled(request))

    async def take_many(self, max_messages: int, *, wait_seconds: float = 0) -> list[bytes]:
        """The next payloads, at most once: they are gone from the queue."""
        request = Pull(
            (self.name,), max_messages, 0, milliseconds(wait_seconds, "wait_seconds"), delivery=Delivery.TAKEN
        )
        deliveries: Deliveries = (await self._pulled(request)).deliveries
        return list(deliveries.batch.payloads)

    async def _pulled(self, request: Pull) -> Leased:
        """The reply; a server that ends answers what waits, and then the next one is asked for the rest of the time."""
        asking = self._asking
        end = asking.now() + request.wait_ms / 1000
        while True:
            leased = await asking.ask_leased(request, asking.options.timeout_seconds + request.wait_ms / 1000)
            if leased.deliveries.batch.payloads or not request.wait_ms:
                return leased
            left_ms = milliseconds(max(end - asking.now(), 0))
            if left_ms < LEAST_WAIT_MS:
                return leased
            request = replace(request, wait_ms=left_ms)

    # ---- administration ----

    async def stats(self) -> QueueInfo:
        """The queue, as it is now."""
        info: QueueInfo = await self._asking.ask(GetQueue(self.name))
        return info

    async def set_policy(self, policy: Policy) -> QueueInfo:
        """How it behaves from now on."""
        info: QueueInfo = await self._asking.ask(SetPolicy(self.name, policy))
        return info

    async def pause(self, *, publishes: bool = False) -> QueueInfo:
        """Stop deliveries, and new messages if that is asked for."""
        info: QueueInfo = await self._asking.ask(Pause(self.name, publishes))
        return info

    async def resume(self) -> QueueInfo:
        """End a pause."""
        info: QueueInfo = await self._asking.ask(Resume(self.name))
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
        if not max_messages:  # on the wire this is one
            raise InvalidArgument("max_messages is 0, expected 1 or more")
        return self._asking.handed_out(await self._asking.ask_leased(Peek(self.name, max_messages)))

    async def _count(self, request: Any) -> int:
        count: Count = await self._asking.ask(request)
        return count.messages


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, because whoever it asks answers at once.

    :raises RuntimeError: it does wait.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits")
