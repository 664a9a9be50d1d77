"""A client and its queues on an event loop: what asyncio's face gives to users as it is, and the others stand on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NoReturn

from quickpulse.client.asking import Asking, QueueAsking
from quickpulse.client.connection import Connection
from quickpulse.client.errors import Timeout
from quickpulse.client.messages import Batch, Confirm, Message
from quickpulse.client.options import Address, Options, milliseconds
from quickpulse.client.publishing import MOST_BUFFERED, MOST_BUFFERED_BYTES, Publisher
from quickpulse.client.runtime import Future, Runtime
from quickpulse.client.settling import Leased
from quickpulse.client.subscription import Subscription
from quickpulse.client.words import hides_unknown, no_such_word, words_of
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Deliveries, ServerInfo, Subscribe

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from quickpulse.client.keywords import SubscribeWords

CREDIT_BYTES = 16 * 1024 * 1024
"""What a subscription holds that its user has not seen."""

QUIET_POLL_SECONDS = 0.002


class Client(Connection, Asking):
    """A connection that comes back when it is lost. Made by `connect`."""

    def __init__(self, runtime: Runtime, address: Address, options: Options) -> None:
        super().__init__(runtime, address, options)
        self.confirming: Confirm = self.confirm
        """What `confirm=True` does."""
        self.new_key = self.session.new_key  # type: ignore[method-assign]
        self.now = runtime.now  # type: ignore[method-assign]
        self._closing: list[Callable[[], Awaitable[None]]] = []  # what is to be ended first
        self._is_closed = False

    def queue(self, name: str) -> Queue:
        """One queue; it is made when something is put into it or taken out."""
        return Queue(self, name)

    @property
    def server(self) -> ServerInfo | None:
        """What the server said of itself when it was last connected to."""
        return self.session.server

    @property
    def lost_leases(self) -> int:
        """Messages whose acks, without `confirm`, came too late or were not done."""
        return self.session.lost_leases

    async def start(self, wait_seconds: float) -> None:
        """Connect, until it works or the time is up; then it is closed.

        :raises QuickPulseError: why it does not.
        """
        try:
            await self.require_ready(wait_seconds)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Flush publishers and acks, put back what nobody has seen, and end. Never longer than the options' timeout.

        :raises PartialPublish: a publisher was still open, and not everything in it was accepted.
        :raises Timeout: not everything was confirmed in time.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if not await self.runtime.within(self.options.timeout_seconds, self.finish()):
                raise Timeout(f"closed before all was confirmed ({self.session.fault or 'no reply'})")
        finally:
            await self.disconnect()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "connected" if self.session.is_ready else "not connected"
        return f"<Client of {self.address.url}, {state}>"

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_rest: object) -> None:
        await self.close()

    async def finish(self) -> None:
        """Flush publishers and acks, and put back what nobody has seen.

        :raises QuickPulseError: what the first one of them says that did not succeed.
        """
        errors = []
        for end in list(self._closing):
            try:
                await end()
            except QuickPulseError as error:
                errors.append(error)
        self.flush()
        while not self.session.is_quiet and not self.has_given_up:
            await self.runtime.sleep(QUIET_POLL_SECONDS)
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

    async def ask(self, request: Any, seconds: float | None = None) -> Any:
        """The reply; what was said of messages before takes effect before.

        :raises QuickPulseError: what the server says instead, or what happened on the way.
        """
        session, future = self.session, self.runtime.future()
        replies: list[Any] = []

        def done(reply: Any) -> None:
            replies.append(reply)
            if not future.done():
                future.set_result(None)

        is_first = self.hold()
        try:
            self.flush()
            call = session.ask(request, done, self.now(), seconds)
        finally:
            if is_first:
                self.write_if_few()
        try:
            await future
        except self.runtime.cancelled:
            session.abandon(call)
            for reply in replies:
                if isinstance(reply, Deliveries):
                    session.release(reply)
            raise
        reply = replies[0]
        if isinstance(reply, QuickPulseError):
            raise reply
        return reply

    async def ask_leased(self, request: Any, seconds: float | None = None) -> Leased:
        """The same, of messages: kept leased while they are held."""
        return self.session.lease(await self.ask(request, seconds), self.now())

    def handed_out(self, leased: Leased) -> Batch:
        """Messages for the user."""
        return Batch(leased, self.confirming)


class Queue(QueueAsking):
    """One queue of a client."""

    def __init__(self, client: Client, name: str) -> None:
        super().__init__(client, name)
        self.client = client

    def __repr__(self) -> str:
        return f"<Queue {self.name!r} of {self.client.address.url}>"

    def publisher(
        self, *, max_buffered_messages: int = MOST_BUFFERED, max_buffered_bytes: int = MOST_BUFFERED_BYTES
    ) -> Publisher:
        """Messages one by one, in batches behind the scenes."""
        return Publisher(self.client, self.name, max_buffered_messages, max_buffered_bytes)

    @hides_unknown
    def subscribe(
        self,
        *,
        credit_messages: int = 1000,
        credit_bytes: int = CREDIT_BYTES,
        lease_seconds: float = 0,
        release_on_disconnect: bool = False,
        with_enqueued_at: bool = False,
        **unknown: NoReturn,
    ) -> Subscription:
        """Messages as they come: `async with queue.subscribe() as messages: async for message in messages: ...`.

        :param credit_messages: that are here at most, and not seen by the user.
        :raises TypeError: there is no such keyword.
        """
        if unknown:
            no_such_word(unknown, Queue.subscribe, "concurrency")
        request = Subscribe(
            self.name,
            credit_messages,
            credit_bytes,
            milliseconds(lease_seconds, "lease_seconds"),
            release_on_disconnect=release_on_disconnect,
            with_enqueued_at=with_enqueued_at,
        )
        return Subscription(self.client, request)

    @words_of(subscribe)
    async def consume(
        self, callback: Callable[[Message], Any], *, concurrency: int = 1, **how: Unpack[SubscribeWords]
    ) -> None:
        """Call back with each message, until cancelled: ack after success, nack after an exception.

        :param callback: what it returns is awaited where it can be.
        :param concurrency: callbacks that run at the same time.
        :param how: as of `subscribe`; `credit_messages` is twice the concurrency where it is not given.
        :raises QuickPulseError: why the subscription ended.
        """
        await self.consume_by(partial(self._call, callback), concurrency, how)

    async def consume_by(
        self, call: Callable[[Message, Future], Awaitable[None]], concurrency: int, how: SubscribeWords
    ) -> None:
        """The same, where what is called settles the message, and raises nothing but why all of it ends.

        :param call: with a message, and what is done as soon as all of it ends.
        :raises QuickPulseError: that, or why the subscription ended.
        """
        how.setdefault("credit_messages", max(2 * concurrency, 2))
        runtime = self.client.runtime
        ended = runtime.future()
        running = concurrency

        async def work(messages: Subscription) -> None:
            nonlocal running
            error: Exception | None = None
            try:
                async for message in messages:
                    await call(message, ended)
            except Exception as why:
                error = why
            finally:
                running -= 1
                if (error is not None or not running) and not ended.done():
                    ended.set_result(error)

        async with self.subscribe(**how) as messages:
            tasks = [runtime.start(work(messages)) for _ in range(concurrency)]
            try:
                error = await ended
            finally:
                if not ended.done():
                    ended.set_result(None)
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    await task.join()
        if error is not None:
            raise error

    async def _call(self, callback: Callable[[Message], Any], message: Message, ended: Future) -> None:
        cancelled = self.client.runtime.cancelled
        try:
            with message:
                try:
                    result = callback(message)
                    if isawaitable(result):
                        await result
                except cancelled as error:
                    if ended.done():
                        raise
                    raise CallbackError from error
        except cancelled:
            raise
        except Exception:
            log_failure(message)


class CallbackError(Exception):
    """What a callback waited for was cancelled, and not the callback: it failed."""

    def __init__(self) -> None:
        super().__init__("what the callback waited for was cancelled")


def log_failure(message: Message) -> None:
    """An exception of the user's callback."""
    logging.getLogger("quickpulse.client").exception("a callback failed; its message of %s is nacked", message.queue)
