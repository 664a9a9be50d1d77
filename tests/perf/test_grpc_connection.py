"""The connections of the gRPC tools without sockets: what they send is gRPC, and whatever comes is judged."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from hpack import Decoder
from twisted.trial.unittest import SynchronousTestCase

from perf import perf_grpc_throughput
from perf.client import ConnectionEndedError
from perf.exchange import Exchange
from perf.grpc_connection import MAX_ERRORS_IN_A_ROW
from perf.load.calls import framed
from perf.options import Options
from perf.perf_grpc_stream_throughput import StreamConsumer, StreamProducer
from perf.perf_grpc_throughput import UnaryConsumer, UnaryProducer
from quickpulse._generated import messagequeue_pb2 as pb
from quickpulse.wire.grpc.status import RpcError, Status, trailers
from quickpulse.wire.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    frame,
    goaway_frame,
    rst_stream_frame,
    settings_frame,
    window_update_frame,
)
from tests.perf.load.scripted import GOOD_HEAD, GOOD_TRAILERS, data, good, headers
from tests.perf.load.scripted import trailers as end

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4

RUN_TAG = 7

EMPTY = "queue is empty"


class Transport:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_aborted = False

    def write(self, written: bytes) -> None:
        """Keeps it."""
        self.written += written

    def take(self) -> list[tuple[int, int, int, bytes]]:
        """(kind, flags, stream, payload) of the frames since the last time."""
        frames, at, written = [], 0, self.written.removeprefix(PREFACE)
        while at < len(written):
            length, flags, stream = HEAD.unpack_from(written, at)
            stop = at + 9 + (length >> 8)
            frames.append((length & 0xFF, flags, stream, written[at + 9 : stop]))
            at = stop
        self.written = b""
        return frames

    def abort(self) -> None:
        """Notes it."""
        self.is_aborted = True


class GrpcCase(SynchronousTestCase):
    """Connections on a loop of their own, with a clock that stands."""

    def setUp(self) -> None:
        """Pauses take no time."""
        self.patch(perf_grpc_throughput, "ERROR_PAUSE_SECONDS", 0.0)
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)

    def tell(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """On the loop, within a bounded time."""
        self.loop.run_until_complete(asyncio.wait_for(story(), 20))

    async def start(self, kind: Any, *numbers: int, settings: tuple[tuple[int, int], ...] = (), **options: Any) -> Any:
        """A connection that runs, for a server with these settings."""
        chosen = Options(
            **{"mode": "grpc", "in_flight": 3, "payload_bytes": 16, "messages": 5, "producers": 1} | options
        )
        self.exchange = Exchange(chosen, RUN_TAG, 1, lambda: 1.0)
        self.exchange.start()
        connection = kind(self.exchange, "localhost:1", *numbers)
        self.transport = Transport()
        connection.connection_made(self.transport)
        connection.data_received(settings_frame(settings))
        self.assertTrue(connection.connected.done())
        self.transport.take()
        self.running = asyncio.ensure_future(connection.run())
        await asyncio.sleep(0)
        return connection

    async def over(self, connection: Any) -> str:
        """How a connection ended that gave up."""
        self.assertTrue(self.transport.is_aborted)
        connection.connection_lost(None)
        try:
            await self.running
        except ConnectionEndedError as error:
            return str(error)
        raise AssertionError("it ended well")

    def payloads(self, count: int, first: int = 0) -> list[bytes]:
        """The first messages of producer 0."""
        return [self.exchange.payloads.make(0, sequence) for sequence in range(first, first + count)]


def failed(stream: int, status: Status, text: str) -> bytes:
    """A call that ends with a status and nothing else."""
    return end(stream, GOOD_HEAD + trailers(RpcError(status, text)))


def consumed(stream: int, payload: bytes) -> bytes:
    """The answer to a Consume."""
    return headers(stream) + data(stream, framed(payload)) + end(stream)


class ProducerTests(GrpcCase):
    """Produce."""

    def requests(self) -> dict[int, bytes]:
        """Stream to body, of what was written."""
        bodies: dict[int, bytes] = defaultdict(bytes)
        for kind, flags, stream, payload in self.transport.take():
            if kind == HEADERS:
                fields = dict(self.decoder.decode(payload))
                self.assertEqual(fields[":path"], "/messagequeue.MessageQueue/Produce")
                self.assertEqual(fields["content-type"], "application/grpc")
            elif kind == DATA:
                bodies[stream] += payload
                if flags & END_STREAM:
                    self.ended.add(stream)
        return bodies

    def setUp(self) -> None:
        """A server's half of HPACK."""
        super().setUp()
        self.decoder = Decoder()
        self.ended: set[int] = set()

    def test_requests_are_protobuf(self) -> None:
        """Each is a call with its message, of any size; what does not fit waits for the windows."""

        async def story() -> None:
            for size in (16, 127, 128, 16_367, 16_368, 20_000, 70_000):
                self.decoder, self.ended = Decoder(), set()
                await self.start(UnaryProducer, 0, payload_bytes=size)
                bodies = self.requests()
                while self.ended != {1, 3, 5}:
                    updates = b"".join(window_update_frame(stream, 10_000) for stream in (0, 1, 3, 5))
                    self.running_connection(updates)
                    for stream, body in self.requests().items():
                        bodies[stream] = bodies.get(stream, b"") + body
                    self.assertFalse(self.transport.is_aborted)
                sent = [pb.ProduceRequest.FromString(bodies[stream][5:]).payload for stream in (1, 3, 5)]
                self.assertEqual(sent, self.payloads(3), size)
                self.running.cancel()

        self.tell(story)

    def running_connection(self, received: bytes) -> None:
        """Gives the bytes to the connection that was started last."""
        self.connection.data_received(received)

    async def start(self, *arguments: Any, **options: Any) -> Any:
        """Remembers it."""
        self.connection = await super().start(*arguments, **options)
        return self.connection

    def test_cut_anywhere(self) -> None:
        """Answers byte by byte; each is followed by the next request, and the work ends."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0)
            for stream in (1, 3, 5, 7, 9):
                for byte in good(stream):
                    connection.data_received(bytes((byte,)))
            await self.running
            self.assertEqual(self.exchange.ledger.totals().acknowledged, 5)

        self.tell(story)

    def test_in_any_order(self) -> None:
        """Calls beside each other; one that is refused is that one."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0, messages=3)
            full = pb.ProduceResponse(success=False, error="queue is full").SerializeToString()
            refused = headers(3) + data(3, b"\0" + len(full).to_bytes(4, "big") + full) + end(3)
            connection.data_received(good(5) + refused + good(1))
            await self.running
            totals = self.exchange.ledger.totals()
            self.assertEqual((totals.acknowledged, totals.refused, totals.unanswered), (2, 1, 0))

        self.tell(story)

    def test_fewer_streams_than_in_flight(self) -> None:
        """The server's limit holds."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0, settings=((MAX_CONCURRENT_STREAMS, 2),))
            self.assertEqual(sorted(self.requests()), [1, 3])
            connection.data_received(good(1))
            self.assertEqual(sorted(self.requests()), [5])
            self.running.cancel()

        self.tell(story)

    def test_call_that_fails(self) -> None:
        """It is counted, its message stays unanswered, and after a pause the next is sent."""

        async def story() -> None:
            for failure, kind in (
                (failed(1, Status.RESOURCE_EXHAUSTED, "100 % full"), "RESOURCE_EXHAUSTED: 100 % full"),
                (rst_stream_frame(1, 7), "the server reset a call: REFUSED_STREAM"),
                (headers(1) + data(1) + rst_stream_frame(1, 2), "the server reset a call: INTERNAL_ERROR"),
            ):
                connection = await self.start(UnaryProducer, 0, in_flight=1, messages=2)
                connection.data_received(failure)
                self.assertEqual(self.exchange.errors, {kind: 1})
                while connection.paused:
                    await asyncio.sleep(0)
                connection.data_received(good(3))
                await self.running
                totals = self.exchange.ledger.totals()
                self.assertEqual((totals.acknowledged, totals.unanswered), (1, 1))

        self.tell(story)

    def test_failures_in_a_row(self) -> None:
        """It gives up."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0, in_flight=1, messages=100)
            for number in range(MAX_ERRORS_IN_A_ROW):
                connection.data_received(failed(2 * number + 1, Status.INTERNAL, "no"))
                while connection.paused and not self.transport.is_aborted:
                    await asyncio.sleep(0)
            self.assertEqual(await self.over(connection), "gave up after errors in a row")
            self.assertEqual(self.exchange.errors, {"INTERNAL: no": MAX_ERRORS_IN_A_ROW})

        self.tell(story)

    def test_another_mode(self) -> None:
        """It gives up at once."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0)
            connection.data_received(failed(1, Status.UNIMPLEMENTED, "not here"))
            self.assertIn("gave up", await self.over(connection))
            self.assertEqual(self.exchange.errors, {"UNIMPLEMENTED: not here": 1})

        self.tell(story)

    def test_failed_before_it_was_sent(self) -> None:
        """Of a message that the server does not want, the rest is not sent, and the others get the room."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0, in_flight=2, payload_bytes=70_000)
            self.assertEqual((sorted(self.requests()), self.ended), ([1], set()))
            connection.data_received(window_update_frame(0, 1 << 20))
            self.assertEqual(self.ended, set())
            connection.data_received(failed(1, Status.RESOURCE_EXHAUSTED, "too large"))
            written = self.transport.take()
            self.assertIn((RST_STREAM, 0, 1, b"\0\0\0\x08"), written)
            self.assertEqual({stream for kind, _, stream, _ in written if kind == DATA}, {3})
            self.running.cancel()

        self.tell(story)

    def test_faults_of_a_server(self) -> None:
        """Each ends the connection, and is told; what came before it counts."""

        async def story() -> None:
            for received, told in (
                (goaway_frame(1, 0, b"bye"), "GOAWAY, last stream 1, code 0 b'bye'"),
                (good(1), "an answer to no call, or a second one"),
                (good(9), "an answer to no call, or a second one"),
                (headers(3, b"\x8d"), "no gRPC here: :status: 404"),
                (end(3, b"\x8d"), "no gRPC here: :status: 404"),
                (frame(DATA, END_STREAM, 3, b"x"), "no gRPC server's"),
                (headers(3, flags=0) + frame(CONTINUATION, END_HEADERS, 3, b""), "not supported here"),
                (headers(3, b"\x88\x88", flags=0), "not supported here"),
                (b"\x00\xff\xff\0\0\0\0\0\0", "no HTTP/2 here, or a frame of 65535 bytes"),
            ):
                connection = await self.start(UnaryProducer, 0)
                connection.data_received(good(1))
                connection.data_received(received)
                self.assertIn(told, await self.over(connection))
                self.assertEqual(self.exchange.ledger.totals().acknowledged, 1)
            connection = await self.start(UnaryProducer, 0)
            connection.data_received(good(1) + good(3) + goaway_frame(3, 0))
            await self.over(connection)
            self.assertEqual(self.exchange.ledger.totals().acknowledged, 2)

        self.tell(story)

    def test_answers_that_say_nothing(self) -> None:
        """The message stays unanswered."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0, messages=3)
            blank, odd = headers(3) + data(3, framed(b"")) + end(3), headers(5) + data(5, b"\0\0\0\0\x09x") + end(5)
            connection.data_received(headers(1) + end(1) + blank + odd)
            await self.running
            self.assertEqual(self.exchange.errors, {"blank answer": 2, "an answer that is not one message": 1})
            self.assertEqual(self.exchange.ledger.totals().unanswered, 3)

        self.tell(story)

    def test_ping(self) -> None:
        """It is answered, and is no sign that a call will be."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0)
            self.transport.take()
            self.exchange.resting(connection)
            connection.data_received(frame(PING, 0, 0, b"12345678"))
            self.assertEqual(self.transport.take(), [(PING, 1, 0, b"12345678")])
            self.exchange.clock = lambda: 1000.0
            self.assertEqual(self.exchange.silent(), [])
            self.running.cancel()

        self.tell(story)

    def test_http_1(self) -> None:
        """Another kind of server."""

        async def story() -> None:
            exchange = Exchange(Options("grpc", messages=1), RUN_TAG, 1, lambda: 1.0)
            connection, self.transport = UnaryProducer(exchange, "localhost:1", 0), Transport()
            connection.connection_made(self.transport)
            connection.data_received(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self.running = connection.connected
            self.assertIn("no HTTP/2 here: HTTP/1.1 400 Bad Request", await self.over(connection))

        self.tell(story)


class ConsumerTests(GrpcCase):
    """Consume."""

    def test_takes_and_stops(self) -> None:
        """Messages in one block or by themselves, until the queue is empty and all is there."""

        async def story() -> None:
            for messages in (1, 3):
                connection = await self.start(UnaryConsumer, 0, in_flight=messages)
                self.exchange.allot(0, messages)
                self.exchange.accepted(0, 0, messages)
                self.exchange.producing = False
                streams = range(1, 2 * messages + 1, 2)
                payloads = self.payloads(messages)
                connection.data_received(b"".join(map(consumed, streams, payloads)))
                empty = pb.ConsumeResponse(error=EMPTY).SerializeToString()
                body = b"\0" + len(empty).to_bytes(4, "big") + empty
                later = [stream + 2 * messages for stream in streams]
                connection.data_received(b"".join(headers(each) + data(each, body) + end(each) for each in later))
                await self.running
                totals = self.exchange.ledger.totals()
                self.assertEqual((totals.delivered, totals.received, totals.out_of_order), (messages, messages, 0))
                self.assertEqual(self.exchange.empty_count, messages)

        self.tell(story)

    def test_in_pieces(self) -> None:
        """A long message in several frames, beside another."""

        async def story() -> None:
            connection = await self.start(UnaryConsumer, 0, payload_bytes=300)
            self.exchange.allot(0, 2)
            one, other = map(framed, self.payloads(2))
            connection.data_received(headers(1) + headers(3) + data(1, one[:9]) + data(3, other[:200]))
            connection.data_received(data(3, other[200:]) + end(3) + data(1, one[9:]) + end(1))
            self.exchange.book_all()
            totals = self.exchange.ledger.totals()
            self.assertEqual((totals.delivered, totals.damaged), (2, 0))
            self.running.cancel()

        self.tell(story)

    def test_odd_answers(self) -> None:
        """Damaged, blank, of another size, or an error: each is counted as what it is."""

        async def story() -> None:
            connection = await self.start(UnaryConsumer, 0)
            self.exchange.allot(0, 3)
            error = pb.ConsumeResponse(error="no").SerializeToString()
            body = b"\0" + len(error).to_bytes(4, "big") + error
            connection.data_received(consumed(1, b"") + headers(3) + data(3, body) + end(3) + consumed(5, b"x" * 16))
            connection.data_received(consumed(7, b"x" * 20))
            self.exchange.book_all()
            totals = self.exchange.ledger.totals()
            self.assertEqual((totals.blank, totals.damaged), (1, 2))
            self.assertEqual(self.exchange.errors, {"unexpected answer: 'no'": 1})
            self.running.cancel()

        self.tell(story)


def streamed(*answers: pb.StreamMessage) -> bytes:
    """Answers in one DATA frame."""
    messages = [answer.SerializeToString() for answer in answers]
    return data(1, b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages))


