"""The gRPC connections of the storm: unary calls, and one streaming call at a time."""

from __future__ import annotations

import random
from collections import deque
from itertools import islice

import numpy as np

from perf.load.calls import PRODUCED, framed
from perf.load.faults import SHOWN_BYTES
from perf.load.headers import call_blocks
from perf.load.http2 import Http2Link
from perf.load.link import HOST
from perf.storm.links import Books, Peer
from perf.storm.numbered import BLOCK, MOST_BYTES, NUMBER_BYTES, PADDINGS, Template
from quickpulse._generated import messagequeue_pb2 as pb
from quickpulse.wire.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEAD_SIZE,
    HEADERS,
    frame,
    rst_stream_frame,
    window_update_frame,
)

CANCEL = 8

DROPPED_CALLS = 20
"""Unary calls that are cancelled at once."""

_STREAM_AT = 5  # in a frame's head

_EMPTY_TEXT = "queue is empty"
_CONSUME_EMPTY = pb.ConsumeResponse(error=_EMPTY_TEXT).SerializeToString()
_PREFIXES = [framed(bytes(size))[: len(framed(bytes(size))) - size] for size in range(MOST_BYTES + 1)]
"""What stands before a payload of that size in an answer."""

_BODIES = [framed(bytes(NUMBER_BYTES) + padding) for padding in PADDINGS]
_NUMBER_IN_BODY = [len(_PREFIXES[NUMBER_BYTES + len(padding)]) for padding in PADDINGS]
_MESSAGE_BYTES = sum(map(len, _BODIES))
_MOST_MESSAGE_BYTES = max(map(len, _BODIES))


