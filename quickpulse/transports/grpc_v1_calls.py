"""The servicer of v1 for grpcio's server: handlers made from the table. What its calls do is in `v1_calls.py`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
from grpc.aio import EOF
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.errors import QuickPulseError, Unauthenticated
from quickpulse.transports.grpc_callers import Callers
from quickpulse.transports.grpc_calls import Draining, OpenStream, OpenStreams, at_leisure
from quickpulse.transports.grpc_contract import DRAINING, NAME
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.transports.v1_calls import AUTHORIZATION, LONG_REPLIES, Connect, rpc_error, serve
from quickpulse.wire.grpc.status import MAX_MESSAGE_CHARS, RpcError, Status
from quickpulse.wire.v1.table import CONNECT_PATH, ROWS, Row

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.transports.tokens import Tokens

_log = Logger()

HIGH_WATER_BYTES = 64 * 1024
"""Frames of a call that may wait for its reader before nothing more is pushed, nor read from it."""

LOW_WATER_BYTES = HIGH_WATER_BYTES // 2
"""Of what waits when it goes on."""

_AUTHORIZATION = AUTHORIZATION.decode()

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class V1Calls:
    """The service `quickpulse.v1.Queues`.

    :param broker: the IBroker.
    :param traffic: the ITraffic.
    :param max_batch_bytes: of a request, or of a frame of Connect.
    :param streams: where long calls are known.
    :param callers: where those who make unary calls are.
    :param tokens: of which a call wants one; None: it does not.
    """

    def __init__(
        self,
        broker: Any,
        traffic: ITraffic,
        max_batch_bytes: int,
        streams: OpenStreams,
        callers: Callers,
        tokens: Tokens | None = None,
    ) -> None:
        self._broker = broker
        self._traffic = traffic
        self._counts = traffic.of(NAME)
        self._max_batch_bytes = max_batch_bytes
        self._streams = streams
        self._callers = callers
        self._tokens = tokens

    def handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        """Method name to handler, for a generic handler of the service. Requests and replies are bytes."""
        handlers = {row.rpc: grpc.unary_unary_rpc_method_handler(self._unary(row)) for row in ROWS if row.rpc}
        handlers[CONNECT_PATH.rpartition("/")[2]] = grpc.stream_stream_rpc_method_handler(self._connect)
        return handlers

    def _unary(self, row: Row) -> Callable[[bytes, Any], Any]:
        ask = getattr(self._broker, row.name)
        is_long = row.kind in LONG_REPLIES

        async def handle(message: bytes, context: Any) -> bytes:
            self._counts.received_bytes += len(message)
            call = self._callers.call(context)
            if is_long:
                await call.has_room()
            try:
                self._admit(context)
                reply = serve(row, ask, message, self._max_batch_bytes, self._traffic, call)
                if isinstance(reply, Deferred):
                    reply.addCallback(call.replied)
                    reply = await _waited(reply, lambda _: self._traffic.undelivered(call.handed_out))
                else:
                    call.replied(reply)
            except RpcError as error:
                await self._fail(error, context)
                raise
            self._counts.sent_bytes += len(reply)
            return reply

        return handle

    async def _connect(self, _requests: Any, context: Any) -> None:
        try:
            digest = self._admit(context)
        except RpcError as error:
            await self._fail(error, context)
            raise
        call = ConnectCall(context, self._broker, self._traffic, self._max_batch_bytes)
        if self._tokens is not None:
            self._tokens.hold(call, digest)
        fault = await call.serve(self._streams)
        if fault is not None:
            await self._fail(fault, context)

    def _admit(self, context: Any) -> bytes:
        """Look at a call's token: what it is known by; b"" where none is asked for.

        :raises RpcError: it is not served.
        """
        if self._tokens is None:
            return b""
        metadata = context.invocation_metadata() or ()
        try:
            return self._tokens.check([_bytes_of(value) for name, value in metadata if name == _AUTHORIZATION])
        except Unauthenticated as error:
            self._traffic.refused("unauthenticated")
            raise rpc_error(error) from None

    async def _fail(self, error: RpcError, context: Any) -> None:
        """End the call with an error."""
        if error.status is Status.UNAVAILABLE and self._streams.is_draining:
            self._streams.refused += 1
        text = error.message[:MAX_MESSAGE_CHARS].encode(errors="replace").decode()  # half a surrogate cannot travel
        fields = tuple((name.decode(), value.decode()) for name, value in error.fields)
        await context.abort(_CODES[error.status], text, fields)


class ConnectCall:
    """One call of Connect. One task reads, one writes; what waits to be written is bounded.

    :param context: grpcio's.
    :param broker: the IBroker.
    :param traffic: the ITraffic.
    :param max_batch_bytes: of a frame.
    """

    def __init__(self, context: Any, broker: Any, traffic: ITraffic, max_batch_bytes: int) -> None:
        self._context = context
        self._traffic = traffic
        self._counts = traffic.of(NAME)
        self.held = HeldLeases()
        self._connect = Connect(self, broker, traffic, max_batch_bytes)
        self._frames: deque[tuple[bytes, int]] = deque()
        self._waiting_bytes = 0
        self._error: RpcError | None = None
        self._stream: OpenStream | None = None
        self._is_closed = self._is_held = self._is_revoked = False
        self._has_frames, self._has_room = asyncio.Event(), asyncio.Event()
        self._has_room.set()

    def send(self, frames: list[bytes], taken: int) -> None:
        """Write frames in their turn; `taken` messages in them are in no queue any more."""
        if self._is_closed:
            self._traffic.undelivered(taken)
            return
        self._waiting_bytes += sum(map(len, frames))
        self._frames.extend((frame, 0) for frame in frames[:-1])
        self._frames.append((frames[-1], taken))
        self._has_frames.set()
        if self._waiting_bytes > HIGH_WATER_BYTES and not self._is_held:
            self._is_held = True
            self._has_room.clear()
            self._connect.hold()

    push = send

    def put_back(self, frames: list[bytes]) -> None:
        """It gets one at a time, and serves it."""
        raise AssertionError("one frame is always served")

    def close(self, error: RpcError | None = None) -> None:
        """End the call when all is written."""
        if not self._is_closed:
            self._is_closed, self._error = True, error
            self._has_frames.set()
            self._has_room.set()

    def revoked(self, error: QuickPulseError) -> None:
        """Its token is not valid any more."""
        self._connect.revoked(error)
        if self._stream is not None and self._stream.is_reading:
            self._is_revoked = True
            self._stream.task.cancel()

    async def serve(self, streams: OpenStreams) -> RpcError | None:
        """Serve the call to its end; the error to end it with."""
        writer = asyncio.ensure_future(self._write())
        try:
            try:
                with streams.opened() as self._stream:
                    await self._read(self._stream, streams)
            except asyncio.CancelledError:
                if not self._is_revoked:
                    raise
            except Draining:
                self._connect.ended()  # what was read is answered
                await writer
                return RpcError(Status.UNAVAILABLE, DRAINING)
            except Exception:
                _log.failure("a call of Connect failed", Failure())
                return RpcError(Status.UNKNOWN, "the handler failed")
            await writer
            return self._error
        finally:
            self._connect.cancelled()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._traffic.undelivered(sum(taken for _, taken in self._frames))

    async def _read(self, stream: OpenStream, streams: OpenStreams) -> None:
        """Serve frames until there are no more, or one of them ends the call."""
        read = self._context.read
        stream.held = self.held
        while not streams.is_draining or streams.waits_for(stream):
            stream.is_reading = True
            await self._has_room.wait()
            try:
                message = await read()
            except Exception:  # of grpcio, without a public name: the client has gone, or the server has stopped
                self._connect.cancelled()
                self.close()
                return
            stream.is_reading = False
            if message is EOF:
                self._connect.ended()
                return
            self._counts.received_bytes += len(message)
            self._connect.messages([message])
            if self._is_closed:
                return
        raise Draining

    async def _write(self) -> None:
        """Write what there is and what comes, until the call is closed."""
        write, frames = self._context.write, self._frames
        while True:
            while frames:
                await write(frames[0][0])
                size = len(frames.popleft()[0])
                self._counts.sent_bytes += size
                self._waiting_bytes -= size
                if self._is_held and self._waiting_bytes <= LOW_WATER_BYTES:
                    self._is_held = False
                    self._has_room.set()
                    self._connect.release()
            if self._is_closed:
                return
            self._has_frames.clear()
            await self._has_frames.wait()


def _bytes_of(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode(errors="replace")


async def _waited(reply: Deferred[bytes], lost: Callable[[bytes], None]) -> bytes:
    """Await a reply. A caller that goes away, or whose deadline passes, waits no more: nothing is leased for it.

    :param lost: gets a reply that came too late to be given up.
    """
    try:
        message: bytes = await at_leisure(reply, lost)
    except asyncio.CancelledError:
        reply.cancel()
        raise
    return message
