"""grpcio's side of v1: a call of Connect whose peer reads when the test wants it, and callers that go."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc.aio import EOF
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from quickpulse.metrics.traffic import Traffic
from quickpulse.requests import Batch, Deliveries, Delivery, GetQueue, Peek, Publish, Pull, Subscribe
from quickpulse.transports.grpc_callers import Callers
from quickpulse.transports.grpc_calls import OpenStreams
from quickpulse.transports.grpc_v1_calls import HIGH_WATER_BYTES, ConnectCall, V1Calls
from quickpulse.wire.grpc.status import Status
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request
from quickpulse.wire.v1.table import BY_NAME, ROWS
from tests.broker_peers import make_broker
from tests.serving import in_loop, until
from tests.transports.grpc_v1_peers import UnaryContext

MOST = 1_000_000

PULL = BY_NAME["pull"]


class FakeContext:
    """grpcio's, of a call; its peer reads while `reads` is set."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.read_frames: list[tuple[int, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()

    def ask(self, *requests: Any) -> None:
        """The peer writes frames with ids from 1."""
        for number, request in enumerate(requests, start=1):
            self.incoming.put_nowait(write_request(number, request, BINARY))

    async def read(self) -> Any:
        """The next frame of the peer's, or the end of everything."""
        frame = await self.incoming.get()
        if isinstance(frame, Exception):
            raise frame
        return frame

    async def write(self, frame: bytes) -> None:
        """Until it has room."""
        await self.reads.wait()
        self.read_frames.append(read_reply(frame, BINARY))


