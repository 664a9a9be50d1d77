"""The native gRPC server's connection: what HTTP/2 reports becomes calls of methods; one read, one write.

Order of the file: Twisted's side; events of HTTP/2; serving; what waits; the end of the connection.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.transports.flow import unacknowledged_bytes
from quickpulse.transports.grpc_contract import DRAINING
from quickpulse.transports.grpc_methods import BatchMethod, StreamMethod, Unimplemented, handed_out
from quickpulse.transports.grpc_open_calls import (
    FIRST_SLICE,
    OpenCall,
    RefusedCall,
    StreamingCall,
    UnaryCall,
    next_slice,
)
from quickpulse.transports.grpc_v0 import unavailable
from quickpulse.transports.under_way import UnderWay
from quickpulse.wire.grpc.requests import TIMEOUT, Call
from quickpulse.wire.grpc.status import OK_TRAILERS, RESPONSE_HEAD, RpcError, Status, only_trailers
from quickpulse.wire.grpc.timeouts import is_in_future, read_timeout
from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.connection import Answer, Connection, Envelope, Role
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import PREFACE

if TYPE_CHECKING:
    from quickpulse.transports.grpc_native import GrpcFactory

_log = Logger()

PING_SECONDS = 25
"""Below the 30 s after which common proxies cut what is silent."""

PING_TIMEOUT_SECONDS = 50
"""Two pings missed."""

LINGER_SECONDS = 5
"""How long the peer's end of the connection is awaited after ours."""

GOAWAY_SECONDS = 1.0
"""How long the answer to the PING between the two GOAWAYs is awaited."""

RECENT_BATCHES = 64
"""Answers whose streams are remembered, so that a reset after the answer is known for a loss."""

_HTTP1 = re.compile(rb"[A-Z]{1,20} [^\r\n]{0,3}")

_NOT_HTTP2 = b"this port speaks gRPC: HTTP/2 with prior knowledge\n"
_HTTP1_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_NOT_HTTP2), _NOT_HTTP2)
)

_ENVELOPE = Envelope(RESPONSE_HEAD, OK_TRAILERS)


