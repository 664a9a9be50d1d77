"""Twisted's publisher and subscription: asyncio's, with Deferreds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from quickpulse.client.clients import Client
from quickpulse.client.messages import Batch, Message
from quickpulse.client.properties import properties_of
from quickpulse.client.publishing import Confirmation as LoopConfirmation
from quickpulse.client.publishing import Publisher as LoopPublisher
from quickpulse.client.subscription import Subscription as LoopSubscription
from quickpulse.client.words import words_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import PropertyWords


class Confirmation:
    """A message on its way: await it to know that it was accepted, or have `result` call back."""

    __slots__ = ("_inner",)

    def __init__(self, inner: LoopConfirmation) -> None:
        self._inner = inner

    def __await__(self) -> Generator[Any, None, None]:
        return self._inner.__await__()

    def result(self) -> Deferred[None]:
        """When it is known.

        :raises QuickPulseError: it was not accepted.
        """
        return Deferred.fromCoroutine(self._wait())

    def done(self) -> bool:
        """Whether it is known."""
        return self._inner.done()

    def __repr__(self) -> str:
        return repr(self._inner)

    async def _wait(self) -> None:
        await self._inner


class Publisher:
    """Messages one by one, in batches behind the scenes. Leaving it flushes and reports. Made by `Queue.publisher`."""

    def __init__(self, client: Client, queue: str, max_messages: int, max_bytes: int) -> None:
        self._inner = LoopPublisher(client, queue, max_messages, max_bytes)

    @words_of(properties_of)
    def publish(self, payload: bytes, **properties: Unpack[PropertyWords]) -> Deferred[Confirmation]:
        """Put a message in; waits only while the buffer is full.

        :param properties: as of `properties_of`.
        :returns: what can be awaited to know that it was accepted.
        """
        return Deferred.fromCoroutine(self._publish(payload, properties))

    def flush(self) -> Deferred[None]:
        """Wait until all that was put in before is confirmed.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        return Deferred.fromCoroutine(self._inner.flush())

    def close(self) -> Deferred[None]:
        """Flush, and take nothing more.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        return Deferred.fromCoroutine(self._inner.close())

    def __repr__(self) -> str:
        return repr(self._inner)

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self._inner.close()

    async def _publish(self, payload: bytes, properties: PropertyWords) -> Confirmation:
        return Confirmation(await self._inner.publish(payload, **properties))


class Subscription:
    """Messages as they come. Leaving it puts back what was not seen. Made by `Queue.subscribe`."""

    def __init__(self, inner: LoopSubscription) -> None:
        self._inner = inner
        self.open = inner.open

    def __repr__(self) -> str:
        return repr(self._inner)

    async def __aenter__(self) -> Subscription:
        self._inner.open()
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self._inner.close()

    def __aiter__(self) -> AsyncIterator[Message]:
        self._inner.open()
        return self

    def __anext__(self) -> Coroutine[Any, Any, Message]:
        return self._inner.__anext__()

    def next_batch(self) -> Deferred[Batch | None]:
        """What came together; None at the end.

        :raises QuickPulseError: why the subscription ended.
        """
        self._inner.open()
        return Deferred.fromCoroutine(self._inner.next_batch())

    def close(self) -> Deferred[None]:
        """Have nothing more pushed, and put back what was not seen."""
        return Deferred.fromCoroutine(self._inner.close())
