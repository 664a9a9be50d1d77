"""The blocking client's publisher and subscription: any thread may use them. What is behind them lives in the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any

from quickpulse.client.errors import Timeout
from quickpulse.client.messages import Message
from quickpulse.client.outbox import OutBatch
from quickpulse.client.properties import properties_of
from quickpulse.client.publishing import Publisher as LoopPublisher
from quickpulse.client.subscription import Subscription as LoopSubscription
from quickpulse.client.threads import Running
from quickpulse.client.words import words_of
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Action

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import PropertyWords, SubscribeWords


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

    def __repr__(self) -> str:
        return f"<Confirmation, {'known' if self.done() else 'not known yet'}>"


class Publisher:
    """Messages one by one, in batches behind the scenes. Leaving it flushes and reports. Made by `Queue.publisher`."""

    def __init__(self, running: Running, queue: str, max_messages: int, max_bytes: int) -> None:
        self._running = running

        async def make() -> LoopPublisher:
            return LoopPublisher(running.client, queue, max_messages, max_bytes, Future)

        self._inner = running.wait(make())
        self._outbox = self._inner.outbox

    @words_of(properties_of)
    def publish(self, payload: bytes, **properties: Unpack[PropertyWords]) -> Confirmation:
        """Put a message in; waits only while the buffer is full.

        :param properties: as of `properties_of`.
        :returns: what can be asked whether it was accepted.
        """
        self._running.require_usable()
        self._inner.require_open()
        if not self._outbox.has_room:
            self._running.wait(self._inner.wait_for_room())
        own = properties_of(**properties) if properties else None
        batch, index, is_due = self._outbox.add(payload, own)
        if is_due:
            self._running.post(self._inner.pump)
        return Confirmation(batch, index)

    def flush(self) -> None:
        """Wait until all that was put in before is confirmed.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self._running.wait(self._inner.flush())

    def close(self) -> None:
        """Flush, and take nothing more.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self._running.wait(self._inner.close())

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()


class Subscription:
    """Messages as they come. Leaving it puts back what was not seen, and so does forgetting it.

    Made by `Queue.subscribe`.
    """

    def __init__(self, running: Running, queue: str, how: SubscribeWords) -> None:
        self._running = running
        self._lock = threading.Lock()  # of the one that fetches
        self._came = came = _Came()
        self._is_ended = False

        async def make() -> LoopSubscription:
            inner = running.client.queue(queue).subscribe(**how)
            inner.also_closing = came.put_back
            inner.open()
            return inner

        self._inner = running.wait(make())

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        while not self._is_ended:
            batch, unseen = self._came.now
            index = next(unseen, None)  # in one step: others take from it, too
            if index is not None:
                return Message(batch.payloads[index], batch, index)
            self._running.require_usable()  # not after a fork, at which somebody may have held the lock
            with self._lock:
                if self._came.now[1] is unseen:
                    self._running.wait(self._fetch())
        raise StopIteration

    def close(self) -> None:
        """Have nothing more pushed, and put back what was not seen."""
        self._running.wait(self._inner.close())

    async def _fetch(self) -> None:
        """The next batch; kept here, in the client's thread, as the one that waits for it may be interrupted."""
        batch = await self._inner.next_batch()
        if batch is None:
            self._is_ended = True
        else:
            self._came.now = batch, iter(range(len(batch)))


class _Came:
    """A batch of a subscription, and which of it nobody has seen.

    The client's thread holds this, and not the subscription: one that its user forgets is gone at once.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: tuple[Any, Iterator[int]] = (None, iter(()))

    def put_back(self) -> None:
        """What came and was not seen; in the client's thread."""
        batch, unseen = self.now
        rest = list(unseen)
        if rest:
            batch.settle(rest[0], rest[-1], Action.RELEASE, False, {})