class ConnectCallTests(TestCase):
    """A call over a memory broker."""

    def setUp(self) -> None:
        """It has begun."""
        self.broker = make_broker()
        self.addCleanup(self.broker.close)
        self.traffic = Traffic()
        self.streams = OpenStreams()
        self.context = FakeContext()
        self.call = ConnectCall(self.context, self.broker, self.traffic, MOST)

    def talk(self, story: Any) -> Deferred:
        """Serve the call meanwhile."""

        async def play() -> None:
            self.serving = asyncio.ensure_future(self.call.serve(self.streams))
            try:
                await story()
            finally:
                self.serving.cancel()
                await asyncio.gather(self.serving, return_exceptions=True)

        return in_loop(asyncio.wait_for(play(), 20))

    def publish(self, count: int, size: int, queue: str = "q") -> None:
        """By somebody else."""
        self.broker.publish(Publish(queue, Batch([bytes(size)] * count)))

    def test_in_order(self) -> Deferred:
        """Each frame is answered, bytes are counted, and after the client's end the call is over."""

        async def story() -> None:
            self.context.ask(Publish("q", Batch((b"a",))), GetQueue("q"), GetQueue("nowhere"))
            self.context.incoming.put_nowait(EOF)
            self.assertIsNone(await self.serving)
            self.assertEqual([number for number, _ in self.context.read_frames], [1, 2, 3])
            counts = self.traffic.of("grpc")
            self.assertGreater(min(counts.received_bytes, counts.sent_bytes), 0)
            self.assertEqual(self.streams._streams, set())

        return self.talk(story)

    def test_the_end_of_everything(self) -> Deferred:
        """A read that fails is the end: nothing waits for the client any more, and no traceback is logged."""

        async def story() -> None:
            self.context.ask(Pull(("q",), wait_ms=60_000), Subscribe("q", 5))
            self.context.incoming.put_nowait(RuntimeError("Server already stopped."))
            self.assertIsNone(await self.serving)
            self.assertEqual(self.broker.get_queue(GetQueue("q")).waiters, 0)
            self.assertEqual(self.flushLoggedErrors(), [])

        return self.talk(story)

    def test_a_peer_that_does_not_read(self) -> Deferred:
        """Little waits for it: nothing more is pushed, and none of its frames is read, until it reads again."""

        async def story() -> None:
            self.context.reads.clear()
            self.publish(40, HIGH_WATER_BYTES // 2)
            self.context.ask(Subscribe("q", 2), *[Peek("q", 1)] * 100)
            await until(lambda: self.call._is_held)
            left = self.context.incoming.qsize()
            self.assertGreater(left, 90)
            held = self.broker.get_queue(GetQueue("q")).leased
            self.publish(1, 1)
            await asyncio.sleep(0.02)
            self.assertEqual((self.context.incoming.qsize(), self.broker.get_queue(GetQueue("q")).leased), (left, held))
            self.assertLess(self.call._waiting_bytes, 4 * HIGH_WATER_BYTES)
            self.context.reads.set()
            await until(lambda: self.context.incoming.empty() and not self.call._frames)
            await until(lambda: self.broker.get_queue(GetQueue("q")).leased == 2)  # pushed in a turn of its own

        return self.talk(story)

    def test_a_peer_that_goes_with_answers_unread(self) -> Deferred:
        """Messages that were taken out for it and not written are counted; leases run out by themselves."""

        async def story() -> None:
            self.context.reads.clear()
            self.publish(5, 10)
            self.context.ask(Pull(("q",), 3, delivery=Delivery.TAKEN), Pull(("q",), 2), Subscribe("q", 5))
            await until(lambda: len(self.call._frames) == 3)
            self.serving.cancel()
            await asyncio.gather(self.serving, return_exceptions=True)
            self.assertEqual(self.traffic.undelivered_total, 3)
            info = self.broker.get_queue(GetQueue("q"))
            self.assertEqual((info.leased, info.waiters), (2, 0))

        return self.talk(story)

    def test_drain(self) -> Deferred:
        """What was read is answered, then UNAVAILABLE; one that comes later is told so at once."""

        async def story() -> None:
            self.context.ask(Pull(("q",), wait_ms=60_000), Subscribe("q", 5))
            await until(lambda: self.context.read_frames)
            self.broker.drain()
            self.streams.drain()
            error = await self.serving
            self.assertEqual((error.status, error.message), (Status.UNAVAILABLE, "server is draining"))
            self.assertEqual(sorted(number for number, _ in self.context.read_frames), [1, 2, 2])
            late = await ConnectCall(FakeContext(), self.broker, self.traffic, MOST).serve(self.streams)
            self.assertEqual(late.status, Status.UNAVAILABLE)

        return self.talk(story)

    def test_a_fault_of_ours(self) -> Deferred:
        """Logged, and no text of it goes out."""

        async def story() -> None:
            def fail(messages: list[bytes]) -> None:
                raise RuntimeError("secret")

            self.patch(self.call._connect, "messages", fail)
            self.context.ask(GetQueue("q"))
            error = await self.serving
            self.assertEqual((error.status, error.message), (Status.UNKNOWN, "the handler failed"))
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

        return self.talk(story)


class SlowBroker:
    """Answers when the test wants it."""

    def __init__(self) -> None:
        self.waiting: list[Deferred] = []
        self.cancelled: list[Deferred] = []

    def __getattr__(self, name: str) -> Any:
        """Any method of the table."""
        if name not in BY_NAME:
            raise AttributeError(name)
        return self._answer_later

    def _answer_later(self, request: Any) -> Deferred:
        self.waiting.append(Deferred(self.cancelled.append))
        return self.waiting[-1]


class CallerTests(TestCase):
    """RPCs whose caller goes."""

    def setUp(self) -> None:
        """Nothing was asked."""
        self.broker = SlowBroker()
        self.traffic = Traffic()
        self.handlers = V1Calls(self.broker, self.traffic, MOST, OpenStreams(), Callers(lambda: 0.0)).handlers()

    def pull(self) -> asyncio.Task:
        """An RPC under way."""
        message = PULL.request.serialize(Pull(("q",), delivery=Delivery.TAKEN))
        return asyncio.ensure_future(self.handlers["Pull"].unary_unary(message, UnaryContext("a")))

    def test_a_handler_for_each(self) -> None:
        """And Connect."""
        self.assertEqual(set(self.handlers), {row.rpc for row in ROWS if row.rpc} | {"Connect"})
        self.assertIsInstance(self.handlers["Connect"], grpc.RpcMethodHandler)

    def test_gone_while_it_waits(self) -> Deferred:
        """The broker hears of it; nothing is logged."""

        async def story() -> None:
            call = self.pull()
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            self.assertTrue(call.cancelled())
            self.assertEqual(self.broker.cancelled, self.broker.waiting)

        return in_loop(story())

    def test_gone_when_the_answer_is_there(self) -> Deferred:
        """What was taken for it is counted as undelivered."""

        async def story() -> None:
            call = self.pull()
            await asyncio.sleep(0)
            self.broker.waiting[0].callback(Deliveries("q", Batch((b"a", b"b"))))
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            self.assertEqual(self.traffic.undelivered_total, 2)

        return in_loop(story())
