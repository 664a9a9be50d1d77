"""Messages one by one in, batches out: the publisher on an event loop. What is buffered is in `outbox.py`."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from quickpulse.client.errors import ClientClosed
from quickpulse.client.outbox import OutBatch, Outbox
from quickpulse.client.properties import properties_of
from quickpulse.client.runtime import Runtime, Signal
from quickpulse.client.words import words_of
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Publish

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import PropertyWords

if TYPE_CHECKING:
    from quickpulse.client.clients import Client

MOST_BUFFERED = 100_000
MOST_BUFFERED_BYTES = 64 * 1024 * 1024
"""What a publisher holds that is not confirmed, before it makes its caller wait."""


class Confirmation:
    """A message on its way: await it to know that it was accepted."""

    __slots__ = ("_batch", "_index", "_runtime")

    def __init__(self, batch: OutBatch, index: int, runtime: Runtime) -> None:
        self._batch = batch
        self._index = index
        self._runtime = runtime

    def __await__(self) -> Generator[Any, None, None]:
        reply = yield from self._runtime.share(self._batch.future).__await__()
        if isinstance(reply, QuickPulseError):
            raise reply
        self._batch.require_accepted(self._index, reply)

    def done(self) -> bool:
        """Whether it is known."""
        return bool(self._batch.future.done())

    def __repr__(self) -> str:
        return f"<Confirmation, {'known' if self.done() else 'not known yet'}>"


class Publisher:
    """Messages one by one, in batches behind the scenes. Leaving it flushes and reports. Made by `Queue.publisher`.

    :param make_future: of those that are given to the user's code; None: the runtime's.
    """

    def __init__(self, client: Client, queue: str, max_messages: int, max_bytes: int, make_future: Any = None) -> None:
        self._client = client
        self._name = queue
        self._runtime = client.runtime
        self.outbox = Outbox(make_future or self._runtime.future, max_messages, max_bytes)
        self._answered = Signal(self._runtime)
        self._is_closed = False
        client.closing(self.close)

    @words_of(properties_of)
    async def publish(self, payload: bytes, **properties: Unpack[PropertyWords]) -> Confirmation:
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
                await self._runtime.sleep(0)  # others have a turn, the connection first of all
            else:
                self._runtime.call_soon(self.pump)
        return Confirmation(batch, index, self._runtime)

    def require_open(self) -> None:
        """Raise ClientClosed if it is not."""
        if self._is_closed:
            raise ClientClosed("the publisher is closed")

    async def wait_for_room(self) -> None:
        """Until the buffer takes another message."""
        self.pump()
        while not self.outbox.has_room:
            await self._answered.wait()

    async def flush(self) -> None:
        """Wait until all that was put in before is confirmed.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self.pump()
        batches = self.outbox.batches
        while not all(batch.future.done() for batch in batches):
            await self._answered.wait()
        self.outbox.report()

    async def close(self) -> None:
        """Flush, and take nothing more.

        :raises PartialPublish: some were not accepted since the last flush.
        """
        self._is_closed = True
        self._client.closed(self.close)
        self.pump()
        while not self.outbox.is_empty:  # also of what others were just putting in
            await self._answered.wait()
        self.outbox.report()

    def __repr__(self) -> str:
        state = f"{'closed' if self._is_closed else 'open'}, {self.outbox.unconfirmed} not confirmed"
        return f"<Publisher to {self._name!r} of {self._client.address.url}, {state}>"

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self.close()

    def pump(self) -> None:
        """Send what may go now."""
        while (batch := self.outbox.take()) is not None:
            self._send(batch)

    def _send(self, batch: OutBatch) -> None:
        request = Publish(self._name, batch.as_batch(), self._client.new_key())

        def done(reply: Any) -> None:
            self.outbox.confirmed(batch, reply)
            if not batch.future.done():
                batch.future.set_result(reply)
            self._answered.fire()
            self._runtime.call_soon(self.pump)  # not from within a reply

        self._client.session.ask(request, done, self._runtime.now())
