"""The gRPC servicers of v0: what each call asks of the queue and answers. No listener belongs here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from grpc.aio import EOF
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.errors import MessageTooLarge, QueueEmpty, QueueFull, QueueUnavailable, QuickPulseError
from quickpulse.messages import Item, payload_of
from quickpulse.transports.grpc_contract import (
    CONSUME_EMPTY,
    DRAINING,
    NAME,
    NOT_IN_STREAMING,
    NOT_IN_UNARY,
    NOT_PROTOBUF,
    PRODUCE_FULL,
    PRODUCED,
    STREAM_EMPTY,
    STREAM_FULL,
    read_consume,
    read_produce,
    read_stream_message,
)
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.wire.grpc.payloads import write_payload

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

_log = Logger()


class OpenStream:
    """One call that may last for ever. `is_reading` while it waits for its peer, which a drain may interrupt.

    :ivar held: what is known of its leases, where it may have some: a drain gives it time to settle them.
    """

    __slots__ = ("held", "is_reading", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.is_reading = False
        self.held: HeldLeases | None = None

    def interrupt(self) -> None:
        """End it, if it waits for its peer."""
        if self.is_reading:
            self.task.cancel()


class OpenStreams:
    """The calls that may last for ever (StreamMessages, Watch, reflection), so that a drain can end them."""

    def __init__(self) -> None:
        self.is_draining = self.is_last_chance_over = False
        self.refused = 0
        """Calls that the drain has ended; while it grows, more may be on their way."""
        self._streams: set[OpenStream] = set()

    @contextmanager
    def opened(self) -> Iterator[OpenStream]:
        """Around a call: a drain's interruption leaves it as `Draining`, at once if the drain has begun."""
        if self.is_draining:
            raise Draining
        task = asyncio.current_task()
        assert task is not None
        stream = OpenStream(task)
        self._streams.add(stream)
        try:
            yield stream
        except asyncio.CancelledError:
            if self.is_draining and stream.is_reading:
                raise Draining from None
            raise
        finally:
            self._streams.discard(stream)

    async def refuse(self, context: Any) -> None:
        """End a call because of the drain: it came too late, or waits for its peer."""
        self.refused += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, DRAINING)

    def drain(self) -> None:
        """Interrupt who waits for a peer; who is at work looks at `is_draining` before the next wait.

        Who holds leases may go on until they are settled, or until `drain_all`.
        """
        self.is_draining = True
        for stream in self._streams:
            if not self.waits_for(stream):
                stream.interrupt()

    def drain_all(self) -> None:
        """Interrupt those too."""
        self.is_last_chance_over = True
        for stream in self._streams:
            stream.interrupt()

    def waits_for(self, stream: OpenStream) -> bool:
        """Whether a drain leaves a call the time to settle what it holds."""
        return stream.held is not None and bool(stream.held.count) and not self.is_last_chance_over


class Draining(Exception):  # noqa: N818 - an event, not an error
    """The server ends this stream."""


class _Calls:
    """What the modes share.

    :param queue: the IMessageQueue.
    :param traffic: the ITraffic.
    :param max_message_bytes: longest payload.
    :param streams: where long calls are known.
    :param longest: bytes of a whole request. grpcio's own limit is the server's, and may be higher for v1.
    """

    def __init__(
        self, queue: Any, traffic: ITraffic, max_message_bytes: int, streams: OpenStreams, longest: int
    ) -> None:
        self._queue = queue
        self._traffic = traffic
        self._counts = traffic.of(NAME)
        self._max_message_bytes = max_message_bytes
        self._streams = streams
        self._longest = longest

    def handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        """Method name to handler, for a generic handler of `SERVICE`. Requests are payloads, answers are bytes.

        The readers give None for what is no such message: grpcio would log a traceback and answer UNKNOWN if they
        raised; here it is INTERNAL, as grpc-go and grpc-java answer.
        """
        within = self._within
        return {
            "Produce": grpc.unary_unary_rpc_method_handler(self.Produce, within(read_produce)),
            "Consume": grpc.unary_unary_rpc_method_handler(self.Consume, within(read_consume)),
            "StreamMessages": grpc.stream_stream_rpc_method_handler(self.StreamMessages, within(read_stream_message)),
        }

    def _within(self, read: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes | None]:
        """A reader to which a whole request that is too long is its payload, and so is refused as such."""
        longest = self._longest
        return lambda data: read(data) if len(data) <= longest else data

    async def Produce(self, request: Any, context: Any) -> Any:
        """Put one message in."""
        await self._unimplemented(context, NOT_IN_STREAMING.format("Produce"))

    async def Consume(self, request: Any, context: Any) -> Any:
        """Take the oldest message."""
        await self._unimplemented(context, NOT_IN_STREAMING.format("Consume"))

    async def StreamMessages(self, requests: Any, context: Any) -> None:
        """Put and take, for each message."""
        await self._unimplemented(context, NOT_IN_UNARY)

    async def _unimplemented(self, context: Any, text: str) -> None:
        self._traffic.refused("unimplemented")
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    async def _refuse(self, payload: bytes | None, context: Any) -> None:
        """End the call, whose request is no protobuf (None) or has too long a payload."""
        if payload is None:
            self._traffic.refused("bad_request")
            await context.abort(grpc.StatusCode.INTERNAL, NOT_PROTOBUF)
        else:
            self._traffic.refused("message_too_large")
            error = MessageTooLarge(len(payload), self._max_message_bytes)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))

    async def _unavailable(self, context: Any) -> None:
        """End the call because the provider failed; the failure is logged."""
        _log.failure("the queue failed")
        self._traffic.refused("queue_unavailable")
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(QueueUnavailable()))


