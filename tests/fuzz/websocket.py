"""Random WebSocket frames into two connections, one of each --ws-frames: valid ones, wrong ones, cut-off ones.

    python -m tests.fuzz.websocket --frames 10000000 --seed 1

The connection that leaves all reading to autobahn is the oracle: the fast one has to answer the same bytes, keep the
same messages, close with the same code and count the same refusals, wherever the stream is cut for either of them.
Nothing may escape, and what is kept of a frame that is not complete stays small.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from unittest import mock

from twisted.logger import globalLogPublisher

from quickpulse.queues.memory import MessageQueue
from quickpulse.transports import ws_connection
from quickpulse.transports.loop_transport import TURN_BYTES
from quickpulse.transports.ws_serving import CLOSED, OPEN
from tests.transports.conversation import BINARY, CLOSE, PING, PONG, TEXT, Conversation, LateQueue

BATCHES = 30
"""Of a connection that survives them; then another has its turn."""

AFTER_CLOSE = 2
"""Batches that still come when a connection has failed."""

MOST_IDLE_FRAMES = 50
"""In place of the server's thousand, so that the limit is met."""

MOST_WAITS = 100_000
"""No connection has so many messages to answer, one at a time."""

WRONG = 0.02
"""Part of the items that are wrong, by intent or by a spoilt byte; most of those end the connection."""

SIZES = (0, 1, 2, 3, 4, 5, 11, 31, 32, 33, 64, 124, 125, 126, 127, 200, 1000, 2047, 2048, 2049)
"""Both sides of each place where something is done in another way; the long ones are rarer."""

LONG_SIZES = (65_535, 65_536, 65_537, 70_000)

LIMITS = (10, 125, 126, 1000, 2048, 65_535, 65_536, 70_000)
"""Of a message's length."""

KEYS = (b"\x12\x34\x56\x78", b"\0\0\0\0", b"\xff\x80\x01\xaa", b"\x9f\xe3\x07\xd1")

VARIANTS = 4
"""Payloads of each kind and size that are made once; to make each anew would take longer than all the rest."""

WORDS = ("a", "ü", "€", "😀", "\0", "\x7f", "\u07ff", "\ud7ff", "\uffff", "\U0010ffff")

BROKEN_TEXT = (
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xc0\x80",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"a" * 40 + b"\xfe" + b"a" * 40,
)

CLOSES = (
    b"",
    *(struct.pack("!H", code) for code in (1000, 1001, 1003, 1007, 1011, 1012, 3000, 4999)),
    b"\x03\xe8" + b"bye",
    b"\x03\xe8" + "tschüß".encode(),
    b"\x03\xe8" + b"x" * 123,
)

WRONG_CLOSES = (
    b"\x03",
    *(struct.pack("!H", code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)),
    b"\x03\xe8\xff",
    b"\x03\xe8\xc3",
)


def masked(payload: bytes, first: int, key: bytes, length: bytes | None = None) -> bytes:
    """A client's frame; `length` is how it says its length, where that is not the usual form."""
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes((0x80 | size,))
        elif size < 65_536:
            length = b"\xfe" + struct.pack("!H", size)
        else:
            length = b"\xff" + struct.pack("!Q", size)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return bytes((first,)) + length + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")


def text_of(rng: random.Random, size: int) -> bytes:
    """So many bytes of UTF-8."""
    if rng.random() < 0.5:
        return bytes(rng.randrange(128) for _ in range(min(size, 50))).ljust(size, b"t")
    made = b""
    while len(made) < size and len(made) < 100:
        word = rng.choice(WORDS).encode()
        made += word if len(made) + len(word) <= size else b"x" * (size - len(made))
    return made.ljust(size, b"t")


