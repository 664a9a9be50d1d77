"""The tool for gRPC streams: `python -m perf.perf_grpc_stream_throughput`. StreamMessages, by grpc.aio.

The server puts what it is sent and answers with the oldest message, so a producer's stream is both
acknowledged and handed messages by the same answers. A consumer's stream sends empty payloads, which only
take; at the end, what is left is taken until the queue is empty. One is opened for this even where no
consumers were asked for.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

from grpc import aio

from perf.client import ConnectionEndedError
from perf.exchange import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, QUEUE_IS_EMPTY, QUEUE_IS_FULL, Exchange
from perf.grpc_connection import kind_of, open_channel
from quickpulse._generated.messagequeue_pb2 import StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub

TAKE = StreamMessage()
"""An empty payload."""


class StreamConnection:
    """A channel with one stream on it, and a window of unanswered messages."""

    def __init__(self, channel: aio.Channel, exchange: Exchange, receiver: int) -> None:
        self.exchange = exchange
        self._receiver = receiver
        self._channel = channel
        self._unanswered = 0
        self._answered = asyncio.Event()

    async def send_all(self) -> None:
        """Sends to the end of the work."""
        raise NotImplementedError

    def take_answer(self, answer: StreamMessage) -> None:
        """Books one answer."""
        raise NotImplementedError

    async def run(self) -> None:
        """Publishes or consumes to the end, then expects the status OK."""
        self._call = MessageQueueStub(self._channel).StreamMessages()
        sending = asyncio.create_task(self._send_and_finish())
        reading = asyncio.create_task(self._read_all())
        try:
            await asyncio.gather(sending, reading)
        except aio.AioRpcError as error:
            raise ConnectionEndedError(kind_of(error)) from None
        except asyncio.InvalidStateError:
            raise ConnectionEndedError(f"{(await self._call.code()).name}: {await self._call.details()}") from None
        finally:
            sending.cancel()
            reading.cancel()
            self._call.cancel()

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def send(self, message: StreamMessage) -> None:
        """One message, when the window has room for it."""
        await self.until_unanswered_below(self.exchange.options.in_flight)
        if not self._unanswered:
            self.exchange.waiting(self)
        self._unanswered += 1
        await self._call.write(message)

    async def until_unanswered_below(self, limit: int) -> None:
        """Until fewer than `limit` messages are unanswered."""
        while self._unanswered >= limit:
            self._answered.clear()
            await self._answered.wait()

    def take_message(self, payload: bytes) -> None:
        """A message came."""
        self.exchange.arrived(self._receiver, payload)

    async def _send_and_finish(self) -> None:
        await self.send_all()
        await self.until_unanswered_below(1)
        await self._call.done_writing()
        self.exchange.waiting(self)  # for the status

    async def _read_all(self) -> None:
        while (answer := await self._call.read()) is not aio.EOF:
            if not self._unanswered:
                raise ConnectionEndedError("more answers than requests")
            self._unanswered -= 1
            if self._unanswered:
                self.exchange.waiting(self)
            else:
                self.exchange.resting(self)
            self.take_answer(answer)
            self._answered.set()
        if self._unanswered:
            raise ConnectionEndedError("the stream ended before every message was answered")


class StreamProducer(StreamConnection):
    """Publishes; and receives, since that is what the answers are."""

    def __init__(self, channel: aio.Channel, exchange: Exchange, number: int, receiver: int) -> None:
        super().__init__(channel, exchange, receiver)
        self._number = number
        self._sequences: deque[int] = deque()

    async def send_all(self) -> None:
        """Every message that this producer is to send."""
        in_flight, payloads = self.exchange.options.in_flight, self.exchange.payloads
        while True:
            await self.until_unanswered_below(in_flight)
            sequence, count = self.exchange.allot(self._number, 1)
            if count <= 0:
                return
            self._sequences.append(sequence)
            await self.send(StreamMessage(payload=payloads.make(self._number, sequence)))

    def take_answer(self, answer: StreamMessage) -> None:
        """The oldest unanswered message is acknowledged, unless the queue was full; a message may come."""
        sequence = self._sequences.popleft()
        if answer.error == QUEUE_IS_FULL:
            self.exchange.refused(self._number, sequence, 1)
            return
        if answer.error and answer.error != QUEUE_IS_EMPTY:
            self.exchange.error(f"unexpected answer: {answer.error!r}")
            return
        self.exchange.accepted(self._number, sequence, 1)
        if answer.error:
            self.exchange.empty()
        else:
            self.take_message(answer.payload)


class StreamConsumer(StreamConnection):
    """Only takes. When the queue is empty it rests, ever longer."""

    def __init__(self, channel: aio.Channel, exchange: Exchange, receiver: int) -> None:
        super().__init__(channel, exchange, receiver)
        self._was_empty = False
        self._messages_since_rest = 0

    async def send_all(self) -> None:
        """Empty payloads, until the queue is empty and nothing more is to come."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            await self.send(TAKE)
            if not self._was_empty:
                continue
            await self.until_unanswered_below(1)
            if self.exchange.may_stop():
                return
            if self._messages_since_rest:
                pause_seconds = FIRST_PAUSE_SECONDS
            self._was_empty, self._messages_since_rest = False, 0
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def take_answer(self, answer: StreamMessage) -> None:
        """A message, or `queue is empty`."""
        if not answer.error:
            self._messages_since_rest += 1
            self.take_message(answer.payload)
        elif answer.error == QUEUE_IS_EMPTY:
            self._was_empty = True
            self.exchange.empty()
        else:
            self.exchange.error(f"unexpected answer: {answer.error!r}")


class GrpcStreamDriver:
    """The transport of mode grpc_stream."""

    mode = "grpc_stream"
    ordered = True
    producers_receive = True

    def __init__(self, target: tuple[str, int], exchange: Exchange) -> None:
        self._target = target
        self._exchange = exchange
        self._consumers = max(exchange.options.consumers, 1)

    async def producer(self, number: int) -> StreamProducer:
        """Connects one."""
        return StreamProducer(await open_channel(self._target), self._exchange, number, self._consumers + number)

    async def consumer(self, number: int) -> StreamConsumer:
        """Connects one."""
        return StreamConsumer(await open_channel(self._target), self._exchange, number)


if __name__ == "__main__":
    from perf.command import main

    sys.exit(main(sys.argv[1:], GrpcStreamDriver))
