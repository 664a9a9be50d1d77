"""The tool for gRPC streams: `python -m perf.perf_grpc_stream_throughput`. StreamMessages, one call a connection.

The server puts what it is sent and answers with the oldest message, so a producer's stream is both acknowledged and
handed messages by the same answers. A consumer's stream sends empty payloads, which only take; at the end, what is left
is taken until the queue is empty. One is opened for this even where no consumers were asked for.
"""

from __future__ import annotations

import sys

import numpy as np

from perf.client import ConnectionEndedError
from perf.connection import Consumer, PerfConnection, Publisher, authority, connect
from perf.exchange import QUEUE_IS_EMPTY, QUEUE_IS_FULL, Exchange
from perf.grpc_connection import GrpcConnection, payload_head, read_answer
from perf.grpc_requests import GrpcRows
from perf.load.calls import data_frames, framed
from perf.requests import MadeAhead, payload_rows, rows_at_front
from quickpulse._generated.messagequeue_pb2 import StreamMessage
from quickpulse.wire.grpc.framing import PREFIX, PREFIX_SIZE
from quickpulse.wire.grpc.status import Status
from quickpulse.wire.http2.frames import DATA, END_STREAM, frame

STREAM = 1
"""The call's."""

TAKE = data_frames(STREAM, framed(b""), ends=False)
"""An empty payload."""


class StreamConnection(GrpcConnection):
    """One call, and a window of messages on it; answers come in order."""

    method = "StreamMessages"
    lasting_streams = (STREAM,)

    def __init__(self, exchange: Exchange, authority: str, receiver: int) -> None:
        super().__init__(exchange, authority)
        self.receiver = receiver
        self._payload_bytes = exchange.options.payload_bytes
        self._beginning = payload_head(self._payload_bytes)
        self._answer_bytes = len(self._beginning) + self._payload_bytes
        self._bodies: list[bytes] = []
        self._held_bytes = self._seen_bytes = 0
        self._needed_bytes = PREFIX_SIZE
        self._is_ending = self._has_ended = False

    def book_messages(self, count: int, rows: np.ndarray) -> None:
        """Answers that are messages of the expected size, one a row. For the subclasses."""
        raise NotImplementedError

    def book_answer(self, payload: bytes, error: str) -> None:
        """Any one answer. For the subclasses."""
        raise NotImplementedError

    async def run(self) -> None:
        """Publishes or consumes to the end, then expects the status OK."""
        self.send(self.first_head)
        await super().run()

    def finish(self) -> None:
        """No more is sent; the status is to come."""
        if not self._is_ending:
            self._is_ending = True
            self.send(frame(DATA, END_STREAM, STREAM))
            self.exchange.waiting(self)

    def on_data(self, stream: int, body: bytes) -> None:
        """Any number of answers, and parts of them."""
        self._bodies.append(body)
        self._held_bytes += len(body)

    def on_end(self, stream: int) -> None:
        """With the status OK."""
        self._has_ended = True

    def on_call_failed(self, stream: int, kind: str, status: Status | None) -> None:
        """There is no other call."""
        raise ConnectionEndedError(kind)

    def take_answers(self) -> None:
        """All that are whole."""
        if self._held_bytes > self._seen_bytes:
            self.exchange.waiting(self)
        if self._held_bytes >= self._needed_bytes:
            data = b"".join(self._bodies)
            rest = data[self._take(data) :]
            self._bodies, self._held_bytes = [rest], len(rest)
        self._seen_bytes = self._held_bytes
        if self._has_ended and not self.finished.done():
            if self.unanswered or not self._is_ending:
                raise ConnectionEndedError("the stream ended before every message was answered")
            PerfConnection.finish(self)

    def _take(self, data: bytes) -> int:
        """How many bytes were whole answers."""
        count = rows_at_front(data, self._beginning, self._payload_bytes)
        if count:
            self.count_answers(count)
            self.book_messages(count, payload_rows(data, count, self._beginning, self._payload_bytes))
        at, size = count * self._answer_bytes, len(data)
        self._needed_bytes = PREFIX_SIZE
        while size - at >= PREFIX_SIZE:
            flag, length = PREFIX.unpack_from(data, at)
            if flag:
                raise ConnectionEndedError("an answer is compressed, which was not asked for")
            start = at + PREFIX_SIZE
            if start + length > size:
                self._needed_bytes = PREFIX_SIZE + length
                break
            at = start + length
            self.count_answers(1)
            self.book_answer(*read_answer(data[start:at], StreamMessage))
        return at


class StreamProducer(Publisher, StreamConnection):
    """Publishes; and receives, since that is what the answers are."""

    def __init__(self, exchange: Exchange, authority: str, number: int, receiver: int) -> None:
        super().__init__(exchange, authority, receiver)
        self.number = number
        self._answered = 0
        self._rows = GrpcRows(b"", self._payload_bytes, ends=False)
        self._ahead = MadeAhead(self._rows.request_bytes, self._make_messages)

    def send_messages(self, first: int, count: int) -> None:
        """On the stream."""
        size = count * self._rows.body_bytes
        self.send_frames(self._ahead.take(first, count), size, size)

    def book_messages(self, count: int, rows: np.ndarray) -> None:
        """The oldest unanswered messages are acknowledged, and as many came."""
        self.exchange.accepted(self.number, self._answered, count)
        self._answered += count
        self.exchange.arrived_block(self.receiver, rows)

    def book_answer(self, payload: bytes, error: str) -> None:
        """The oldest unanswered message is acknowledged, unless the queue was full; a message may come."""
        sequence, self._answered = self._answered, self._answered + 1
        if error == QUEUE_IS_FULL:
            self.exchange.refused(self.number, sequence, 1)
            return
        if error and error != QUEUE_IS_EMPTY:
            self.exchange.error(f"unexpected answer: {error!r}")
            return
        self.exchange.accepted(self.number, sequence, 1)
        if error:
            self.exchange.empty()
        else:
            self.exchange.arrived(self.receiver, payload)

    def _make_messages(self, first: int, count: int) -> bytes:
        payloads = self.exchange.payloads.make_block(self.number, first, count)
        return self._rows.make(np.full(count, STREAM), payloads)


class StreamConsumer(Consumer, StreamConnection):
    """Only takes."""

    def send_requests(self, count: int) -> None:
        """Empty payloads."""
        size = count * PREFIX_SIZE
        self.send_frames(TAKE * count, size, size)

    def book_messages(self, count: int, rows: np.ndarray) -> None:
        """Messages came."""
        self.count_messages(count)
        self.exchange.arrived_block(self.receiver, rows)

    def book_answer(self, payload: bytes, error: str) -> None:
        """A message, or `queue is empty`."""
        if not error:
            self.count_messages(1)
            self.exchange.arrived(self.receiver, payload)
        elif error == QUEUE_IS_EMPTY:
            self.count_empty(1)
        else:
            self.exchange.error(f"unexpected answer: {error!r}")


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
        receiver = self._consumers + number
        return await connect(StreamProducer(self._exchange, authority(self._target), number, receiver), self._target)

    async def consumer(self, number: int) -> StreamConsumer:
        """Connects one."""
        return await connect(StreamConsumer(self._exchange, authority(self._target), number), self._target)


if __name__ == "__main__":
    from perf.command import main

    sys.exit(main(sys.argv[1:], GrpcStreamDriver))
