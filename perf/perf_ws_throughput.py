"""The WebSocket tool: `python -m perf.perf_ws_throughput`. Raw asyncio protocols, prebuilt frames.

A library would be the limit of the measurement: what is sent is made thousands of messages at a time, and the
frames that come back are read a chunk at a time where they are what was expected, one by one where they are
not.
"""

from __future__ import annotations

import asyncio
import sys

from perf import websocket_frames as frames
from perf.client import ConnectionEndedError
from perf.exchange import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, QUEUE_IS_EMPTY, QUEUE_IS_FULL, Exchange
from perf.websocket_connection import WebSocketConnection

OK = frames.head(frames.TEXT, 2) + b"ok"
ERROR = b"error: "
EMPTY = ERROR + QUEUE_IS_EMPTY.encode()
FULL = ERROR + QUEUE_IS_FULL.encode()

BLOCK_BYTES = 256 * 1024
"""Frames that a producer makes at once: enough that making them one at a time does not show."""

FEW_FRAMES = 24
"""In a chunk, up to which reading one by one is faster than numpy."""


class ProducerConnection(WebSocketConnection):
    """Publishes with a window of unanswered messages. Answers come in order: the oldest is answered."""

    def __init__(self, host: str, exchange: Exchange, number: int) -> None:
        super().__init__(host, "/ws/publish", exchange)
        self._number = number
        self._answered = 0
        self._sent = 0
        payload_bytes = exchange.options.payload_bytes
        self._frame_bytes = len(frames.head(frames.BINARY, payload_bytes, masked=True)) + 4 + payload_bytes
        self._block = b""
        self._block_first = self._block_end = 0

    def begin(self) -> None:
        """Fills the window."""
        self._send(self.exchange.options.in_flight)

    def take_frames(self, chunk: bytes) -> int:
        """The `ok`s at the front, counted without looking at each."""
        count = len(chunk) // len(OK)
        if not chunk.startswith(OK * count):
            return 0
        if count > self._sent - self._answered:
            raise ConnectionEndedError("more answers than requests")
        self.exchange.accepted(self._number, self._answered, count)
        self._answered += count
        return count * len(OK)

    def take_message(self, opcode: int, payload: bytes) -> None:
        """One answer, `ok` or not."""
        if self._answered >= self._sent:
            raise ConnectionEndedError("more answers than requests")
        if payload == b"ok":
            self.exchange.accepted(self._number, self._answered, 1)
        elif payload == FULL:
            self.exchange.refused(self._number, self._answered, 1)
        else:
            self.exchange.error(_unexpected(payload))
        self._answered += 1

    def after_chunk(self) -> None:
        """Sends as many as were answered."""
        self.exchange.waiting(self)
        self._send(self.exchange.options.in_flight - (self._sent - self._answered))

    def _send(self, wanted: int) -> None:
        first, count = self.exchange.allot(self._number, wanted)
        if count > 0:
            self._sent = first + count
            self.transport.write(self._frames(first, count))
        elif self._answered == self._sent:
            self.finished.set_result(None)

    def _frames(self, first: int, count: int) -> bytes:
        """The frames of these messages; made ahead, since sequences only go up."""
        parts = []
        while count:
            if first >= self._block_end:
                self._make_block(first)
            taken = min(count, self._block_end - first)
            start = (first - self._block_first) * self._frame_bytes
            parts.append(self._block[start : start + taken * self._frame_bytes])
            first, count = first + taken, count - taken
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _make_block(self, first: int) -> None:
        count = max(1, BLOCK_BYTES // self._frame_bytes)
        self._block = frames.client_frames(self.exchange.payloads.make_block(self._number, first, count))
        self._block_first, self._block_end = first, first + count


class ConsumerConnection(WebSocketConnection):
    """Consumes with a window of unanswered requests; asks an empty queue ever less often."""

    def __init__(self, host: str, exchange: Exchange, number: int) -> None:
        super().__init__(host, "/ws/consume", exchange)
        self._number = number
        self._request_frame = frames.client_frame(frames.TEXT, b"")
        self._unanswered = 0
        self._window = exchange.options.in_flight
        self._round_messages = 0
        self._was_empty = False
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._payload_bytes = exchange.options.payload_bytes
        self._beginning = frames.head(frames.BINARY, self._payload_bytes)

    def begin(self) -> None:
        """Asks for as many as the window allows."""
        self._ask()

    def take_frames(self, chunk: bytes) -> int:
        """The messages of the expected size at the front, all at once."""
        width = len(self._beginning) + self._payload_bytes
        if len(chunk) < FEW_FRAMES * width:
            return 0
        block = frames.leading_rows(chunk, self._beginning, self._payload_bytes)
        if not len(block):
            return 0
        self._answer(len(block))
        self._round_messages += len(block)
        self.exchange.arrived_block(self._number, block)
        return len(block) * width

    def take_message(self, opcode: int, payload: bytes) -> None:
        """One answer: a message, `queue is empty`, or something else."""
        self._answer(1)
        if opcode == frames.BINARY:
            self._round_messages += 1
            self.exchange.arrived(self._number, payload)
        elif payload == EMPTY:
            self._was_empty = True
            self.exchange.empty()
        else:
            self.exchange.error(_unexpected(payload))

    def after_chunk(self) -> None:
        """Asks again, at once or after a pause, or is done."""
        self.exchange.waiting(self)
        if not self._was_empty:
            self._window = min(self._window + self._round_messages, self.exchange.options.in_flight)
            self._round_messages = 0
            self._ask()
        elif not self._unanswered:
            self._end_round()

    def _end_round(self) -> None:
        """All is answered, and the queue was empty: the next requests are as many as found a message."""
        if self.exchange.may_stop():
            self.finished.set_result(None)
            return
        if self._round_messages:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        asyncio.get_running_loop().call_later(self._pause_seconds, self._wake)
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        self._window = max(1, min(self._round_messages, self.exchange.options.in_flight))
        self._round_messages = 0
        self._was_empty = False

    def _wake(self) -> None:
        if not self.finished.done():
            self.exchange.waiting(self)
            self.begin()

    def _ask(self) -> None:
        wanted = self._window - self._unanswered
        if wanted > 0:
            self._unanswered += wanted
            self.transport.write(self._request_frame * wanted)

    def _answer(self, count: int) -> None:
        if count > self._unanswered:
            raise ConnectionEndedError("more answers than requests")
        self._unanswered -= count


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
        connection = ProducerConnection(self._host, self._exchange, number)
        return await self._connect(connection)

    async def consumer(self, number: int) -> ConsumerConnection:
        """Connects one to /ws/consume."""
        connection = ConsumerConnection(self._host, self._exchange, number)
        return await self._connect(connection)

    @property
    def _host(self) -> str:
        host, port = self._target
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def _connect(self, connection):  # type: ignore[no-untyped-def] # whichever it was given
        await asyncio.get_running_loop().create_connection(lambda: connection, *self._target)
        try:
            await connection.connected
        except BaseException:
            connection.transport.abort()
            raise
        return connection


def _unexpected(payload: bytes) -> str:
    return f"unexpected answer: {payload[:40].decode(errors='replace')!r}" if payload else "blank answer"


if __name__ == "__main__":
    from perf.command import main

    sys.exit(main(sys.argv[1:], WebSocketDriver))