@cache
def whole_frames(size: int, opcode: int) -> list[bytes]:
    """Plain frames of one size."""
    rng = random.Random(size * 16 + opcode)
    make: Callable[[int], bytes] = rng.randbytes if opcode == BINARY else lambda n: text_of(rng, n)
    keys = [*KEYS, rng.randbytes(4)]
    return [masked(make(size), 0x80 | opcode, rng.choice(keys)) for _ in range(VARIANTS)]


class Peer:
    """Makes what a client sends.

    :param rng: the chance.
    :param most_bytes: the limit of a message's length.
    """

    def __init__(self, rng: random.Random, most_bytes: int) -> None:
        self.rng = rng
        self.most_bytes = most_bytes
        self.sizes = [size for size in SIZES if size <= most_bytes]
        self.small = [size for size in self.sizes if size <= 64]
        self.long = [size for size in LONG_SIZES if size <= most_bytes] or self.sizes[-1:]
        self.makers: list[Callable[[], list[bytes]]] = [
            *[self.run] * 3,
            *[self.mixed] * 4,
            *[self.single] * 6,
            *[self.fragments] * 4,
            self.control,
            self.controls,
        ]
        self.faults: list[Callable[[], list[bytes]]] = [
            self.wrong_head,
            self.wrong_length,
            self.too_long,
            self.too_long_in_fragments,
            self.wrong_continuation,
            self.broken_text,
            self.broken_text_in_fragments,
            self.closing,
            self.wrong_close,
            self.flood,
            self.noise,
            self.spoilt,
            self.spoilt,
            self.cut_off,
        ]

    def item(self) -> list[bytes]:
        """Some frames."""
        return self.rng.choice(self.faults if self.rng.random() < WRONG else self.makers)()

    def key(self) -> bytes:
        """For the mask."""
        return self.rng.choice(KEYS)

    def opcode(self) -> int:
        """Of a message."""
        return self.rng.choice((TEXT, BINARY))

    def payload(self, opcode: int, size: int) -> bytes:
        """Of a message."""
        return self.rng.randbytes(size) if opcode == BINARY else text_of(self.rng, size)

    def run(self) -> list[bytes]:
        """Frames of one size and kind, as many as begin or exceed a run."""
        size, opcode, rng = self.rng.choice(self.small), self.opcode(), self.rng
        count = rng.choice((2, 7, 8, 9, 20, 40)) if rng.random() < 0.97 else rng.choice((255, 256, 257, 600))
        return rng.choices(whole_frames(size, opcode), k=count)

    def mixed(self) -> list[bytes]:
        """Frames of several sizes and kinds."""
        rng = self.rng
        return [
            rng.choice(whole_frames(rng.choice(self.small), self.opcode())) for _ in range(rng.choice((2, 5, 9, 20)))
        ]

    def single(self) -> list[bytes]:
        """One frame of any size."""
        rng = self.rng
        sizes = self.long if rng.random() < 0.02 else self.sizes
        return [rng.choice(whole_frames(rng.choice(sizes), self.opcode()))]

    def fragments(self) -> list[bytes]:
        """A message in several frames, some of them empty, with control frames between them."""
        rng, opcode = self.rng, self.opcode()
        payload = self.payload(opcode, rng.choice(self.small if rng.random() < 0.8 else self.sizes))
        frames = self.fragmented(payload, opcode)
        if rng.random() < 0.3:
            frames.insert(rng.randrange(1, len(frames)), *self.control())
        return frames

    def fragmented(self, payload: bytes, opcode: int) -> list[bytes]:
        """A message in two frames or more, cut anywhere."""
        rng = self.rng
        places = sorted(rng.randrange(len(payload) + 1) for _ in range(rng.randrange(1, 5)))
        ends = zip([0, *places], [*places, len(payload)], strict=True)
        frames = [masked(payload[begin:end], 0, self.key()) for begin, end in ends]
        frames[0] = bytes((opcode,)) + frames[0][1:]
        frames[-1] = b"\x80" + frames[-1][1:]
        return frames

    def control(self) -> list[bytes]:
        """A ping or a pong."""
        rng = self.rng
        payload = rng.randbytes(rng.choice((0, 1, 4, 12, 124, 125)))
        return [masked(payload, 0x80 | rng.choice((PING, PONG)), self.key())]

    def controls(self) -> list[bytes]:
        """Some of them."""
        return [frame for _ in range(self.rng.randrange(1, 6)) for frame in self.control()]

    def wrong_head(self) -> list[bytes]:
        """Reserved bits and opcodes, no mask, a control frame that is fragmented or too long."""
        rng = self.rng
        payload = rng.randbytes(rng.choice((0, 1, 5, 125)))
        kind = rng.randrange(5)
        if kind == 0:
            return [masked(payload, rng.choice((0x80, 0)) | rng.randrange(0x10, 0x80, 0x10) | BINARY, self.key())]
        if kind == 1:
            return [masked(payload, 0x80 | rng.choice((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), self.key())]
        if kind == 2:
            return [bytes((0x80 | rng.choice((TEXT, BINARY, PING, CLOSE)), len(payload))) + payload]
        if kind == 3:
            return [masked(payload, rng.choice((PING, PONG, CLOSE)), self.key())]
        return [masked(bytes(rng.choice((126, 200))), 0x80 | rng.choice((PING, PONG, CLOSE)), self.key())]

    def wrong_length(self) -> list[bytes]:
        """Not in the shortest form, or beyond 2**63."""
        rng, size = self.rng, self.rng.choice((0, 1, 5, 125))
        forms = (b"\xfe" + struct.pack("!H", size), b"\xff" + struct.pack("!Q", size))
        if rng.random() < 0.8:
            return [masked(self.rng.randbytes(size), 0x80 | self.opcode(), self.key(), rng.choice(forms))]
        return [masked(b"", 0x80 | self.opcode(), self.key(), b"\xff" + struct.pack("!Q", 1 << 63 | size))]

    def too_long(self) -> list[bytes]:
        """Over the limit: with its payload, or only the header that says so."""
        size = self.most_bytes + self.rng.choice((1, 1, 2, 100))
        frame = masked(self.rng.randbytes(size), 0x80 | self.opcode(), self.key())
        return [frame if self.rng.random() < 0.7 else frame[:14]]

    def too_long_in_fragments(self) -> list[bytes]:
        """Over the limit only when they are added up."""
        opcode = self.opcode()
        return self.fragmented(self.payload(opcode, self.most_bytes + self.rng.choice((0, 1, 2, 50))), opcode)

    def wrong_continuation(self) -> list[bytes]:
        """Of nothing, or missing."""
        begun = masked(b"begun", self.opcode(), self.key())
        after = self.rng.choice((self.single, self.mixed, self.run))()
        if self.rng.random() < 0.5:
            return [masked(b"of nothing", self.rng.choice((0x80, 0)), self.key()), *after]
        return [begun, *after]

    def broken_text(self) -> list[bytes]:
        """No UTF-8, alone or behind others of its size."""
        rng, broken = self.rng, self.rng.choice(BROKEN_TEXT)
        good = masked(text_of(rng, len(broken)), 0x80 | TEXT, self.key())
        return (
            [good] * rng.choice((0, 1, 8, 20)) + [masked(broken, 0x80 | TEXT, self.key())] + [good] * rng.choice((0, 9))
        )

    def broken_text_in_fragments(self) -> list[bytes]:
        """Likewise."""
        rng = self.rng
        payload = text_of(rng, rng.randrange(5)) + rng.choice(BROKEN_TEXT) + text_of(rng, rng.randrange(5))
        return self.fragmented(payload, TEXT)

    def closing(self) -> list[bytes]:
        """A Close, and what must not be taken behind it."""
        return [masked(self.rng.choice(CLOSES), 0x88, self.key()), *self.rng.choice((self.single, self.mixed))()]

    def wrong_close(self) -> list[bytes]:
        """A code that nobody may send, a reason that is no UTF-8, half a code."""
        return [masked(self.rng.choice(WRONG_CLOSES), 0x88, self.key())]

    def flood(self) -> list[bytes]:
        """About as many control frames, or empty fragments, as are allowed."""
        count, key = MOST_IDLE_FRAMES + self.rng.choice((-2, -1, 0, 1)), self.key()
        if self.rng.random() < 0.5:
            return [masked(b"?", 0x80 | self.rng.choice((PING, PONG)), key)] * count
        fragments = [masked(b"", self.opcode(), key)] + [masked(b"", 0, key)] * (count - 1)
        return [*fragments, masked(b"", 0x80, key)]

    def noise(self) -> list[bytes]:
        """Any bytes."""
        return [self.rng.randbytes(self.rng.randrange(1, 40))]

    def spoilt(self) -> list[bytes]:
        """Good frames with one bit turned, mostly in a header."""
        rng, frames = self.rng, self.rng.choice(self.makers)()
        at = rng.randrange(len(frames))
        spoilt = bytearray(frames[at])
        spoilt[rng.randrange(min(len(spoilt), rng.choice((1, 2, 6, 20))))] ^= 1 << rng.randrange(8)
        frames[at] = bytes(spoilt)
        return frames

    def cut_off(self) -> list[bytes]:
        """Good frames, one of which lacks some bytes, or has too many."""
        rng, frames = self.rng, self.rng.choice(self.makers)()
        at = rng.randrange(len(frames))
        place, count = rng.randrange(len(frames[at]) + 1), rng.randrange(1, 9)
        more = b"" if rng.random() < 0.5 else rng.randbytes(count)
        frames[at] = frames[at][:place] + more + frames[at][place + (0 if more else count) :]
        return frames


class Side:
    """One of the two connections.

    :param ws_frames: its setting.
    :param path: of the handshake.
    :param queue: that it serves from.
    :param most_bytes: longest message.
    """

    def __init__(self, ws_frames: str, path: str, queue: Any, most_bytes: int) -> None:
        self.queue = queue
        self.it = Conversation(path, queue=queue, ws_frames=ws_frames, max_message_bytes=most_bytes).open()
        self.it.transport.clear()
        self.protocol = self.it.protocol
        self.most_kept = most_bytes + 2 * TURN_BYTES  # a message, what is left of a read, and one more read
        self.rest: list[bytes] = []
        self.unread = 0
        self.is_just_paused = False
        self.note_pauses()

    def feed(self, pieces: list[bytes], is_read_once_more: bool = False) -> None:
        """Let these come in, as far as the connection reads; the rest comes when it reads again.

        :param is_read_once_more: one may have been on its way already when reading was paused.
        """
        self.rest += pieces
        transport, protocol = self.it.transport, self.protocol
        if is_read_once_more and self.is_just_paused and self.rest:
            self.is_just_paused = False
            protocol.dataReceived(self.rest.pop(0))
        self.it.clock.advance(0)
        while self.rest and transport.producerState == "producing":
            protocol.dataReceived(self.rest.pop(0))
            self.it.clock.advance(0)

    def note_pauses(self) -> None:
        """Know when reading was paused."""
        pause, transport = self.it.transport.pauseProducing, self.it.transport

        def pause_and_note() -> None:
            self.is_just_paused = transport.producerState == "producing"
            pause()

        transport.pauseProducing = pause_and_note

    def slow_down(self, most_unread: int) -> None:
        """From here on the peer takes so many bytes, then none until it reads again."""
        write, transport = self.it.transport.write, self.it.transport
        self.unread = 0

        def write_slowly(data: bytes) -> None:
            write(data)
            self.unread += len(data)
            if self.unread > most_unread:
                self.peer_stops_reading()

        transport.write = write_slowly

    def peer_stops_reading(self) -> None:
        """The transport's buffer is above high water."""
        transport = self.it.transport
        if transport.producer is not None and transport.producerState == "producing":
            transport.producer.pauseProducing()

    def peer_reads(self) -> None:
        """The buffer is empty again."""
        self.unread = 0
        if self.it.transport.producer is not None and not self.is_cut:
            self.it.transport.producer.resumeProducing()
        self.feed([])

    def queue_answers(self) -> None:
        """What the queue was asked, it does now."""
        if isinstance(self.queue, LateQueue):
            while self.queue.waiting and not self.is_cut:
                self.queue.answer()
                self.feed([])

    def settle(self) -> None:
        """Let everything come that is still to come."""
        self.peer_reads()
        for _ in range(MOST_WAITS):
            self.queue_answers()
            if self.is_over or not (self.protocol._is_waiting or self.rest):
                return
            self.peer_reads()
        raise AssertionError("it waits for nothing")

    @property
    def is_over(self) -> bool:
        """Whether it takes nothing any more."""
        return bool(self.protocol.state == CLOSED) or self.is_cut

    @property
    def is_cut(self) -> bool:
        """Whether it was aborted: a transport calls nobody any more but to tell that."""
        return "abort" in self.it.transport.events

    def messages(self) -> list[bytes]:
        """What is in the queue."""
        queue = self.queue.inner if isinstance(self.queue, LateQueue) else self.queue
        return queue.dequeue_many(1_000_000)

    def seen(self) -> dict[str, object]:
        """What can be seen of a connection from outside, apart from its answers."""
        return {
            "refused": {reason: count for reason, count in self.it.traffic.refused_total.items() if count},
            "sent": self.protocol._counts.sent_bytes,
            "asked": self.protocol._asked,
        }

    def ended(self) -> tuple[object, ...]:
        """How far its end has come."""
        return self.protocol.state, self.protocol.wasClean, self.it.transport.events


def answers_by_kind(data: bytes) -> dict[str, list[bytes]]:
    """The frames that a server sent: messages in order, pongs in order, the Close, and whether it came last.

    A pong is sent at once and an answer at the end of its read, so which is first depends on where the stream was cut.
    """
    kinds: dict[str, list[bytes]] = {"messages": [], "pongs": [], "close": []}
    at = 0
    while at < len(data):
        first, size, start = data[at], data[at + 1], at + 2
        assert first & 0xF0 == 0x80, "a fragment, or a reserved bit"
        if size > 125:
            extra = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + extra], "big"), start + extra
        assert not kinds["close"], "an answer behind the Close"
        opcode = first & 0x0F
        kind = "close" if opcode == CLOSE else "pongs" if opcode == PONG else "messages"
        assert start + size <= len(data), "a frame of ours is cut off"
        kinds[kind].append(data[at : start + size])
        at = start + size
    return kinds


