"""Producers and consumers of each mode, on the clients that users have: threads and coroutines. The ledger judges."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect as connect_sync

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from tests.interop.ledger import CONSUMERS, PRODUCERS, Ledger, payload

WINDOW = 32
"""Unanswered requests of one WebSocket or stream."""

REST_SECONDS = 0.005
"""After "queue is empty"."""

EMPTY_TEXT = "error: queue is empty"


class Load:
    """Eight producers and eight consumers at once, half of them threads and half coroutines.

    :param target: host:port.
    :param ledger: what becomes of the messages.
    :param total: messages in all.
    """

    def __init__(self, target: str, ledger: Ledger, total: int) -> None:
        self.target = target
        self.ledger = ledger
        self.each = total // PRODUCERS
        self.total = total

    def is_done(self) -> bool:
        """Whether all has come out, or something is wrong."""
        return len(self.ledger.received) >= self.total or bool(self.ledger.faults)

    async def run(self, seconds: float) -> None:
        """Do all of it; TimeoutError when it takes longer, as when a message is lost."""
        kinds = ((self.produce, self.produce_in_thread, PRODUCERS), (self.consume, self.consume_in_thread, CONSUMERS))
        work = []
        for in_loop, in_thread, count in kinds:
            for number in range(count):
                work.append(in_loop(number) if number % 2 else asyncio.to_thread(in_thread, number))
        await asyncio.wait_for(asyncio.gather(*work), seconds)

    async def produce(self, number: int) -> None:
        raise NotImplementedError

    def produce_in_thread(self, number: int) -> None:
        raise NotImplementedError

    async def consume(self, number: int) -> None:
        raise NotImplementedError

    def consume_in_thread(self, number: int) -> None:
        raise NotImplementedError

    def windows(self) -> list[range]:
        """The sequences of one producer, in pieces."""
        return [range(at, min(at + WINDOW, self.each)) for at in range(0, self.each, WINDOW)]


class WebSocketLoad(Load):
    """The package websockets, both of its clients."""

    async def produce(self, number: int) -> None:
        async with connect_async(f"ws://{self.target}/ws/publish", proxy=None) as socket:
            for window in self.windows():
                for sequence in window:
                    await socket.send(payload(number, sequence))
                for sequence in window:
                    self._accepted(await socket.recv(), number, sequence)

    def produce_in_thread(self, number: int) -> None:
        with connect_sync(f"ws://{self.target}/ws/publish", proxy=None) as socket:
            for window in self.windows():
                for sequence in window:
                    socket.send(payload(number, sequence))
                for sequence in window:
                    self._accepted(socket.recv(timeout=30), number, sequence)

    async def consume(self, number: int) -> None:
        name = f"coroutine {number}"
        async with connect_async(f"ws://{self.target}/ws/consume", proxy=None) as socket:
            while not self.is_done():
                asked = [self.ledger.asks(name) for _ in range(WINDOW)]
                for _ in asked:
                    await socket.send(b"")
                told = [self._told(name, await socket.recv(), then) for then in asked]
                if not all(told):
                    await asyncio.sleep(REST_SECONDS)

    def consume_in_thread(self, number: int) -> None:
        name = f"thread {number}"
        with connect_sync(f"ws://{self.target}/ws/consume", proxy=None) as socket:
            while not self.is_done():
                asked = [self.ledger.asks(name) for _ in range(WINDOW)]
                for _ in asked:
                    socket.send("more")
                told = [self._told(name, socket.recv(timeout=30), then) for then in asked]
                if not all(told):
                    time.sleep(REST_SECONDS)

    def _accepted(self, answer: Any, number: int, sequence: int) -> None:
        if answer == "ok":
            self.ledger.accepted(number, sequence)
        else:
            self.ledger.faults.append(f"publish was answered with {answer!r}")

    def _told(self, name: str, answer: Any, then: int) -> bool:
        """Note one answer; whether it was a message."""
        if isinstance(answer, bytes):
            self.ledger.got(name, answer)
            return True
        self.ledger.was_empty(name, then)
        if answer != EMPTY_TEXT:
            self.ledger.faults.append(f"consume was answered with {answer!r}")
        return False


class GrpcLoad(Load):
    """grpcio, both of its clients."""

    async def produce(self, number: int) -> None:
        async with grpc.aio.insecure_channel(self.target) as channel:
            await self.produce_on(MessageQueueStub(channel), number)

    async def consume(self, number: int) -> None:
        async with grpc.aio.insecure_channel(self.target) as channel:
            await self.consume_on(MessageQueueStub(channel), f"coroutine {number}")

    def produce_in_thread(self, number: int) -> None:
        with grpc.insecure_channel(self.target) as channel:
            self.produce_on_thread(MessageQueueStub(channel), number)

    def consume_in_thread(self, number: int) -> None:
        with grpc.insecure_channel(self.target) as channel:
            self.consume_on_thread(MessageQueueStub(channel), f"thread {number}")

    def told(self, name: str, answer: Any, then: int) -> bool:
        """Note one answer of a consumer; whether it was a message."""
        if not answer.error:
            self.ledger.got(name, answer.payload)
            return True
        self.ledger.was_empty(name, then)
        if answer.error != "queue is empty" or answer.payload:
            self.ledger.faults.append(f"a consumer was answered with {answer!r}")
        return False


class UnaryLoad(GrpcLoad):
    """Mode grpc, one call after the other, so that there is an order."""

    async def produce_on(self, stub: MessageQueueStub, number: int) -> None:
        for sequence in range(self.each):
            self._produced(await stub.Produce(ProduceRequest(payload=payload(number, sequence))), number, sequence)

    def produce_on_thread(self, stub: MessageQueueStub, number: int) -> None:
        for sequence in range(self.each):
            self._produced(stub.Produce(ProduceRequest(payload=payload(number, sequence))), number, sequence)

    async def consume_on(self, stub: MessageQueueStub, name: str) -> None:
        while not self.is_done():
            then = self.ledger.asks(name)
            if not self.told(name, await stub.Consume(ConsumeRequest()), then):
                await asyncio.sleep(REST_SECONDS)

    def consume_on_thread(self, stub: MessageQueueStub, name: str) -> None:
        while not self.is_done():
            then = self.ledger.asks(name)
            if not self.told(name, stub.Consume(ConsumeRequest()), then):
                time.sleep(REST_SECONDS)

    def _produced(self, answer: Any, number: int, sequence: int) -> None:
        if answer.success and not answer.error:
            self.ledger.accepted(number, sequence)
        else:
            self.ledger.faults.append(f"Produce was answered with {answer!r}")


class StreamLoad(GrpcLoad):
    """Mode grpc_stream: a producer's answers are the oldest messages, so it receives as well."""

    async def produce_on(self, stub: MessageQueueStub, number: int) -> None:
        name, call = f"producing coroutine {number}", stub.StreamMessages()
        for window in self.windows():
            asked = [self.ledger.asks(name) for _ in window]
            for sequence in window:
                await call.write(StreamMessage(payload=payload(number, sequence)))
            for then, sequence in zip(asked, window, strict=True):
                self._exchanged(name, await call.read(), then, number, sequence)
        await call.done_writing()
        self._ended(name, await call.read() is grpc.aio.EOF, await call.code())

    def produce_on_thread(self, stub: MessageQueueStub, number: int) -> None:
        name, asked = f"producing thread {number}", []

        def requests():
            for sequence in range(self.each):
                asked.append(self.ledger.asks(name))
                yield StreamMessage(payload=payload(number, sequence))

        call = stub.StreamMessages(requests())
        for sequence in range(self.each):
            answer = next(call)
            self._exchanged(name, answer, asked[sequence], number, sequence)
        self._ended(name, next(call, None) is None, call.code())

    async def consume_on(self, stub: MessageQueueStub, name: str) -> None:
        call = stub.StreamMessages()
        while not self.is_done():
            then = self.ledger.asks(name)
            await call.write(StreamMessage())
            if not self.told(name, await call.read(), then):
                await asyncio.sleep(REST_SECONDS)
        await call.done_writing()
        self._ended(name, await call.read() is grpc.aio.EOF, await call.code())

    def consume_on_thread(self, stub: MessageQueueStub, name: str) -> None:
        asked: list[int] = []

        def requests():
            while not self.is_done():
                asked.append(self.ledger.asks(name))
                yield StreamMessage()
                time.sleep(REST_SECONDS / 5)

        call = stub.StreamMessages(requests())
        for at, answer in enumerate(call):
            self.told(name, answer, asked[at])
        self._ended(name, True, call.code())

    def _exchanged(self, name: str, answer: Any, then: int, number: int, sequence: int) -> None:
        """The answer to a payload: whatever it is, the payload is in; and it cannot be that nothing was there."""
        self.ledger.accepted(number, sequence)
        if not self.told(name, answer, then):
            self.ledger.faults.append(f"{name} put a message in and was told {answer.error!r}")

    def _ended(self, name: str, is_at_end: bool, code: Any) -> None:
        if not is_at_end or code is not grpc.StatusCode.OK:
            self.ledger.faults.append(f"the stream of {name} ended with {code}, at its end: {is_at_end}")


LOADS: dict[str, type[Load]] = {"ws": WebSocketLoad, "grpc": UnaryLoad, "grpc_stream": StreamLoad}