class StreamTests(GrpcCase):
    """StreamMessages."""

    def test_requests_are_protobuf(self) -> None:
        """One call; its messages in turn, of any size."""

        async def story() -> None:
            for size in (16, 128, 16_368, 20_000, 70_000):
                connection = await self.start(StreamProducer, 0, 0, payload_bytes=size, mode="grpc_stream")
                body, due = b"", 3 * len(framed(bytes(size)))
                while len(body) < due:
                    frames = self.transport.take()
                    body += b"".join(payload for kind, _, stream, payload in frames if (kind, stream) == (DATA, 1))
                    connection.data_received(window_update_frame(0, 10_000) + window_update_frame(1, 10_000))
                messages = [body[at + 5 : at + due // 3] for at in range(0, due, due // 3)]
                self.assertEqual([pb.StreamMessage.FromString(each).payload for each in messages], self.payloads(3))
                self.running.cancel()

        self.tell(story)

    def test_cut_anywhere(self) -> None:
        """Taken, empty and full answers, byte by byte; then the half-close, and the status."""

        async def story() -> None:
            connection = await self.start(StreamProducer, 0, 0, mode="grpc_stream")
            payloads = self.payloads(5)
            answers = [
                pb.StreamMessage(payload=payloads[0]),
                pb.StreamMessage(error="queue is full"),
                pb.StreamMessage(error=EMPTY),
                pb.StreamMessage(payload=payloads[2]),
                pb.StreamMessage(payload=payloads[3]),
            ]
            for byte in headers(1) + b"".join(map(streamed, answers)):
                connection.data_received(bytes((byte,)))
            self.assertEqual(self.transport.take()[-1], (DATA, END_STREAM, 1, b""))
            connection.data_received(end(1))
            await self.running
            self.exchange.book_all()
            totals = self.exchange.ledger.totals()
            self.assertEqual((totals.acknowledged, totals.refused, self.exchange.empty_count), (4, 1, 1))
            self.assertEqual((totals.delivered, totals.out_of_order), (3, 0))

        self.tell(story)

    def test_consumer(self) -> None:
        """Takes what there is; stops when the queue is empty and all is there."""

        async def story() -> None:
            connection = await self.start(StreamConsumer, 0, in_flight=2, mode="grpc_stream")
            self.exchange.allot(0, 2)
            self.exchange.accepted(0, 0, 2)
            self.exchange.producing = False
            first, second = (pb.StreamMessage(payload=payload) for payload in self.payloads(2))
            connection.data_received(headers(1) + streamed(first, second))
            connection.data_received(streamed(pb.StreamMessage(error=EMPTY), pb.StreamMessage(error=EMPTY)))
            connection.data_received(end(1))
            await self.running
            self.assertEqual(self.exchange.ledger.totals().delivered, 2)

        self.tell(story)

    def test_faults_of_a_server(self) -> None:
        """Each ends the connection, and is told."""

        async def story() -> None:
            for received, told in (
                (end(1, GOOD_TRAILERS), "ended before every message was answered"),
                (failed(1, Status.UNIMPLEMENTED, "unary mode"), "UNIMPLEMENTED: unary mode"),
                (rst_stream_frame(1, 8), "the server reset a call: CANCEL"),
                (streamed(*[pb.StreamMessage(error=EMPTY)] * 4), "more answers than requests"),
                (data(1, b"\1\0\0\0\0"), "compressed"),
                (data(1, b"\0\0\0\0\1\xff"), "no protobuf message"),
            ):
                connection = await self.start(StreamProducer, 0, 0, mode="grpc_stream")
                connection.data_received(headers(1) + received)
                self.assertIn(told, await self.over(connection))

        self.tell(story)


class GoodbyeTests(GrpcCase):
    """The end."""

    def test_goaway(self) -> None:
        """It is said."""

        async def story() -> None:
            connection = await self.start(UnaryProducer, 0)
            self.transport.take()
            connection.say_goodbye()
            self.assertEqual([kind for kind, _, _, _ in self.transport.take()], [GOAWAY])
            self.running.cancel()

        self.tell(story)
