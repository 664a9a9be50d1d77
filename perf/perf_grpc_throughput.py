"""The tool for gRPC unary calls: `python -m perf.perf_grpc_throughput`. Produce and Consume, by grpc.aio.

Each connection has as many workers as it may have calls in flight. Calls that run beside each other have no
order, so the order of messages is checked with one in flight only.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from grpc import aio

from perf.exchange import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, QUEUE_IS_EMPTY, QUEUE_IS_FULL, Exchange
from perf.grpc_connection import ErrorPatience, kind_of, open_channel
from quickpulse._generated.messagequeue_pb2 import (
    ConsumeRequest,
    ConsumeResponse,
    ProduceRequest,
    ProduceResponse,
)
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub


class UnaryConnection:
    """A channel and its workers."""

    def __init__(self, channel: aio.Channel, exchange: Exchange, number: int) -> None:
        self.exchange = exchange
        self.number = number
        self.stub = MessageQueueStub(channel)
        self._channel = channel
        self._calls = 0

    async def work(self) -> None:
        """What one worker does, to its end."""
        raise NotImplementedError

    async def run(self) -> None:
        """Publishes or consumes to the end."""
        workers = [asyncio.create_task(self.work()) for _ in range(self.exchange.options.in_flight)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def call(self, method: Callable[..., Awaitable], request: object) -> object:  # type: ignore[type-arg]
        """One call, with the connection's silence measured while any is under way. Raises AioRpcError."""
        if not self._calls:
            self.exchange.waiting(self)
        self._calls += 1
        answered = False
        try:
            answer = await method(request)
            answered = True
            return answer
        except aio.AioRpcError:
            answered = True
            raise
        finally:
            self._calls -= 1
            if not self._calls:
                self.exchange.resting(self)
            elif answered:
                self.exchange.waiting(self)


class UnaryProducer(UnaryConnection):
    """Publishes."""

    async def work(self) -> None:
        """One call after the other."""
        patience, payloads = ErrorPatience(), self.exchange.payloads
        while True:
            sequence, count = self.exchange.allot(self.number, 1)
            if count <= 0:
                return
            request = ProduceRequest(payload=payloads.make(self.number, sequence))
            try:
                answer = await self.call(self.stub.Produce, request)
            except aio.AioRpcError as error:
                self.exchange.error(kind_of(error))
                await patience.failed(error)
            else:
                patience.succeeded()
                self._book(sequence, answer)

    def _book(self, sequence: int, answer: ProduceResponse) -> None:
        if answer.success and not answer.error:
            self.exchange.accepted(self.number, sequence, 1)
        elif answer.error == QUEUE_IS_FULL and not answer.success:
            self.exchange.refused(self.number, sequence, 1)
        elif not answer.error:
            self.exchange.error("blank answer")
        else:
            self.exchange.error(f"unexpected answer: success={answer.success} {answer.error!r}")


class UnaryConsumer(UnaryConnection):
    """Consumes. Workers of an empty queue rest, ever longer."""

    async def work(self) -> None:
        """One call after the other."""
        patience, pause_seconds = ErrorPatience(), FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = await self.call(self.stub.Consume, ConsumeRequest())
            except aio.AioRpcError as error:
                self.exchange.error(kind_of(error))
                await patience.failed(error)
                continue
            patience.succeeded()
            if not self._book(answer):
                pause_seconds = FIRST_PAUSE_SECONDS
            elif self.exchange.may_stop():
                return
            else:
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def _book(self, answer: ConsumeResponse) -> bool:
        """Whether the queue was empty."""
        if not answer.error:
            self.exchange.arrived(self.number, answer.payload)
            return False
        if answer.error != QUEUE_IS_EMPTY:
            self.exchange.error(f"unexpected answer: {answer.error!r}")
            return False
        self.exchange.empty()
        return True


class GrpcDriver:
    """The transport of mode grpc."""

    mode = "grpc"
    ordered = False
    producers_receive = False

    def __init__(self, target: tuple[str, int], exchange: Exchange) -> None:
        self._target = target
        self._exchange = exchange

    async def producer(self, number: int) -> UnaryProducer:
        """Connects one."""
        return UnaryProducer(await open_channel(self._target), self._exchange, number)

    async def consumer(self, number: int) -> UnaryConsumer:
        """Connects one."""
        return UnaryConsumer(await open_channel(self._target), self._exchange, number)


if __name__ == "__main__":
    from perf.command import main

    sys.exit(main(sys.argv[1:], GrpcDriver))
