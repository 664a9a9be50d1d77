"""The tool for gRPC unary calls: `python -m perf.perf_grpc_throughput`. Produce and Consume.

A library would be the limit of the measurement: calls are made thousands at a time, and the answers of a read are
booked together. Calls that run beside each other have no order, so that of messages is checked with one in flight only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from google.protobuf.message import DecodeError

from perf.client import ConnectionEndedError
from perf.connection import Consumer, Publisher, authority, connect
from perf.exchange import QUEUE_IS_EMPTY, QUEUE_IS_FULL, Exchange
from perf.grpc_connection import (
    ERROR_PAUSE_SECONDS,
    ErrorPatience,
    GrpcConnection,
    payload_head,
    read_answer,
    unframed,
)
from perf.grpc_requests import GrpcRows
from perf.load.calls import PRODUCED
from perf.requests import MadeAhead, payload_rows, rows_at_front
from quickpulse._generated.messagequeue_pb2 import ConsumeResponse, ProduceResponse
from quickpulse.wire.grpc.status import Status

NO_MESSAGE = "an answer that is not one message"


class UnaryConnection(GrpcConnection):
    """A window of calls, numbered from 0: each has the stream 2 * number + 1.

    payload_bytes: of each request; 0 for requests that have none
    """

    def __init__(self, exchange: Exchange, authority: str, number: int, payload_bytes: int) -> None:
        super().__init__(exchange, authority)
        self.number = number
        self._rows = GrpcRows(self.later_head, payload_bytes, ends=True)
        self._ahead = MadeAhead(self._rows.request_bytes, self._make_calls)
        self._open: set[int] = set()
        self._streams: list[int] = []  # of the DATA frames of this read, beside `_bodies`
        self._bodies: list[bytes] = []
        self._over: list[int] = []  # streams that ended in this read
        self._begun: dict[int, list[bytes]] = {}  # answers in several frames or reads
        self._failures: list[Status | None] = []
        self._patience = ErrorPatience()

    def payloads(self, first: int, count: int) -> np.ndarray | None:
        """Of the requests, one a row. For the subclasses."""
        raise NotImplementedError

    def book(self, calls: list[int], bodies: list[bytes]) -> None:
        """The answers of these calls. For the subclasses."""
        raise NotImplementedError

    def send_calls(self, first: int, count: int) -> None:
        """The calls with these numbers."""
        calls = self._ahead.take(first, count)
        if not first:
            calls = self.first_head + calls[len(self.later_head) :]
        self._open.update(range(2 * first + 1, 2 * (first + count), 2))
        self.send_frames(calls, count * self._rows.body_bytes, self._rows.body_bytes)

    def on_max_streams(self, streams: int) -> None:
        """The window has no more."""
        self.most_in_flight = max(1, min(self.exchange.options.in_flight, streams))

    def on_data(self, stream: int, body: bytes) -> None:
        """An answer, or a part of one."""
        self._streams.append(stream)
        self._bodies.append(body)

    def on_end(self, stream: int) -> None:
        """A call is over."""
        self._over.append(stream)
        if stream in self._stream_credit:
            self.abandon(stream)

    def on_call_failed(self, stream: int, kind: str, status: Status | None) -> None:
        """Counts it; what was to be published stays unanswered."""
        if stream not in self._open or stream in self._over:
            return
        self._open.remove(stream)
        self._begun.pop(stream, None)
        self.abandon(stream)
        self.count_answers(1)
        self.exchange.error(kind)
        self._failures.append(status)

    def take_answers(self) -> None:
        """Of the calls that ended in this read, together."""
        streams, bodies, over, failures = self._streams, self._bodies, self._over, self._failures
        if not (streams or over or failures):
            return
        self.exchange.waiting(self)
        self._streams, self._bodies, self._over, self._failures = [], [], [], []
        if streams != over or self._begun:
            bodies = self._join(streams, bodies, over)
        if over:
            before = len(self._open)
            self._open.difference_update(over)
            if before - len(self._open) != len(over):
                raise ConnectionEndedError("an answer to no call, or a second one")
            self.count_answers(len(over))
            self._patience.succeeded()
            self.book(over, bodies)
        if failures:
            self.pause(len(failures), ERROR_PAUSE_SECONDS)
            self._patience.failed(failures[0])

    def _join(self, streams: Sequence[int], bodies: Sequence[bytes], over: Sequence[int]) -> list[bytes]:
        """The whole answers of the calls that are over; keeps the parts of the others."""
        for stream, body in zip(streams, bodies, strict=True):
            if stream in self._open:
                self._begun.setdefault(stream, []).append(body)
        return [b"".join(self._begun.pop(stream, ())) for stream in over]

    def _make_calls(self, first: int, count: int) -> bytes:
        streams = np.arange(2 * first + 1, 2 * (first + count), 2)
        return self._rows.make(streams, self.payloads(first, count))


class UnaryProducer(Publisher, UnaryConnection):
    """Publishes: a call's number is its message's."""

    method = "Produce"

    def __init__(self, exchange: Exchange, authority: str, number: int) -> None:
        super().__init__(exchange, authority, number, exchange.options.payload_bytes)

    def send_messages(self, first: int, count: int) -> None:
        """By a call each."""
        self.send_calls(first, count)

    def payloads(self, first: int, count: int) -> np.ndarray:
        """The messages."""
        return self.exchange.payloads.make_block(self.number, first, count)

    def book(self, calls: list[int], bodies: list[bytes]) -> None:
        """All at once where all were taken, and in turn."""
        first, count = calls[0] >> 1, len(calls)
        if bodies.count(PRODUCED) == count and calls == list(range(calls[0], calls[0] + 2 * count, 2)):
            self.exchange.accepted(self.number, first, count)
            return
        for call, body in zip(calls, bodies, strict=True):
            self._book_one(call >> 1, body)

    def _book_one(self, sequence: int, body: bytes) -> None:
        answer = _produced(body)
        if answer is None:
            self.exchange.error(NO_MESSAGE if body else "blank answer")
        elif answer.success and not answer.error:
            self.exchange.accepted(self.number, sequence, 1)
        elif answer.error == QUEUE_IS_FULL and not answer.success:
            self.exchange.refused(self.number, sequence, 1)
        elif not answer.error:
            self.exchange.error("blank answer")
        else:
            self.exchange.error(f"unexpected answer: success={answer.success} {answer.error!r}")


class UnaryConsumer(Consumer, UnaryConnection):
    """Consumes."""

    method = "Consume"

    def __init__(self, exchange: Exchange, authority: str, number: int) -> None:
        super().__init__(exchange, authority, number, 0)
        self._calls = 0
        self._payload_bytes = exchange.options.payload_bytes
        self._beginning = payload_head(self._payload_bytes)
        self._answer_bytes = len(self._beginning) + self._payload_bytes

    def send_requests(self, count: int) -> None:
        """By a call each."""
        self.send_calls(self._calls, count)
        self._calls += count

    def payloads(self, first: int, count: int) -> None:
        """Requests have none."""

    def book(self, calls: list[int], bodies: list[bytes]) -> None:
        """All at once where all are messages of the expected size."""
        count = len(calls)
        if set(map(len, bodies)) == {self._answer_bytes}:
            data = b"".join(bodies)
            if rows_at_front(data, self._beginning, self._payload_bytes) == count:
                self.count_messages(count)
                self.exchange.arrived_block(
                    self.number, payload_rows(data, count, self._beginning, self._payload_bytes)
                )
                return
        for body in bodies:
            self._book_one(body)

    def _book_one(self, body: bytes) -> None:
        message = unframed(body)
        if message is None:
            self.exchange.error(NO_MESSAGE)
            return
        payload, error = read_answer(message, ConsumeResponse)
        if not error:
            self.count_messages(1)
            self.exchange.arrived(self.number, payload)
        elif error == QUEUE_IS_EMPTY:
            self.count_empty(1)
        else:
            self.exchange.error(f"unexpected answer: {error!r}")


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
        return await connect(UnaryProducer(self._exchange, authority(self._target), number), self._target)

    async def consumer(self, number: int) -> UnaryConsumer:
        """Connects one."""
        return await connect(UnaryConsumer(self._exchange, authority(self._target), number), self._target)


def _produced(body: bytes) -> ProduceResponse | None:
    message = unframed(body)
    try:
        return None if message is None else ProduceResponse.FromString(message)
    except DecodeError:
        return None


if __name__ == "__main__":
    from perf.command import main

    sys.exit(main(sys.argv[1:], GrpcDriver))