@implementer(IHalfCloseableProtocol, IPushProducer)
class GrpcConnection(Protocol):
    """One connection of a client.

    :param factory: what its connections share.
    """

    transport: Any

    def __init__(self, factory: GrpcFactory) -> None:
        self.settings = factory.settings
        self.reactor = factory.reactor
        self.traffic = factory.traffic
        self.http2 = Connection(
            Role.SERVER,
            interpret=factory.read_call,
            volatile=TIMEOUT,
            max_streams=self.settings.max_streams,
            max_header_bytes=self.settings.max_header_bytes,
            window=self.settings.max_inflight_bytes,
        )
        self.handing_out: list[StreamingCall] = []
        """Calls whose messages go out with the next write."""
        self.is_peer_slow = False
        """The buffer to the peer is above high water."""
        self._factory = factory
        self._counts = factory.counts
        self._opening: bytes | None = b""  # what came of the preface; None once it is there
        self._waiting_for = 0  # Deferreds that hold the reading
        self._is_lost = self._is_over = self._is_draining = False
        self._backlog: deque[ev.Event] = deque()
        self._postponed: deque[tuple[UnaryCall, bytes]] = deque()
        self._slice = FIRST_SLICE
        self._written = 0
        self._handed_out = 0  # messages in answers to unary calls that go out with the next write
        self._under_way = UnderWay()
        self._recent: deque[Sequence[int]] = deque(maxlen=RECENT_BATCHES)
        self._last_received = self._last_request = self.reactor.seconds()
        self._timer: IDelayedCall | None = None
        self._linger: IDelayedCall | None = None

    # ---- Twisted's side ----

    def connectionMade(self) -> None:
        """A connection was accepted."""
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self._factory.opened(self)
        self.transport.registerProducer(self, True)
        if self.settings.handshake_seconds:
            self._timer = self.reactor.callLater(self.settings.handshake_seconds, self._never_began)

    def dataReceived(self, data: bytes) -> None:
        """Serve all that lies complete in a read, and answer it with one write."""
        self._counts.received_bytes += len(data)
        if self._is_over:
            return
        if self._opening is not None:
            data = self._open(data)
        self._last_received = now = self.reactor.seconds()
        events = self.http2.receive(data, now)
        if self._waiting_for:
            self._backlog.extend(events)
        else:
            self._serve(events)
        self.flush()

    def pauseProducing(self) -> None:
        """The buffer to the peer is above high water: read no more."""
        self.is_peer_slow = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """It is empty again."""
        self.is_peer_slow = False
        self._go_on()

    def stopProducing(self) -> None:
        """The transport is closing; it reads no more by itself."""

    def readConnectionLost(self) -> None:
        """The peer sends nothing more; it may still read."""
        self._confirm()
        self._is_over = True
        self._lose()

    def writeConnectionLost(self) -> None:
        """Our half is closed; the peer's end is awaited."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection, and count what it took with it."""
        self._is_lost = self._is_over = True
        for timer in (self._timer, self._linger):
            if timer is not None and timer.active():
                timer.cancel()
        lost = self._under_way.messages() + self._handed_out
        for stream in list(self.http2.streams.values()):
            if stream.context is not None:
                lost += stream.context.lost()
        self.traffic.undelivered(lost)
        self._backlog.clear()
        self._postponed.clear()
        self._factory.closed(self)

    def abort(self) -> None:
        """Cut the connection, and know what was under way."""
        self._confirm()
        self.transport.abortConnection()

    def flush(self) -> None:
        """Write what has gathered."""
        data = self.http2.data_to_send()
        if not data or self._is_lost:
            return
        if self._under_way:
            self._confirm()
        self._written += len(data)
        self._counts.sent_bytes += len(data)
        if self._handed_out:
            self._under_way.add(self._written, self._handed_out)
            self._handed_out = 0
        if self.handing_out:
            self._note_handed_out()
        self.transport.write(data)

    # ---- events of HTTP/2 ----

    def _serve(self, events: Sequence[ev.Event]) -> None:
        for at, event in enumerate(events):
            _HANDLERS[type(event)](self, event)
            if self._waiting_for:
                self._backlog.extend(events[at + 1 :])
                return

    def _on_requests(self, event: ev.Requests) -> None:
        call: Call = event.meaning
        self._last_request = self._last_received
        if event.volatiles is not None and not all(map(is_in_future, event.volatiles)):
            self._without_expired(event)
        ids = event.stream_ids
        if not ids:
            return
        if call.refusal is not None:
            answer, reason = call.refusal
            self.traffic.refused(reason, len(ids))
            self.http2.answer_all(ids, answer)
        elif isinstance(call.method, BatchMethod):
            self._serve_batch(call.method, call, event)
        else:
            for at, (stream_id, body) in enumerate(zip(ids, event.bodies, strict=True)):
                stream = self.http2.adopt(stream_id)
                self._open_call(stream, call, event.volatiles[at] if event.volatiles else None)
                self._feed(stream.context, [body])
                stream.context.ended()

    def _on_opened(self, event: ev.Opened) -> None:
        self._last_request = self._last_received
        self._open_call(event.stream, event.meaning, event.volatile)

    def _on_data(self, event: ev.Data) -> None:
        self._feed(event.stream.context, event.chunks)

    def _on_ended(self, event: ev.Ended) -> None:
        call = event.stream.context
        if call is not None and not call.is_over:
            call.ended()

    def _on_fields(self, event: ev.Fields) -> None:
        """A request's trailers: gRPC has none, and they mean nothing."""

    def _on_reset(self, event: ev.Reset) -> None:
        call = event.stream.context
        if event.is_ours:
            self.traffic.refused("bad_request")
        if call is not None:
            self._confirm()
            if isinstance(call, StreamingCall):
                call.under_way.confirm(self._written - unacknowledged_bytes(self.transport))
            self.traffic.undelivered(call.lost())

    def _on_reset_after_end(self, event: ev.ResetAfterEnd) -> None:
        if any(event.stream_id in batch for batch in self._recent):
            self.traffic.undelivered(1)

    def _on_refused(self, event: ev.Refused) -> None:
        self.traffic.refused(event.reason)

    def _on_drained(self, event: ev.Drained) -> None:
        call = event.stream.context
        if isinstance(call, StreamingCall):
            call.drained()
        elif call is not None:
            self._handed_out += call.handed_out
            call.handed_out = 0
        self._serve_postponed()

    def _on_pong(self, event: ev.Pong) -> None:
        if event.data == _BETWEEN_GOAWAYS and self._is_draining:
            self._shut_down()

    def _on_gone_away(self, event: ev.GoneAway) -> None:
        """The client opens no more streams; it closes when it has its answers."""

    def _on_failed(self, event: ev.Failed) -> None:
        self.traffic.refused("flood" if event.code == ErrorCode.ENHANCE_YOUR_CALM else "bad_request")
        self.close()

    # ---- serving ----

    def _without_expired(self, event: ev.Requests) -> None:
        """Answer those of a run whose timeout has no time in it, or is none, and leave the others."""
        kept = []
        for stream_id, body, volatile in zip(event.stream_ids, event.bodies, event.volatiles or (), strict=True):
            if is_in_future(volatile):
                kept.append((stream_id, body, volatile))
            else:
                self.http2.answer(stream_id, only_trailers(self._expired(volatile)))
        columns = zip(*kept, strict=True) if kept else ((), (), ())
        event.stream_ids, event.bodies, event.volatiles = map(list, columns)

    def _expired(self, volatile: bytes) -> RpcError:
        try:
            read_timeout(volatile)
        except ValueError as error:
            self.traffic.refused("bad_request")
            return RpcError(Status.INTERNAL, str(error))
        return RpcError(Status.DEADLINE_EXCEEDED, "deadline exceeded")

    def _serve_batch(self, method: BatchMethod, call: Call, event: ev.Requests) -> None:
        """Serve requests that lay complete in one read: all at once, or in slices where answers may be long."""
        ids, bodies = event.stream_ids, event.bodies
        if not method.hands_out:
            self._serve_slice(method, call, ids, bodies)
            return
        while ids and not self._waiting_for:
            if self._is_full or self._postponed:
                self._postpone(call, event)
                return
            size, before = self._slice, self.http2.queued_bytes
            event.stream_ids, event.bodies = ids[size:], bodies[size:]
            self._serve_slice(method, call, ids[:size], bodies[:size])
            ids, bodies = event.stream_ids, event.bodies
            self._slice = next_slice(size, self.http2.queued_bytes - before)
            if ids:
                self.flush()
        if ids:
            self._backlog.appendleft(event)

    def _serve_slice(self, method: BatchMethod, call: Call, ids: list[int], bodies: list[bytes]) -> None:
        requests = method.parse(bodies, call)
        if RpcError in map(type, requests):
            for stream_id, request in zip(ids, requests, strict=True):
                if isinstance(request, RpcError):
                    self.http2.answer(stream_id, only_trailers(request))
            taken = [pair for pair in zip(ids, requests, strict=True) if not isinstance(pair[1], RpcError)]
            ids, requests = [pair[0] for pair in taken], [pair[1] for pair in taken]
            if not ids:
                return
        try:
            result = method.serve(requests)
        except Exception:
            self._fail_batch(Failure(), ids)
            return
        if type(result) is not int and type(result) is not list and isinstance(result, Deferred):
            result.addCallbacks(
                lambda value: self._reply(method, ids, value), self._fail_batch, errbackArgs=(ids,)
            ).addErrback(self._broken)
            self.hold_until(result)
        else:
            self._reply(method, ids, result)

    def _reply(self, method: BatchMethod, ids: list[int], result: Any) -> None:
        runs = method.answer(result, len(ids))
        if self._is_lost:
            self.traffic.undelivered(handed_out(runs))
            return
        at = 0
        for run in runs:
            if isinstance(run, tuple):
                answer, count = run
                if count:
                    self.http2.answer_all(ids[at : at + count] if count < len(ids) else ids, answer)
            elif run:
                count = len(run)
                self._hand_out(ids[at : at + count], run)
            else:
                count = 0
            at += count

    def _hand_out(self, ids: list[int], bodies: list[bytes]) -> None:
        """Answer with messages of the queue's, and know where they are."""
        self.http2.answer_each(ids, _ENVELOPE, bodies)
        self._recent.append(ids)
        blocked = 0
        if self.http2.is_blocked:
            for stream_id in ids:
                stream = self.http2.streams.get(stream_id)
                if stream is not None:
                    stream.context = call = UnaryCall(self, stream, _ANSWERED, None)
                    call.over()
                    call.handed_out = 1
                    blocked += 1
        self._handed_out += len(ids) - blocked

    def _fail_batch(self, failure: Failure, ids: list[int]) -> None:
        error = unavailable(failure, self.traffic, len(ids))
        if not self._is_lost:
            self.http2.answer_all(ids, only_trailers(error))

    def serve_one(self, call: UnaryCall, body: bytes) -> None:
        """Serve a request of a batch method that has a stream of its own."""
        method: BatchMethod = call.call.method
        if method.hands_out and (self._is_full or self._postponed):
            self._postponed.append((call, body))
            return
        request = method.parse([body], call.call)[0]
        if isinstance(request, RpcError):
            call.fail(request)
            return
        try:
            result = method.serve([request])
        except Exception:
            call.fail(unavailable(Failure(), self.traffic, 1))
            return
        if isinstance(result, Deferred):
            result.addCallbacks(
                lambda value: self._reply_one(call, method, value),
                lambda failure: call.fail(unavailable(failure, self.traffic, 1)),
            ).addErrback(self._broken)
            self.hold_until(result)
        else:
            self._reply_one(call, method, result)

    def _reply_one(self, call: UnaryCall, method: BatchMethod, result: Any) -> None:
        run = next(run for run in method.answer(result, 1) if (run[1] if isinstance(run, tuple) else run))
        if isinstance(run, tuple):
            call.answer(run[0].body)
        elif call.is_over:
            self.traffic.undelivered(1)
        else:
            call.answer(run[0])
            self._recent.append((call.stream.id,))
            if call.stream.pending:
                call.handed_out = 1
            else:
                self._handed_out += 1

    def _open_call(self, stream: Any, call: Call, volatile: bytes | None) -> None:
        """A call that is not over in this read."""
        refusal: Answer | None = None
        if call.refusal is not None:
            refusal, reason = call.refusal
            self.traffic.refused(reason)
        elif volatile is not None and not is_in_future(volatile):
            refusal = only_trailers(self._expired(volatile))
        elif isinstance(call.method, Unimplemented):
            refusal = only_trailers(call.method.error)
            self.traffic.refused("unimplemented")
        elif self._is_draining and isinstance(call.method, StreamMethod):
            refusal = only_trailers(RpcError(Status.UNAVAILABLE, DRAINING))
        if refusal is not None:
            stream.context = RefusedCall(self, stream, call, refusal)
            return
        kind = StreamingCall if isinstance(call.method, StreamMethod) else UnaryCall
        stream.context = kind(self, stream, call, None if volatile is None else read_timeout(volatile))

    def _feed(self, call: OpenCall | None, chunks: list[bytes]) -> None:
        if call is None or call.is_over:
            return
        call.feed(chunks)
        if call.buffered_bytes and not call.is_over and self._buffered_bytes() > self._most_buffered:
            self.traffic.refused("message_too_large")
            most = self._most_buffered
            text = f"more than {most} bytes under way on this connection (--max-inflight-bytes)"
            call.fail(RpcError(Status.RESOURCE_EXHAUSTED, text))

    def _buffered_bytes(self) -> int:
        calls = (stream.context for stream in self.http2.streams.values())
        return sum(call.buffered_bytes for call in calls if call is not None)

    @property
    def _most_buffered(self) -> int:
        """The bound in flight, but never so low that one message of the longest kind cannot come."""
        return max(self.settings.max_inflight_bytes, self.settings.max_message_bytes + 65_536)

    # ---- what waits ----

    @property
    def _is_full(self) -> bool:
        """Whether so much waits for the peer that nothing more should be taken out for it."""
        return self.is_peer_slow or (
            self.http2.is_blocked and self.http2.unsent_bytes > self.settings.max_inflight_bytes
        )

    def _postpone(self, call: Call, event: ev.Requests) -> None:
        """Keep requests until there is room for their answers; each can be cancelled meanwhile."""
        for at, (stream_id, body) in enumerate(zip(event.stream_ids, event.bodies, strict=True)):
            stream = self.http2.adopt(stream_id)
            seconds = read_timeout(event.volatiles[at]) if event.volatiles else None
            stream.context = waiting = UnaryCall(self, stream, call, seconds)
            self._postponed.append((waiting, body))

    def _serve_postponed(self) -> None:
        postponed = self._postponed
        while postponed and not self._is_full and not self._waiting_for:
            call, body = postponed.popleft()
            if not call.is_over:
                rest, self._postponed = postponed, deque()  # it is its turn
                self.serve_one(call, body)
                self._postponed = rest
                self.flush()

    def hold_until(self, result: Deferred[Any]) -> None:
        """Read no further until the Deferred fires."""
        self.hold()
        result.addBoth(lambda _: self.release())

    def hold(self) -> None:
        """Read no further; `release` ends it."""
        self._waiting_for += 1
        self.transport.pauseProducing()

    def release(self) -> None:
        """What was waited for is there."""
        self._waiting_for -= 1
        if self._waiting_for or self._is_lost:
            return
        backlog, self._backlog = self._backlog, deque()
        self._serve(list(backlog))
        self.flush()
        self._go_on()

    def _go_on(self) -> None:
        """Serve what waited for the peer or the queue, and read on."""
        if self._waiting_for or self._is_lost:
            return
        if not self.is_peer_slow:
            self._serve_postponed()
            for stream in list(self.http2.streams.values()):
                if isinstance(stream.context, StreamingCall):
                    stream.context.go_on()
            self.flush()
        if not self.is_peer_slow and not self._waiting_for:
            self.transport.resumeProducing()
        self._finish_drain()

    def _confirm(self) -> None:
        """Find out what has arrived."""
        if self._under_way:
            self._under_way.confirm(self._written - unacknowledged_bytes(self.transport))

    def _note_handed_out(self) -> None:
        for call in self.handing_out:
            if call.handed_out:
                if len(call.under_way) >= RECENT_BATCHES:
                    call.under_way.confirm(self._written - unacknowledged_bytes(self.transport))
                call.under_way.add(self._written, call.handed_out)
                call.handed_out = 0
        self.handing_out.clear()

    def settled(self, call: StreamingCall) -> None:
        """A streaming call is over in order: what it had under way is the connection's now."""
        self._handed_out += call.handed_out
        call.handed_out = 0
        self._under_way.merge(call.under_way)

    def _broken(self, failure: Failure) -> None:
        _log.failure("a gRPC connection failed", failure)
        if not self._is_lost:
            self.abort()

    # ---- the beginning and the end of the connection ----

    def _open(self, data: bytes) -> bytes:
        """Wait for the preface, and tell HTTP/1 that it is wrong here."""
        opening = (self._opening or b"") + data
        if PREFACE.startswith(opening[: len(PREFACE)]):
            self._opening = opening if len(opening) < len(PREFACE) else None
        elif _HTTP1.match(opening) and not self._is_over:
            self.traffic.refused("bad_request")
            self.http2.data_to_send()
            self.transport.write(_HTTP1_ANSWER)
            self._opening = None
            self.close()
            return b""
        else:
            self._opening = None
        if self._opening is not None:
            return b""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.reactor.callLater(PING_SECONDS, self._look)
        return opening

    def _never_began(self) -> None:
        self.traffic.refused("timeout")
        self.abort()

    def _look(self) -> None:
        """Find out, once in a while, whether the peer is there and wants anything."""
        now, idle = self.reactor.seconds(), self.settings.idle_seconds
        quiet = now - self._last_received
        is_ours = self._waiting_for or self.is_peer_slow  # it is we who do not read
        if quiet >= PING_TIMEOUT_SECONDS and not is_ours:
            self.traffic.refused("timeout")
            self.abort()
            return
        if idle and self.http2.is_quiet and now - self._last_request >= idle:
            self.traffic.refused("idle")
            self.http2.shut_down()
            self.close()
            return
        if quiet >= PING_SECONDS and not is_ours:
            self.http2.ping(_ALIVE)
            self.flush()
        self._timer = self.reactor.callLater(min(PING_SECONDS, idle or PING_SECONDS), self._look)

    def drain(self) -> None:
        """Say GOAWAY, serve what is on its way, end streams, and close."""
        if self._is_over or self._is_draining:
            return
        self._is_draining = True
        if self._opening is not None:
            self.close()
            return
        self.http2.announce_shutdown()
        self.http2.ping(_BETWEEN_GOAWAYS)
        self.flush()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self.reactor.callLater(GOAWAY_SECONDS, self._shut_down)

    def _shut_down(self) -> None:
        """The second GOAWAY, and the end of what may last for ever."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.http2.shut_down()
        for stream in list(self.http2.streams.values()):
            if isinstance(stream.context, StreamingCall):
                stream.context.fail(RpcError(Status.UNAVAILABLE, DRAINING))
        self.flush()
        self._finish_drain()

    def _finish_drain(self) -> None:
        if self._is_draining and not self._is_over and self.http2.is_quiet and not self._waiting_for:
            self.close()

    def close(self) -> None:
        """Close without a reset that would destroy answers on their way: half-close, read on and discard."""
        self.flush()
        self._is_over = True
        half_close = getattr(self.transport, "loseWriteConnection", None)
        if half_close is None:  # TLS has its own closing handshake
            self._lose()
        else:
            self.transport.resumeProducing()
            half_close()
            self._linger = self.reactor.callLater(LINGER_SECONDS, self.abort)

    def _lose(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()


_ANSWERED = Call(None)
"""Stands for the call of an answer that waits for the peer's window."""

_ALIVE = b"are you?"
_BETWEEN_GOAWAYS = b"draining"

_HANDLERS: dict[type, Callable[[GrpcConnection, Any], None]] = {
    ev.Requests: GrpcConnection._on_requests,
    ev.Opened: GrpcConnection._on_opened,
    ev.Data: GrpcConnection._on_data,
    ev.Ended: GrpcConnection._on_ended,
    ev.Fields: GrpcConnection._on_fields,
    ev.Reset: GrpcConnection._on_reset,
    ev.ResetAfterEnd: GrpcConnection._on_reset_after_end,
    ev.Refused: GrpcConnection._on_refused,
    ev.Drained: GrpcConnection._on_drained,
    ev.Pong: GrpcConnection._on_pong,
    ev.GoneAway: GrpcConnection._on_gone_away,
    ev.Failed: GrpcConnection._on_failed,
}