class Session:
    """Two connections and what they are fed.

    :param rng: the chance.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.most_bytes = rng.choice(LIMITS)
        self.peer = Peer(rng, self.most_bytes)
        self.path = rng.choice(("/ws/publish", "/ws/publish", "/ws/consume"))
        self.is_late, self.is_slow = rng.random() < 0.25, rng.random() < 0.25
        self.is_cut_alike = rng.random() < 0.4
        self.is_byte_by_byte, self.is_long = rng.random() < 0.02, rng.random() < 0.1
        capacity = rng.choice((20, 1000, 100_000))
        prefilled = self.prefilled()[:capacity] if self.path == "/ws/consume" else []
        self.fast, self.plain = (self.side(setting, capacity, prefilled) for setting in ("fast", "plain"))
        self.sides = (self.fast, self.plain)
        if self.is_slow:
            most_unread = rng.choice((10, 100, 1000, 10_000))
            for side in self.sides:
                side.slow_down(most_unread)

    def side(self, ws_frames: str, capacity: int, prefilled: list[bytes]) -> Side:
        """One of the two."""
        queue = LateQueue(capacity) if self.is_late else MessageQueue(capacity)
        (queue.inner if isinstance(queue, LateQueue) else queue).enqueue_many(prefilled)
        return Side(ws_frames, self.path, queue, self.most_bytes)

    def prefilled(self) -> list[bytes]:
        """What can be consumed."""
        rng = self.rng
        sizes = [size for size in SIZES if size <= 200] if rng.random() < 0.9 else [*SIZES, *LONG_SIZES]
        return [b"%d" % at + bytes(rng.choice(sizes)) for at in range(rng.choice((0, 30, 1000)))]

    def run(self) -> int:
        """Feed both until they have failed or lived long enough, and return the number of frames."""
        # The two rest at other places, and whether a pong or an answer comes first depends on where.
        frames_at_once = 1_000_000 if self.is_cut_alike else self.rng.choice((3, 30, 1000))
        with mock.patch.object(ws_connection, "FRAMES_AT_ONCE", frames_at_once):
            return self.feed_all()

    def feed_all(self) -> int:
        """The same."""
        count, after = 0, 0
        for _ in range(BATCHES):
            frames = [frame for _ in range(self.rng.randrange(1, 9)) for frame in self.peer.item()]
            count += len(frames)
            self.feed(frames)
            if self.is_cut_alike:
                self.compare_bytes()
            after += self.fast.protocol.state != OPEN
            if after > AFTER_CLOSE or self.fast.is_over:
                break
        self.end()
        return count

    def feed(self, frames: list[bytes]) -> None:
        """One batch, cut at random for each of the two or alike for both."""
        rng, data = self.rng, b"".join(frames)
        if self.is_slow and rng.random() < 0.2:
            for side in self.sides:
                side.peer_stops_reading()
        if self.is_cut_alike and self.is_long and rng.random() < 0.5:
            for side in self.sides:
                side.it.clock.pump([1] * 26)  # a ping of the server's
        pieces, is_read_once_more = list(self.cut(frames, data)), rng.random() < 0.3
        for side in self.sides:
            side.feed(pieces, is_read_once_more)
            if not self.is_cut_alike:
                pieces = list(self.cut(frames, data))
        for side in self.sides:
            self.check_kept(side)
        if self.is_late and rng.random() < 0.7:
            for side in self.sides:
                side.queue_answers()
        if self.is_slow and rng.random() < 0.7:
            for side in self.sides:
                side.peer_reads()
        if self.is_cut_alike and not self.fast.it.factory.is_draining and rng.random() < 0.005:
            for side in self.sides:
                side.it.factory.drain(8)

    def cut(self, frames: list[bytes], data: bytes) -> Iterator[bytes]:
        """A batch in pieces: whole, at the ends of frames, near them, or anywhere."""
        rng = self.rng
        if self.is_byte_by_byte and len(data) < 5000:
            yield from (data[at : at + 1] for at in range(len(data)))
            return
        places = {*range(TURN_BYTES, len(data), TURN_BYTES), len(data)}
        for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
            if rng.random() < 0.5:
                places.add(rng.randrange(len(data) + 1))
            else:
                end = len(b"".join(frames[: rng.randrange(len(frames) + 1)]))
                places.add(max(0, min(len(data), end + rng.choice((0, 0, rng.randrange(-3, 15))))))
        begin = 0
        for place in sorted(places - {0}):
            yield data[begin:place]
            begin = place

    def end(self) -> None:
        """Let everything come that is still to come, end the connections, and compare."""
        for side in self.sides:
            side.settle()
        self.compare_bytes() if self.is_cut_alike else self.compare_kinds()
        self.same("seen", self.fast.seen(), self.plain.seen())
        if self.is_cut_alike:
            self.same("received", *(side.protocol._counts.received_bytes for side in self.sides))
        if self.is_cut_alike or not self.fast.protocol.failedByMe:
            # autobahn judges a header again when more of it has come, and the second fault ends the wait for a Close
            self.same("ended", *(side.ended() for side in self.sides))
        how = self.rng.randrange(3)
        for side in self.sides:
            if how == 0:
                side.protocol.readConnectionLost()
            side.it.lose() if how else side.it.reset()
            assert side.protocol._counts.connections_open == 0
            assert not side.it.clock.getDelayedCalls(), "a timer is left"
        if self.is_cut_alike:  # else the kernel was asked at other times what has arrived
            self.same("undelivered", *(side.it.traffic.undelivered_total for side in self.sides))
        self.same("queues", *(side.messages() for side in self.sides))

    def compare_bytes(self) -> None:
        """The two were fed the same pieces: the same bytes came, in the same order."""
        self.same("answers", *map(self.written, self.sides))
        for side in self.sides:
            side.it.transport.clear()

    def compare_kinds(self) -> None:
        """The two were fed the same stream."""
        self.same("answers", *(answers_by_kind(side.it.written()) for side in self.sides))

    def written(self, side: Side) -> bytes:
        """All that came; the payload of a ping has the time in it."""
        data = side.it.written()
        at = data.find(b"\x89\x0c")
        return data if at < 0 else data[:at] + data[at + 14 :]

    def check_kept(self, side: Side) -> None:
        """What is buffered is bounded."""
        kept = len(side.protocol.data) + sum(map(len, getattr(side.protocol, "_parts", ())))
        assert kept <= side.most_kept, f"{kept} bytes are kept"

    def same(self, what: str, fast: object, plain: object) -> None:
        """Both are."""
        if fast != plain:
            ours, theirs = repr(fast), repr(plain)
            differs = (at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other)
            at = max(next(differs, min(len(ours), len(theirs))) - 100, 0)
            raise AssertionError(f"{what} differ: fast ...{ours[at : at + 300]}\nplain ...{theirs[at : at + 300]}")


class Observer:
    """Failures that were caught and logged are failures too."""

    def __init__(self) -> None:
        self.failures: list[Any] = []

    def __call__(self, event: Any) -> None:
        if "log_failure" in event:
            self.failures.append(event["log_failure"])


def fuzz(frames: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Run sessions until so many frames went in; what the connections ended with is counted.

    :raises AssertionError: or whatever escapes; the message names the seed that repeats it.
    """
    ends: Counter[str] = Counter()
    done = sessions = 0
    began = told = time.monotonic()
    observer = Observer()
    globalLogPublisher.addObserver(observer)
    try:
        with mock.patch.object(ws_connection, "MOST_IDLE_FRAMES", MOST_IDLE_FRAMES):
            while done < frames:
                session = Session(random.Random(seed + sessions))
                try:
                    done += session.run()
                    assert not observer.failures, observer.failures
                except Exception as error:
                    raise AssertionError(f"seed {seed + sessions}: {error!r}") from error
                sessions += 1
                ends[end_of(session)] += 1
                if time.monotonic() - told > 10:
                    told = time.monotonic()
                    tell(f"{done:,} frames, {sessions:,} pairs of connections, {told - began:.0f} s")
    finally:
        globalLogPublisher.removeObserver(observer)
    tell(f"{done:,} frames, {sessions:,} pairs of connections ({dict(ends)}), {time.monotonic() - began:.0f} s")
    return dict(ends)


def end_of(session: Session) -> str:
    """How a connection ended."""
    refused = [reason for reason, count in session.fast.it.traffic.refused_total.items() if count]
    reasons = [reason for reason in refused if reason != "queue_full"]
    return reasons[0] if reasons else "closed" if session.fast.protocol.wasClean else "lived"


HANG_SECONDS = 120
"""No ten seconds' worth of frames take so long."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many frames to feed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first pair (default: %(default)s)")
    options = parser.parse_args()

    def tell(line: str) -> None:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        print(line, flush=True)

    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    fuzz(options.frames, options.seed, tell)


if __name__ == "__main__":
    main()
