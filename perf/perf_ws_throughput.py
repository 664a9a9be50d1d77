"""The WebSocket tool: `python -m perf.perf_ws_throughput`. Raw asyncio protocols, prebuilt frames.

A library would be the limit of the measurement: what is sent is made thousands of messages at a time, and the
frames that come back are read a chunk at a time where they are what was expected, one by one where they are
not.
"""

from __future__ import annotations

import sys

from perf import websocket_frames as frames
from perf.connection import Consumer, Publisher, authority, connect
from perf.exchange import QUEUE_IS_EMPTY, QUEUE_IS_FULL, Exchange
from perf.requests import MadeAhead, payload_rows, rows_at_front
from perf.websocket_connection import WebSocketConnection

OK = frames.head(frames.TEXT, 2) + b"ok"
ERROR = b"error: "
EMPTY = ERROR + QUEUE_IS_EMPTY.encode()
FULL = ERROR + QUEUE_IS_FULL.encode()


class ProducerConnection(Publisher, WebSocketConnection):
    """Publishes. Answers come in order: the oldest message is answered."""

    def __init__(self, exchange: Exchange, host: str, number: int) -> None:
        super().__init__(exchange, host, "/ws/publish")
        self.number = number
        self._answered = 0
        payload_bytes = exchange.options.payload_bytes
        frame_bytes = len(frames.head(frames.BINARY, payload_bytes, masked=True)) + 4 + payload_bytes
        self._ahead = MadeAhead(frame_bytes, self._frames)

    def take_frames(self, chunk: bytes) -> int:
        """The `ok`s at the front, counted without looking at each."""
        count = len(chunk) // len(OK)
        if not chunk.startswith(OK * count):
            return 0
        self.count_answers(count)
        self.exchange.accepted(self.number, self._answered, count)
        self._answered += count
        return count * len(OK)

    def take_message(self, opcode: int, payload: bytes) -> None:
        """One answer, `ok` or not."""
        self.count_answers(1)
        if payload == b"ok":
            self.exchange.accepted(self.number, self._answered, 1)
        elif payload == FULL:
            self.exchange.refused(self.number, self._answered, 1)
        else:
            self.exchange.error(_unexpected(payload))
        self._answered += 1

    def send_messages(self, first: int, count: int) -> None:
        """As binary frames."""
        self.transport.write(self._ahead.take(first, count))

    def _frames(self, first: int, count: int) -> bytes:
        return frames.client_frames(self.exchange.payloads.make_block(self.number, first, count))


class ConsumerConnection(Consumer, WebSocketConnection):
    """Consumes."""

    def __init__(self, exchange: Exchange, host: str, number: int) -> None:
        super().__init__(exchange, host, "/ws/consume")
        self.number = number
        self._request_frame = frames.client_frame(frames.TEXT, b"")
        self._payload_bytes = exchange.options.payload_bytes
        self._beginning = frames.head(frames.BINARY, self._payload_bytes)

    def take_frames(self, chunk: bytes) -> int:
        """The messages of the expected size at the front, all at once."""
        count = rows_at_front(chunk, self._beginning, self._payload_bytes)
        if not count:
            return 0
        self.count_answers(count)
        self.count_messages(count)
        self.exchange.arrived_block(self.number, payload_rows(chunk, count, self._beginning, self._payload_bytes))
        return count * (len(self._beginning) + self._payload_bytes)

    def take_message(self, opcode: int, payload: bytes) -> None:
        """One answer: a message, `queue is empty`, or something else."""
        self.count_answers(1)
        if opcode == frames.BINARY:
            self.count_messages(1)
            self.exchange.arrived(self.number, payload)
        elif payload == EMPTY:
            self.count_empty(1)
        else:
            self.exchange.error(_unexpected(payload))

    def send_requests(self, count: int) -> None:
        """Any message is one."""
        self.transport.write(self._request_frame * count)


class WebSocketDriver:
    """The transport of mode ws."""

    mode = "ws"
    ordered = True
    producers_receive = False

    def __init__(self, target: tuple[str, int], exchange: Exchange) -> None:
        self._target = target
        self._exchange = exchange

    async def producer(self, number: int) -> ProducerConnection:
        """Connects one to /ws/publish."""
        return await connect(ProducerConnection(self._exchange, authority(self._target), number), self._target)

    async def consumer(self, number: int) -> ConsumerConnection:
        """Connects one to /ws/consume."""
        return await connect(ConsumerConnection(self._exchange, authority(self._target), number), self._target)


def _unexpected(payload: bytes) -> str:
    return f"unexpected answer: {payload[:40].decode(errors='replace')!r}" if payload else "blank answer"


if __name__ == "__main__":
    from perf.command import main

    sys.exit(main(sys.argv[1:], WebSocketDriver))