def messages_in(answers: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The payloads in framed answers, and the answers that are something else."""
    found = [answer[7:] if answer[6:7] < b"\x80" else answer[8:] for answer in answers]
    if all(map(bytes.startswith, answers, [_PREFIXES[min(len(payload), MOST_BYTES)] for payload in found])):
        return found, []
    is_good = [
        len(payload) <= MOST_BYTES and answer.startswith(_PREFIXES[len(payload)])
        for answer, payload in zip(answers, found, strict=True)
    ]
    return (
        [payload for payload, good in zip(found, is_good, strict=True) if good],
        [answer for answer, good in zip(answers, is_good, strict=True) if not good],
    )


class UnaryPeer(Peer, Http2Link):
    """A connection with a window of unary calls.

    method: that it calls
    """

    method: str

    def __init__(self, port: int, books: Books, serial: int) -> None:
        self.join(books, serial)
        self._open_calls: set[int] = set()
        self._over: list[int] = []
        self._block = 0
        blocks = call_blocks(f"/messagequeue.MessageQueue/{self.method}", f"{HOST}:{port}")
        first, later = islice(blocks, 2)
        self._first_template, self._template = self._template_of(first, later), self._template_of(later, later)
        self._random = random.Random(serial)
        data_bytes = _MESSAGE_BYTES if self.puts else BLOCK * len(framed(b""))
        super().__init__(port, self._window_at, BLOCK, data_bytes, _MOST_MESSAGE_BYTES)
        self.begin()

    def ask(self, first: int) -> None:
        """A block of calls."""
        self._block = first
        start = 2 * BLOCK * self._windows + 1
        self._open_calls.update(range(start, start + 2 * BLOCK, 2))
        self.start_window()

    def part_of_a_frame(self) -> bytes:
        """The head of HEADERS, and one byte of what it announces."""
        return frame(HEADERS, END_HEADERS, 2 * BLOCK * self._windows + 1, bytes(30))[: HEAD_SIZE + 1]

    def drop_calls(self) -> bool:
        """Cancels some calls; what still comes of them is taken."""
        if self._waiting or not self._open_calls:
            return False
        dropped = self._random.sample(sorted(self._open_calls), min(DROPPED_CALLS, len(self._open_calls)))
        self._open_calls.difference_update(dropped)
        self.answered += len(dropped)
        if self.takes:
            self.books.killed_in_flight += len(dropped)
        self.send(b"".join(rst_stream_frame(stream, CANCEL) for stream in dropped))
        return True

    def on_end(self, stream: int) -> None:
        """The call is over."""
        self._over.append(stream)

    def ended(self) -> None:
        """Closes the calls that ended with this read."""
        before = len(self._open_calls)
        self._open_calls.difference_update(self._over)
        self.answered += before - len(self._open_calls)
        self._over.clear()

    def _window_at(self, number: int) -> bytes:
        template = self._template if number else self._first_template
        return template.filled(self._block, 2 * BLOCK * number + 1, 2)

    def _template_of(self, first: bytes, later: bytes) -> Template:
        bodies = _BODIES if self.puts else [framed(b"")] * BLOCK
        heads = [frame(HEADERS, END_HEADERS, 0, block) for block in (first, *[later] * (BLOCK - 1))]
        parts = [head + frame(DATA, END_STREAM, 0, body) for head, body in zip(heads, bodies, strict=True)]
        streams = [(_STREAM_AT, len(head) + _STREAM_AT) for head in heads]
        numbers = None
        if self.puts:
            numbers = [len(head) + HEAD_SIZE + at for head, at in zip(heads, _NUMBER_IN_BODY, strict=True)]
        return Template(parts, numbers, streams)


class UnaryProducer(UnaryPeer):
    """Produce calls."""

    method = "Produce"
    puts = True

    def __init__(self, port: int, books: Books, serial: int) -> None:
        self._acknowledged: list[int] = []
        self._firsts = np.zeros(1024, np.int64)
        super().__init__(port, books, serial)

    def ask(self, first: int) -> None:
        """A block of messages."""
        if self._windows >= len(self._firsts):
            self._firsts = np.concatenate((self._firsts, np.zeros_like(self._firsts)))
        self._firsts[self._windows] = first
        super().ask(first)

    def on_data(self, stream: int, body: bytes) -> None:
        """The answer."""
        if body == PRODUCED:
            self._acknowledged.append(stream)
        else:
            self.books.fault("wrong answer", f"Produce: {body[:SHOWN_BYTES]!r}")

    def take(self) -> bool:
        """Counts the answers of a read."""
        super().take()
        if self._acknowledged:
            calls = np.array(self._acknowledged, np.int64) >> 1
            self._acknowledged.clear()
            self.books.acknowledged(self._firsts[calls // BLOCK] + calls % BLOCK)
        self.ended()
        return False


_FRAMED_EMPTY = b"\0" + len(_CONSUME_EMPTY).to_bytes(4, "big") + _CONSUME_EMPTY


class UnaryConsumer(UnaryPeer):
    """Consume calls. They run beside each other: no order is promised."""

    method = "Consume"
    takes = True

    def __init__(self, port: int, books: Books, serial: int) -> None:
        self._answers: list[bytes] = []
        super().__init__(port, books, serial)

    def on_data(self, stream: int, body: bytes) -> None:
        """The answer."""
        self._answers.append(body)

    def take(self) -> bool:
        """Hands over the messages of a read; whether the queue was empty."""
        super().take()
        answers, self._answers = self._answers, []
        self.ended()
        messages, others = messages_in(answers)
        for other in others:
            if other != _FRAMED_EMPTY:
                self.books.fault("wrong answer", f"Consume: {other[:SHOWN_BYTES]!r}")
        if messages:
            self.books.received(messages, self.serial, in_order=False)
        return bool(others)


class Exchanger(Peer, Http2Link):
    """StreamMessages: each message puts one and takes one."""

    puts = takes = True
    sends_nothing = False

    def __init__(self, port: int, books: Books, serial: int) -> None:
        self.join(books, serial)
        self._blocks: deque[int] = deque()
        self._rests: dict[int, bytes] = {}
        self._answers: list[bytes] = []
        self._own = 0
        self._stream = 1
        self.lasting_streams = (self._stream,)
        bodies = [framed(b"")] * BLOCK if self.sends_nothing else _BODIES
        parts = [frame(DATA, 0, 0, body) for body in bodies]
        numbers = None if self.sends_nothing else [HEAD_SIZE + at for at in _NUMBER_IN_BODY]
        self._template = Template(parts, numbers, [(_STREAM_AT,)] * BLOCK)
        self._headers = call_blocks("/messagequeue.MessageQueue/StreamMessages", f"{HOST}:{port}")
        data_bytes = sum(map(len, bodies))
        super().__init__(port, self._window_at, BLOCK, data_bytes, data_bytes)
        self._call()
        self.begin()

    def ask(self, first: int) -> None:
        """A block of messages."""
        self._blocks.append(first)
        self.start_window()

    def part_of_a_frame(self) -> bytes:
        """The head of DATA, and some of what it announces."""
        return frame(DATA, 0, self._stream, bytes(40))[: HEAD_SIZE + 20]

    def drop_calls(self) -> bool:
        """Cancels the call and begins another; what still comes of the old one is taken."""
        if self._waiting:
            return False
        self.send(rst_stream_frame(self._stream, CANCEL))
        self.count_window()
        self.answered = self.asked
        self._blocks.clear()
        self._stream += 2
        self.lasting_streams = (self._stream,)
        self._call()
        return True

    def on_data(self, stream: int, body: bytes) -> None:
        """Any number of answers, and parts of them."""
        data = self._rests.get(stream, b"") + body
        at, end, before = 0, len(data), len(self._answers)
        while end - at >= 5:
            stop = at + 5 + (data[at + 3] << 8 | data[at + 4])
            if stop > end:
                break
            self._answers.append(data[at:stop])
            at = stop
        self._rests[stream] = data[at:]
        if stream == self._stream:
            self._own += len(self._answers) - before

    def on_end(self, stream: int) -> None:
        """The server ends a call only when we do."""
        if not self.is_ending and stream == self._stream:
            self.books.fault("wrong answer", "the server ended StreamMessages")

    def take(self) -> bool:
        """Hands over the messages of a read; whether the queue was empty."""
        super().take()
        answers, self._answers = self._answers, []
        count, self._own = self._own, 0
        messages, others = messages_in(answers)
        for other in others:
            if other != _FRAMED_EMPTY or not self.sends_nothing:
                self.books.fault("wrong answer", f"StreamMessages: {other[:SHOWN_BYTES]!r}")
        self._count_answers(count)
        if messages:
            self.books.received(messages, self.serial, in_order=True)
        return bool(others)

    def _count_answers(self, count: int) -> None:
        """Each answer says that its message was put in."""
        while count:
            done = BLOCK * len(self._blocks) - self.outstanding  # of the oldest block
            run = min(count, BLOCK - done)
            first = self._blocks[0] + done
            if not self.sends_nothing:
                self.books.acknowledged(slice(first, first + run))
            self.answered += run
            count -= run
            if done + run == BLOCK:
                self._blocks.popleft()

    def _return_room(self) -> None:
        """The connection's only: what a cancelled call used up is not the next one's, and 2 GiB last for a call."""
        self.send(window_update_frame(0, self._unreturned))
        self._unreturned = 0

    def _call(self) -> None:
        self.send(frame(HEADERS, END_HEADERS, self._stream, next(self._headers)))

    def _window_at(self, number: int) -> bytes:
        return self._template.filled(self._blocks[-1], self._stream, 0)


class Drainer(Exchanger):
    """StreamMessages that only takes: its messages are empty."""

    puts = False
    sends_nothing = True
