"""Clients that do anything at any time: whatever they did, no message is lost without being counted."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.transports.grpc_conversation import (
    CONSUME,
    DATA,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    NOTHING,
    STREAM,
    GrpcConversation,
    exchange,
    frame,
)
from tests.transports.late import LateProvider

WALKS = 100

STEPS = 40

SIZES = (4, 10, 100, 5_000, 40_000, 100_000)


class Walk:
    """One client with a will of its own.

    :param seed: of everything that it does.
    :param mode: "grpc" or "grpc_stream".
    :param is_late: whether the queue answers later.
    :param is_tame: it takes no call back, its kernel confirms all at once, and it ends with FIN.
    """

    def __init__(self, seed: int, mode: str, is_late: bool, is_tame: bool = False) -> None:
        self.is_tame = is_tame
        self.random = random = Random(seed)
        self.mode = mode
        self.provider: Any = LateProvider(100_000) if is_late else None
        window = random.choice((7, 1000, 65_535, 1_000_000))
        self.it = GrpcConversation(
            mode, queue=self.provider, max_inflight_bytes=65_536, max_streams=random.choice((5, 1000))
        ).open(INITIAL_WINDOW_SIZE.to_bytes(2, "big") + window.to_bytes(4, "big"))
        self.queue = self.provider.inner if is_late else self.it.queue
        self.put = 0
        self.open: set[int] = set()
        for _ in range(random.randrange(60)):
            self.queue.enqueue(self.message())

    def message(self) -> bytes:
        """A new one, by its number."""
        self.put += 1
        return self.put.to_bytes(4, "big") + bytes(self.random.choice(SIZES) - 4)

    @property
    def is_over(self) -> bool:
        """Whether the server has cut the connection, so that nothing more is read."""
        return self.it.transport.disconnecting

    def step(self) -> None:
        """Do something; a tame one is not read while the server reads nothing, as it is with sockets."""
        if self.is_tame and self.it.transport.producerState == "paused":
            self.random.choice((self.slow, self.answer, self.wait))()
            return
        self.random.choice(
            (
                self.ask,
                self.ask,
                self.ask,
                self.say_more,
                self.say_more,
                self.widen,
                self.widen,
                self.cancel,
                self.slow,
                self.answer,
                self.answer,
                self.confirm,
                self.wait,
            )
        )()

    def ask(self) -> None:
        """A read full of requests, or of a stream's messages, some cancelled in the same read."""
        it, random, data = self.it, self.random, b""
        for _ in range(random.choice((1, 1, 3, 20))):
            timeout = (("grpc-timeout", random.choice(("0S", "1S", "100S"))),) if random.random() < 0.3 else ()
            if self.mode == "grpc":
                data += it.request(CONSUME, NOTHING, *timeout) if random.random() < 0.9 else it.head(CONSUME, *timeout)
            else:
                data += it.head(STREAM, *timeout)
                data += frame(DATA, 0, it.last_stream, exchange(b"") * random.choice((0, 1, 5)))
            self.open.add(it.last_stream)
            if random.random() < 0.1 and not self.is_tame:
                data += it.reset_frame(it.last_stream)
                self.open.discard(it.last_stream)
        it.say(data)

    def say_more(self) -> None:
        """More on a stream that is open, its end perhaps."""
        if self.open:
            stream = self.random.choice(sorted(self.open))
            stream_of = self.it.protocol._http2.streams.get(stream)
            if stream_of is None or stream_of.is_remote_closed:
                return
            is_unary = self.mode == "grpc"
            body = NOTHING if is_unary else exchange(b"") * self.random.choice((1, 3, 100))
            cut = self.random.randrange(len(body))
            end = is_unary or self.random.random() < 0.3
            self.it.say(frame(DATA, 0, stream, body[:cut]) + frame(DATA, END_STREAM * end, stream, body[cut:]))

    def widen(self) -> None:
        """Windows, of the connection or of a stream."""
        room = self.random.choice((1, 100, 20_000, 500_000))
        if self.random.random() < 0.6 or not self.open:
            self.it.window(room)
        else:
            self.it.window(room, self.random.choice(sorted(self.open)))

    def cancel(self) -> None:
        """A call is given up; its answer may be there already."""
        if self.open and not self.is_tame:
            stream = self.random.choice(sorted(self.open))
            self.open.discard(stream)
            self.it.cancel(stream)

    def slow(self) -> None:
        """The transport's buffer is full, or empty again."""
        if self.it.protocol._serving.is_peer_slow:
            self.it.protocol.resumeProducing()
        else:
            self.it.protocol.pauseProducing()
        self.it.read()

    def answer(self) -> None:
        """The queue answers, or fails."""
        if self.provider is not None and self.provider.waiting:
            self.provider.answer()
            self.it.read()

    def confirm(self) -> None:
        """The peer's kernel has all, or lags behind."""
        self.it.transport.unconfirmed = 0 if self.is_tame else self.random.choice((0, 0, 10_000))

    def wait(self) -> None:
        """Time passes, and deadlines."""
        self.it.answer_pings()
        self.it.advance(self.random.choice((0.05, 2)))

    def end(self) -> None:
        """The connection ends, in one of its ways; the queue answers what it was asked."""
        if not self.is_over:
            (_fin if self.is_tame else self.random.choice(ENDS))(self.it)
        self.it.read()
        self.it.lose()
        while self.provider is not None and self.provider.waiting:
            self.provider.answer()

    def seen(self) -> set[bytes]:
        """The messages that the client has in full."""
        return {payload[:4] for response in self.it.responses.values() for payload in response.payloads if payload}


def _fin(it: GrpcConversation) -> None:
    it.protocol.readConnectionLost()


ENDS = (
    lambda it: None,
    _fin,
    lambda it: it.protocol.abort(),
    lambda it: it.say(frame(DATA, 0, 0, b"a fault")),
    lambda it: (it.factory.drain(3.0), it.read(), it.answer_pings(), it.advance(3.1)),
)
"""How connections end: reset, FIN, cut by us, GOAWAY, a drain."""


class RandomWalkTests(SynchronousTestCase):
    """The account of every walk."""

    def walk(self, mode: str, is_late: bool, is_tame: bool = False) -> None:
        """Walks, each from a seed of its own."""
        for seed in range(WALKS):
            walk = Walk(seed, mode, is_late, is_tame)
            for _ in range(STEPS):
                if not walk.is_over:
                    walk.step()
            walk.end()
            seen = walk.seen()
            left = {payload[:4] for payload in walk.queue.dequeue_many(100_000)}
            gone = {number.to_bytes(4, "big") for number in range(1, walk.put + 1)} - seen - left
            at = f"{mode}, late: {is_late}, seed {seed}"
            self.assertEqual(self.flushLoggedErrors(), [], at)
            self.assertFalse(seen & left, at)
            self.assertLessEqual(len(gone), walk.it.undelivered, at)
            if is_tame:
                self.assertEqual(len(gone), walk.it.undelivered, at)

    def test_unary(self) -> None:
        """Over a queue that answers at once."""
        self.walk("grpc", False)

    def test_unary_late(self) -> None:
        """Over one that answers later."""
        self.walk("grpc", True)

    def test_streams(self) -> None:
        """Likewise."""
        self.walk("grpc_stream", False)

    def test_streams_late(self) -> None:
        """Likewise."""
        self.walk("grpc_stream", True)

    def test_tame_ones(self) -> None:
        """What they have seen is not counted: the account is exact.

        Not so for streams, where a run of answers counts as waiting until its end has gone, nor over a late queue,
        where what a window let go in the read that began the wait does.
        """
        self.walk("grpc", False, is_tame=True)
