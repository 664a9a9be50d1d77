"""Connections of the storm: what all have in common, and the WebSocket ones."""

from __future__ import annotations

import os
from collections import deque
from typing import Any, Protocol

import numpy as np

from perf import websocket_frames as frames
from perf.load.faults import SHOWN_BYTES
from perf.load.link import Link
from perf.load.rows import parse_row
from perf.load.websocket import ASK, OK, WebSocketLink
from perf.storm import ends
from perf.storm.numbered import BLOCK, NUMBER_BYTES, PADDINGS, Template

WINDOW_BLOCKS = 2
"""Blocks of requests in flight on each connection: one is answered while the other is under way."""

RECEIVE_BYTES = 256 * 1024

REST_SECONDS = 0.002
"""A consumer's pause after it was told that the queue is empty."""


class EndedError(Exception):
    """The connection is over."""


class Books(Protocol):
    """What connections tell: an Account, or what a soak counts."""

    killed_in_flight: int

    def next_block(self, publisher: int) -> int | None:
        """The first number of a block to be sent."""

    def acknowledged(self, numbers: np.ndarray | slice) -> None:
        """The server said yes."""

    def received(self, messages: list[bytes], consumer: int, in_order: bool) -> None:
        """Messages that came out."""

    def fault(self, kind: str, text: str, count: int = 1) -> None:
        """What the server must not do."""


class Peer(Link):
    """A connection that asks in blocks and can be killed. Derives from Link beside a protocol's class.

    puts: whether its requests are messages
    takes: whether its answers are
    """

    puts = takes = False

    def join(self, books: Books, serial: int) -> None:
        """Before the protocol opens."""
        self.books = books
        self.serial = serial
        self.asked = self.answered = 0
        self.is_ending = False
        self.is_leaving = False
        """Whether it asks for no more, to be closed in order."""
        self.leaves_at = float("inf")
        self.rests_until = 0.0
        self.has_read_all = False

    def begin(self) -> None:
        """It is open: it must not wait for anything from here on."""
        self.receive_bytes = RECEIVE_BYTES
        self.socket.setblocking(False)

    @property
    def outstanding(self) -> int:
        """Requests without an answer."""
        return self.asked - self.answered

    def read(self) -> bytes:
        """What is there; nothing where nothing is. Raises EndedError."""
        try:
            data = self.socket.recv(self.receive_bytes)
        except BlockingIOError:
            self.has_read_all = True
            return b""
        except ConnectionError as error:
            raise EndedError(str(error)) from None
        if not data:
            raise EndedError("the server closed the connection")
        return data

    def ask(self, first: int) -> None:
        """Sends a block of requests; `first` is the number of its first message, where they are messages."""
        raise NotImplementedError

    def part_of_a_frame(self) -> bytes:
        """The beginning of a request."""
        raise NotImplementedError

    def drop_calls(self) -> bool:
        """Ends what is under way, and not the connection; False where the protocol has no such thing."""
        return False

    def top_up(self, now: float) -> None:
        """Asks for more, if there is room, and time."""
        if self.is_ending or self.is_leaving or now < self.rests_until:
            return
        while self.outstanding <= (WINDOW_BLOCKS - 1) * BLOCK:
            first = self.books.next_block(self.serial) if self.puts else 0
            if first is None:
                break
            self.asked += BLOCK
            self.ask(first)

    def found_empty(self, now: float) -> None:
        """There was nothing to take."""
        self.rests_until = now + REST_SECONDS

    def kill(self) -> None:
        """By RST, without having read what is still to come."""
        self.count_window()
        ends.cut_off(self.socket)
        try:
            self.has_read_all = False
            while not self.has_read_all:
                self.take()
        except EndedError:
            pass
        ends.reset(self.socket)

    def half_close(self) -> None:
        """FIN in the middle of a frame; all that still comes is read.

        What is under way now may be so for the server too when it closes, even if it is read later.
        """
        self.count_window()
        self.is_ending = True
        try:
            if not self.unsent:
                self.socket.send(self.part_of_a_frame())
            self.unsent.clear()
            self.socket.shutdown(1)
        except OSError:
            pass

    def count_window(self) -> None:
        """It is being killed: how many messages may be under way to it.

        Not only those without an answer: a server sees what arrived in steps of a write, which may be a whole window.
        """
        if self.takes and not self.is_ending:
            self.books.killed_in_flight += min(self.asked, WINDOW_BLOCKS * BLOCK)


