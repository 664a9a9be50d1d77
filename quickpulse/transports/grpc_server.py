"""The gRPC listener as a Twisted service: grpcio's asyncio server in the reactor's own loop. That is the bridge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from quickpulse.errors import ListenError, SettingsError
from quickpulse.events import Event
from quickpulse.interfaces import ITransportService
from quickpulse.transports.grpc_callers import Callers
from quickpulse.transports.grpc_calls import AllCalls, Draining, OpenStream, OpenStreams, StreamCalls, UnaryCalls
from quickpulse.transports.grpc_contract import SERVICE
from quickpulse.transports.grpc_v1_calls import V1Calls
from quickpulse.wire.v1.table import SERVICE as V1_SERVICE

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.settings import Settings
    from quickpulse.transports.grpc_addresses import GrpcAddress
    from quickpulse.transports.tokens import Tokens

PROTOBUF_OVERHEAD_BYTES = 1024
"""grpcio's limit counts the whole protobuf; the payload's own limit is checked by the servicers."""

MIN_PING_MILLISECONDS = 10_000
"""Clients may ping this often, with or without calls."""

MAX_PENDING_CALLS = 1_000_000
"""Calls that may wait for their turn: from 1,000 on grpcio would drop some with CANCELLED, which no client expects."""

_NEVER = 2**31 - 1

SEVERED_SECONDS = 1.0
"""Of the drain's time, kept for cutting what has not ended by itself."""

LAST_SECONDS = 0.5
"""Likewise, for telling those who have not settled what they hold that it is too late."""

QUIET_SECONDS = 0.05
"""No new call for this long: what was on its way has been told."""

QUIET_AT_MOST_SECONDS = 1.0
"""Of the drain's time; clients may go on trying for ever."""

REFLECTION_SERVICES = (reflection.SERVICE_NAME, "grpc.reflection.v1.ServerReflection")
"""grpcio-reflection knows v1alpha only; v1, which newer clients ask for, has the same messages field by field."""


class GrpcServer(Service):
    """Shared by all modes: binding, start, health, reflection, drain.

    :param reactor: an asyncio reactor.
    :param address: where to listen.
    :param queue: the IMessageQueue.
    :param traffic: the ITraffic.
    :param settings: the bounds.
    :param broker: the IBroker of v1; None: v1 is not served.
    :param tokens: of which v1 wants one; None: it does not.
    """

    calls: type[UnaryCalls | StreamCalls]
    name = "gRPC"

    def __init__(
        self,
        reactor: Any,
        address: GrpcAddress,
        queue: Any,
        traffic: ITraffic,
        settings: Settings,
        broker: Any = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.addresses: list[str] = []
        self._loop = loop_of(reactor)
        self._address = address
        self._streams = OpenStreams()
        self._callers = Callers(self._loop.time)
        longest = settings.max_message_bytes + PROTOBUF_OVERHEAD_BYTES
        self._calls = self.calls(queue, traffic, settings.max_message_bytes, self._streams, longest)
        self._handlers = {SERVICE: self._calls.handlers()} if settings.v0 == "on" else {}
        if broker is not None:
            calls = V1Calls(broker, traffic, settings.max_batch_bytes, self._streams, self._callers, tokens)
            self._handlers[V1_SERVICE] = calls.handlers()
            longest = max(longest, settings.max_batch_bytes + PROTOBUF_OVERHEAD_BYTES)
        self._longest_message_bytes = longest
        self._max_header_bytes = settings.max_header_bytes
        self._idle_milliseconds = int(settings.idle_seconds * 1000) or _NEVER
        self._health = _Health(self._streams)
        self._server: Any = None
        self._listening = Event()

    def startService(self) -> None:
        """Bind, and start serving in the loop's next turn.

        Made here and not before: a fork (twistd as a daemon) would leave grpcio's threads behind.

        :raises ListenError: the address cannot be listened on.
        """
        super().startService()
        logging.getLogger("grpc").addHandler(_to_twisted_log)
        asyncio.set_event_loop(self._loop)  # Python 3.12 and newer forget it in a daemon's child
        self._server = self._make_server()
        self._bind()
        self._run(self._start()).addCallbacks(self._listening.happened, self._listening.failed)

    def when_listening(self) -> Deferred[None]:
        """Fires when calls are accepted."""
        return self._listening.wait()

    def drain(self, seconds: float) -> Deferred[None]:
        """Let who holds leases settle them, say GOAWAY, let running calls end, end waiting streams with UNAVAILABLE."""
        return self._run(self._drain(max(seconds - SEVERED_SECONDS, 0.0)))

    def stopService(self) -> Deferred[None]:
        """Cut what is open; `drain` comes first where order is wanted."""
        super().stopService()
        logging.getLogger("grpc").removeHandler(_to_twisted_log)
        server, self._server = self._server, None
        return self._run(server.stop(None)) if server is not None else self._run(asyncio.sleep(0))

    def _make_server(self) -> Any:
        server = grpc.aio.server(
            options=[
                ("grpc.optimization_target", "throughput"),
                ("grpc.so_reuseport", 0),  # else a second server binds the same port silently
                ("grpc.max_receive_message_length", self._longest_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", self._max_header_bytes),
                ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
                ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_MILLISECONDS),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", MIN_PING_MILLISECONDS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.max_connection_idle_ms", self._idle_milliseconds),
            ]
        )
        for service, handlers in self._handlers.items():
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
            server.add_registered_method_handlers(service, handlers)  # the faster way, where this grpcio has it
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (*self._handlers, health.SERVICE_NAME)
        methods = {"ServerReflectionInfo": _Reflection(names, self._streams).handler()}
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(name, methods) for name in REFLECTION_SERVICES]
        )
        return server

    def _bind(self) -> None:
        target, credentials = self._address.target, self._address.credentials
        try:
            if credentials is None:
                port = self._server.add_insecure_port(target)
            else:
                port = self._server.add_secure_port(target, credentials)
        except RuntimeError as error:
            raise ListenError(f"{target}: {_reason(error)}") from error
        self.addresses.append(self._address.text(port))

    async def _start(self) -> None:
        await self._server.start()
        for name in ("", *self._handlers):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def _drain(self, seconds: float) -> None:
        end = self._loop.time() + seconds
        quiet = min(QUIET_AT_MOST_SECONDS, seconds)
        for name in ("", *self._handlers):
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        server = self._server
        await asyncio.sleep(0)  # who watches is told before its call ends
        self._streams.drain()
        last_chance = self._loop.call_at(end - quiet - LAST_SECONDS, self._streams.drain_all)
        while self._callers.hold_leases and not self._streams.is_last_chance_over:
            await asyncio.sleep(QUIET_SECONDS)
        await self._until_quiet(quiet)
        await server.stop(max(end - self._loop.time(), 0.0))
        last_chance.cancel()

    async def _until_quiet(self, seconds: float) -> None:
        """Tell UNAVAILABLE to all that is on its way, before grpcio closes.

        It would cancel the calls that wait in its core, and close sockets with unread input, which resets them and
        destroys answers under way.
        """
        for _ in range(int(seconds / QUIET_SECONDS)):
            before = self._streams.refused
            await asyncio.sleep(QUIET_SECONDS)
            if self._streams.refused == before:
                return

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        return Deferred.fromFuture(asyncio.ensure_future(coroutine, loop=self._loop))


