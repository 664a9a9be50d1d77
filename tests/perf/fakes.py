"""Servers that cheat by plan, each knowing what it did. They run in a thread, on a loop of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter, deque
from collections.abc import Mapping

import grpc
from grpc import aio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from quickpulse._generated import messagequeue_pb2 as pb
from quickpulse._generated import messagequeue_pb2_grpc as rpc

START_SECONDS = 20.0


class FakeQueue:
    """A queue with a plan of faults.

    plan: by the number of the publish, from 0, what is done to that message: refuse, refuse_but_keep, drop,
        duplicate, damage_body, damage_head, blank, swap (with the one before)
    silent_after: requests after which nothing is answered any more
    capacity: messages that it holds
    """

    def __init__(
        self,
        plan: Mapping[int, str] | None = None,
        silent_after: int | None = None,
        capacity: int = 1_000_000,
    ) -> None:
        self.plan = dict(plan or {})
        self.silent_after = silent_after
        self.capacity = capacity
        self.done: Counter[str] = Counter()
        self.messages: deque[bytes] = deque()
        self.published = self.taken = self.empty_answers = self.requests = 0

    def is_silent(self) -> bool:
        """Whether this request stays without an answer."""
        self.requests += 1
        return self.silent_after is not None and self.requests > self.silent_after

    def put(self, payload: bytes) -> bool:
        """Whether it is acknowledged."""
        fault = self.plan.get(self.published)
        self.published += 1
        if fault is None:
            if len(self.messages) >= self.capacity:
                return False
            self.messages.append(payload)
            return True
        self.done[fault] += 1
        return getattr(self, f"_{fault}")(payload) is not False

    def take(self) -> bytes | None:
        """The oldest, or None."""
        if not self.messages:
            self.empty_answers += 1
            return None
        self.taken += 1
        return self.messages.popleft()

    def _refuse(self, payload: bytes) -> bool:
        return False

    def _refuse_but_keep(self, payload: bytes) -> bool:
        self.messages.append(payload)
        return False

    def _drop(self, payload: bytes) -> None:
        pass

    def _duplicate(self, payload: bytes) -> None:
        self.messages.extend((payload, payload))

    def _damage_body(self, payload: bytes) -> None:
        self.messages.append(payload[:-1] + bytes((payload[-1] ^ 1,)))

    def _damage_head(self, payload: bytes) -> None:
        self.messages.append(payload[:11] + bytes((payload[11] ^ 1,)) + payload[12:])

    def _blank(self, payload: bytes) -> None:
        self.messages.append(b"")

    def _swap(self, payload: bytes) -> None:
        self.messages.insert(len(self.messages) - 1, payload)


class FakeServer:
    """A context manager around a thread; `port` is where it listens on 127.0.0.1."""

    def __init__(self, queue: FakeQueue | None = None) -> None:
        self.queue = queue or FakeQueue()
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    async def serve(self) -> None:
        """Listens, tells `listening`, and serves until cancelled."""
        raise NotImplementedError

    async def listening(self, port: int) -> None:
        """Tells the port, and waits for the end."""
        self.port = port
        self._ready.set()
        await self._over.wait()

    def __enter__(self) -> FakeServer:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise AssertionError("the fake server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_SECONDS)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        await self.serve()


class FakeWebSocketServer(FakeServer):
    """/ws/publish and /ws/consume, by the websockets library."""

    answer_ok: str | bytes = "ok"
    close_after: int | None = None

    async def serve(self) -> None:
        """Until the end."""
        async with serve(self._connection, "127.0.0.1", 0, compression=None, close_timeout=0.2) as server:
            await self.listening(server.sockets[0].getsockname()[1])
            server.close(close_connections=True)

    async def _connection(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # a client that was cheated may end as it likes
            await self._answer(connection)

    async def _answer(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        publishes = connection.request.path == "/ws/publish"
        async for message in connection:
            if self.queue.is_silent():
                continue
            if self.close_after is not None and self.queue.requests > self.close_after:
                await connection.close(1011, "enough")
                return
            if publishes:
                assert isinstance(message, bytes)
                await connection.send(self.answer_ok if self.queue.put(message) else "error: queue is full")
            else:
                taken = self.queue.take()
                await connection.send("error: queue is empty" if taken is None else taken)


class FakeGrpcServer(FakeServer, rpc.MessageQueueServicer):
    """The v0 service, by grpc.aio: every call of both modes."""

    async def serve(self) -> None:
        """Until the end."""
        server = aio.server()
        rpc.add_MessageQueueServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await self.listening(port)
        await server.stop(0)

    async def Produce(self, request: pb.ProduceRequest, context: aio.ServicerContext) -> pb.ProduceResponse:
        """As the contract has it."""
        await self._answer_or_hang()
        if self.queue.put(request.payload):
            return pb.ProduceResponse(success=True)
        return pb.ProduceResponse(success=False, error="queue is full")

    async def Consume(self, request: pb.ConsumeRequest, context: aio.ServicerContext) -> pb.ConsumeResponse:
        """As the contract has it."""
        await self._answer_or_hang()
        taken = self.queue.take()
        return pb.ConsumeResponse(error="queue is empty") if taken is None else pb.ConsumeResponse(payload=taken)

    async def StreamMessages(self, request_iterator, context):  # type: ignore[no-untyped-def]
        """As the contract has it."""
        async for message in request_iterator:
            await self._answer_or_hang()
            if message.payload and not self.queue.put(message.payload):
                yield pb.StreamMessage(error="queue is full")
                continue
            taken = self.queue.take()
            yield (pb.StreamMessage(error="queue is empty") if taken is None else pb.StreamMessage(payload=taken))

    async def _answer_or_hang(self) -> None:
        if self.queue.is_silent():
            await self._over.wait()


class UnimplementedGrpcServer(FakeGrpcServer):
    """Serves the service, but none of its calls: another mode."""

    async def Produce(self, request: pb.ProduceRequest, context: aio.ServicerContext) -> pb.ProduceResponse:
        """Refuses."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Produce is not implemented in streaming mode")
        raise AssertionError("abort raises")

    async def Consume(self, request: pb.ConsumeRequest, context: aio.ServicerContext) -> pb.ConsumeResponse:
        """Refuses."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Consume is not implemented in streaming mode")
        raise AssertionError("abort raises")
