"""Messages as they come: a subscription on an event loop. What was pushed and not handed on is in `subscribing.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from quickpulse.client.messages import Batch, Message
from quickpulse.client.runtime import Runtime, Signal
from quickpulse.client.settling import Leased
from quickpulse.client.subscribing import Subscribing
from quickpulse.requests import Action, Subscribe

if TYPE_CHECKING:
    from quickpulse.client.clients import Client


class Subscription:
    """Messages as they come. Leaving it puts back what was not seen, and so does forgetting it.

    Made by `Queue.subscribe`.
    """

    def __init__(self, client: Client, request: Subscribe) -> None:
        self._is_open = self._is_closed = False
        self._client = client
        self._queue = request.queue
        self._changed = Signal(client.runtime)
        self._subscribing = Subscribing(request, self._changed.fire)
        self._subscribing.taken_back = partial(_taken_back, ref(self))
        self._leased: Leased | None = None
        self._batch: Batch | None = None
        self._payloads: Sequence[bytes] = ()
        self._at = 0
        self._is_refilling = False
        self._refilled = Signal(client.runtime)
        self.also_closing: Callable[[], None] | None = None
        """What another face does before what was not seen is put back; it must not hold this."""
        self._end = partial(_close, ref(self), client.runtime)

    def open(self) -> None:
        """Have messages pushed from now on."""
        if not self._is_open:
            self._is_open = True
            self._client.closing(self._end)
            self._client.session.subscribe(self._subscribing)

    def __repr__(self) -> str:
        if self._is_closed or self._subscribing.is_ended:
            state = "closed" if self._is_closed else "ended"
        else:
            state = "open" if self._is_open else "not open yet"
        return f"<Subscription to {self._queue!r} of {self._client.address.url}, {state}>"

    def __del__(self) -> None:
        if self._is_open and not self._is_closed:
            with suppress(RuntimeError):  # the loop has ended, and with it the connection
                self._client.runtime.call_from_thread(self._drop)  # whichever thread collects garbage

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
            if not await self._refill():
                raise StopAsyncIteration
        index = self._at
        self._at = index + 1
        return Message(self._payloads[index], self._batch, index)

    async def _refill(self) -> bool:
        """Get the next batch, or wait for another reader that does; False: there is none."""
        if self._is_refilling:
            await self._refilled.wait()
            return True
        self._is_refilling = True
        try:
            batch = await self.next_batch()
        finally:
            self._is_refilling = False
            self._refilled.fire()
        if batch is None:
            return False
        self._batch, self._payloads, self._at = batch, batch.payloads, 0
        return True

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
            await self._changed.wait()
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
        self._client.closed(self._end)
        self._client.session.unsubscribe(self._subscribing)
        self._changed.fire()
        try:
            await self._client.runtime.within(self._client.options.timeout_seconds, self._until_ended())
        finally:  # also where that wait is cancelled
            self._put_back()

    def _drop(self) -> None:
        """Nobody has it any more."""
        self._is_closed = True
        self._client.closed(self._end)
        self._client.session.unsubscribe(self._subscribing)
        self._put_back()

    def _put_back(self) -> None:
        if self.also_closing is not None:
            self.also_closing()
        if self._batch is not None and self._at < len(self._payloads):
            self._batch.settle(self._at, len(self._payloads) - 1, Action.RELEASE, False, {})
            self._at = len(self._payloads)
        for leased in self._subscribing.helpings:
            self._client.session.release(leased.deliveries)
        self._subscribing.helpings.clear()
        self._client.flush()

    async def _until_ended(self) -> None:
        while not self._subscribing.is_ended:
            await self._changed.wait()

    def _give_room(self) -> None:
        if self._leased is not None:
            leased, self._leased = self._leased, None
            if self._subscribing.handed_on(leased):
                self._client.session.add_credit(self._subscribing)


async def _close(reference: ref[Subscription], runtime: Runtime) -> None:
    """At the client's end; it does not hold the subscription."""
    subscription = reference()
    if subscription is not None:
        await subscription.close()
    else:  # it is being dropped
        await runtime.sleep(0)


def _taken_back(reference: ref[Subscription]) -> None:
    """By the server; likewise."""
    subscription = reference()
    if subscription is not None:
        subscription._put_back()