@implementer(ITransportService)
class GrpcUnaryServer(GrpcServer):
    """Mode grpc: Produce and Consume."""

    calls = UnaryCalls


@implementer(ITransportService)
class GrpcStreamServer(GrpcServer):
    """Mode grpc_stream: StreamMessages."""

    calls = StreamCalls


@implementer(ITransportService)
class GrpcAllServer(GrpcServer):
    """Mode all: each of the three."""

    calls = AllCalls


class _Health(health.aio.HealthServicer):  # type: ignore[misc]
    """The standard servicer, whose Watch calls end at a drain instead of holding it up."""

    def __init__(self, streams: OpenStreams) -> None:
        super().__init__()
        self._streams = streams

    async def Watch(self, request: Any, context: Any) -> None:
        """Report every change of a service's health."""
        try:
            with self._streams.opened() as stream:
                stream.is_reading = True
                await super().Watch(request, context)
        except Draining:
            await self._streams.refuse(context)


class _Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """The standard servicer, whose calls end at a drain instead of holding it up."""

    def __init__(self, names: tuple[str, ...], streams: OpenStreams) -> None:
        super().__init__(names)
        self._streams = streams

    async def answer(self, _requests: Any, context: Any) -> None:
        """Answer each request of one call."""
        try:
            with self._streams.opened() as stream:
                async for response in self.ServerReflectionInfo(self._read(stream, context), context):
                    await context.write(response)
        except Draining:
            await self._streams.refuse(context)

    async def _read(self, stream: OpenStream, context: Any) -> AsyncIterator[Any]:
        while not self._streams.is_draining:
            stream.is_reading = True
            request = await context.read()
            stream.is_reading = False
            if request is grpc.aio.EOF:
                return
            yield request
        raise Draining

    def handler(self) -> grpc.RpcMethodHandler:
        """The one method of the service."""
        return grpc.stream_stream_rpc_method_handler(
            self.answer,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )


def loop_of(reactor: Any) -> asyncio.AbstractEventLoop:
    """The loop that an asyncio reactor runs on.

    :raises SettingsError: it is another reactor, on which grpcio's asyncio server would hang.
    """
    loop: asyncio.AbstractEventLoop | None = getattr(reactor, "_asyncioEventloop", None)
    if loop is None:
        kind = type(reactor).__name__
        raise SettingsError(
            f"gRPC needs the asyncio reactor, not {kind}: leave --reactor out, or give --reactor=asyncio"
        )
    return loop


def _reason(error: RuntimeError) -> str:
    """Grpcio's text with the system's word in front, where it has one."""
    text = str(error)
    for known in ("Address already in use", "Permission denied", "Cannot assign requested address"):
        if known in text:
            return known
    return text


class _LogHandler(logging.Handler):
    """grpcio logs to the standard library's logging; this carries it to Twisted's log."""

    _log = Logger(namespace="grpc")

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on, unless all that it says is that a client went away while it was answered."""
        if record.exc_info and type(record.exc_info[1]).__name__ == "ExecuteBatchError":
            return
        self._log.warn("{text}", text=self.format(record))


_to_twisted_log = _LogHandler()