class UnaryCalls(_Calls):
    """Mode grpc: Produce and Consume."""

    async def Produce(self, payload: bytes | None, context: Any) -> Any:
        """Put one message in; a full queue is an answer, not an error of the call."""
        if payload is None or len(payload) > self._max_message_bytes:
            return await self._refuse(payload, context)
        if self._streams.is_draining:
            return await self._streams.refuse(context)
        self._counts.received_bytes += len(payload)
        try:
            result = self._queue.enqueue(payload)
            if result is not None:
                await at_leisure(result)
        except QueueFull:
            self._traffic.refused("queue_full")
            return PRODUCE_FULL
        except Exception:
            await self._unavailable(context)
        return PRODUCED

    async def Consume(self, request: bytes | None, context: Any) -> Any:
        """Take the oldest message; an empty queue is an answer, not an error of the call."""
        if request is None or request:  # it has nothing in it, unless it is too long
            return await self._refuse(request, context)
        if self._streams.is_draining:
            return await self._streams.refuse(context)
        try:
            result = self._queue.dequeue()
            if type(result) is not bytes and isinstance(result, Deferred):
                result = await at_leisure(result, self._lost_one)
        except QueueEmpty:
            return CONSUME_EMPTY
        except Exception:
            return await self._unavailable(context)
        payload = payload_of(result)
        self._counts.sent_bytes += len(payload)
        return write_payload(payload)

    def _lost_one(self, _item: Item) -> None:
        """The caller went away while the queue was at it."""
        self._traffic.undelivered(1)


class StreamCalls(_Calls):
    """Mode grpc_stream: StreamMessages."""

    async def StreamMessages(self, requests: Any, context: Any) -> None:
        """Answer each message, in order, until the peer half-closes or the server drains.

        The loop is the hot path, so it is one coroutine: each one more on the way costs at every await.
        """
        read, write, queue, streams = context.read, context.write, self._queue, self._streams
        counts, longest = self._counts, self._max_message_bytes
        try:
            with streams.opened() as stream:
                while not streams.is_draining:
                    stream.is_reading = True
                    payload = await read()
                    stream.is_reading = False
                    if payload is EOF:
                        return
                    if payload is None or len(payload) > longest:
                        await self._refuse(payload, context)
                    counts.received_bytes += len(payload)
                    try:
                        taken = queue.exchange_many((payload,)) if payload else queue.dequeue_many(1)
                        if type(taken) is not list and isinstance(taken, Deferred):
                            taken = await at_leisure(taken, self._lost)
                    except Exception:
                        await self._unavailable(context)
                    if not taken:
                        await write(self._nothing(payload))
                        continue
                    answer = taken[0] if type(taken[0]) is bytes else taken[0].payload
                    try:
                        await write(write_payload(answer))
                    except BaseException:  # the call ended with the message in our hands
                        self._lost(taken)
                        raise
                    counts.sent_bytes += len(answer)
                raise Draining
        except Draining:
            await streams.refuse(context)

    def _nothing(self, payload: bytes) -> bytes:
        """The answer where nothing was taken."""
        if not payload:
            return STREAM_EMPTY
        self._traffic.refused("queue_full")
        return STREAM_FULL

    def _lost(self, taken: list[Item]) -> None:
        self._traffic.undelivered(len(taken))


class AllCalls(UnaryCalls, StreamCalls):
    """Mode all: each of the three."""


async def at_leisure(result: Deferred[Any], lost: Callable[[Any], None] | None = None) -> Any:
    """Await a Deferred in asyncio; when the call is cancelled meanwhile, `lost` gets what comes of it.

    The Deferred itself is not cancelled here: what it does to the queue goes on, and must be accounted for.
    """
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(value: Any) -> None:
        if future.cancelled():
            _account(value, lost)
        elif isinstance(value, Failure):
            future.set_exception(value.value or RuntimeError(str(value)))
        else:
            future.set_result(value)

    result.addBoth(settle)
    try:
        return await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled():  # it fired, and the cancellation came before we could go on
            _account(future.exception() or future.result(), lost)
        raise


def _account(value: Any, lost: Callable[[Any], None] | None) -> None:
    """Say what became of a request whose caller had gone."""
    if isinstance(value, QuickPulseError) or (
        isinstance(value, Failure) and value.check(QuickPulseError, CancelledError)
    ):
        return
    if isinstance(value, (Failure, BaseException)):
        _log.error("the queue failed after its caller had gone: {error}", error=value)
    elif lost is not None:
        lost(value)