class WebSocketPeer(Peer, WebSocketLink):
    """A connection to /ws/publish or /ws/consume."""

    path: str

    def __init__(self, port: int, books: Books, serial: int) -> None:
        self.join(books, serial)
        super().__init__(port, parse_row(f"{self.path}:1x{BLOCK}"), lambda _: b"", None, len(OK))
        self.begin()

    def close(self) -> None:
        """All was answered: the end of the connection is enough. Its answer to a Close would meet a closed socket."""
        self.socket.close()

    def other(self, first: int, payload: bytes) -> None:
        """A frame that is no answer: a ping, or what the server must not send."""
        if first == 0x80 | frames.PING:
            self.send(frames.client_frame(frames.PONG, payload))
        elif not (self.is_ending and first == 0x80 | frames.CLOSE):
            self.books.fault("wrong answer", f"{self.path}: {first:#x} {payload[:SHOWN_BYTES]!r}")


class Publisher(WebSocketPeer):
    """Sends messages, each to be answered with `ok`."""

    path = "ws-publish"
    puts = True

    def __init__(self, port: int, books: Books, serial: int) -> None:
        super().__init__(port, books, serial)
        self._blocks: deque[int] = deque()
        self._key = os.urandom(4)
        heads = [
            frames.head(frames.BINARY, NUMBER_BYTES + len(padding), masked=True) + self._key for padding in PADDINGS
        ]
        parts = [
            head + bytes(NUMBER_BYTES) + _masked(padding, self._key)
            for head, padding in zip(heads, PADDINGS, strict=True)
        ]
        self._template = Template(parts, [len(head) for head in heads], key=self._key * 2)

    def ask(self, first: int) -> None:
        """A block of messages."""
        self._blocks.append(first)
        self.send(self._template.filled(first))

    def part_of_a_frame(self) -> bytes:
        """Five bytes of ten."""
        return frames.client_frame(frames.BINARY, b"half")[:5]

    def take(self) -> bool:
        """Counts the answers."""
        data = self._rest + self.read()
        count = len(data) // len(OK)
        if data.startswith(OK * count):
            self._rest = data[count * len(OK) :]
        else:
            count = self._frame_by_frame_of(data)
        self._acknowledge(count)
        return False

    def _frame_by_frame_of(self, data: bytes) -> int:
        count = start = 0
        for _, _, payload, end in frames.server_frames(data):
            if data[start:end] == OK:
                count += 1
            else:
                self.other(data[start], payload)
            start = end
        self._rest = data[start:]
        return count

    def _acknowledge(self, count: int) -> None:
        while count:
            place = self.answered % BLOCK
            run = min(count, BLOCK - place)
            first = self._blocks[0] + place
            self.books.acknowledged(slice(first, first + run))
            self.answered += run
            count -= run
            if place + run == BLOCK:
                self._blocks.popleft()


EMPTY = b"error: queue is empty"


class Consumer(WebSocketPeer):
    """Asks for messages."""

    path = "ws-consume"
    takes = True

    def ask(self, first: int) -> None:
        """A block of requests."""
        self.send(ASK * BLOCK)

    def part_of_a_frame(self) -> bytes:
        """Three bytes of six."""
        return ASK[:3]

    def take(self) -> bool:
        """Hands over the messages of a read; whether the queue was empty."""
        data = self._rest + self.read()
        at, end, empty = 0, len(data), 0
        messages: list[bytes] = []
        while end - at >= 4:
            size, body = data[at + 1], at + 2
            if size == 126:
                size, body = data[at + 2] << 8 | data[at + 3], at + 4
            stop = body + size
            if stop > end:
                break
            if data[at] == 0x80 | frames.BINARY:
                messages.append(data[body:stop])
            elif data[at] == 0x80 | frames.TEXT and data[body:stop] == EMPTY:
                empty += 1
            else:
                self.other(data[at], data[body:stop])
            at = stop
        self._rest = data[at:]
        self.answered += len(messages) + empty
        if messages:
            self.books.received(messages, self.serial, in_order=True)
        return empty > 0


def _masked(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


def roles(mode: str) -> tuple[Any, ...]:
    """The kinds of connections of a mode, those that put first."""
    if mode == "ws":
        return (Publisher, Consumer)
    from perf.storm.calls import Exchanger, UnaryConsumer, UnaryProducer

    return (Exchanger,) if mode == "grpc_stream" else (UnaryProducer, UnaryConsumer)
