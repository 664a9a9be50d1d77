"""What a connection's HTTP/2 events ask of the table's methods, and what waits for the queue or for the peer.

Order of the file: events; requests served at once; calls that are not over in one read; what waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.transports.flow import HeldReader
from quickpulse.transports.grpc_contract import DRAINING
from quickpulse.transports.grpc_methods import BatchMethod, StreamMethod, UnaryMethod, Unimplemented, handed_out
from quickpulse.transports.grpc_open_calls import (
    FIRST_SLICE,
    OpenCall,
    RefusedCall,
    StreamingCall,
    UnaryCall,
    next_slice,
)
from quickpulse.transports.grpc_v0 import unavailable
from quickpulse.transports.handed_out import HandedOut
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.wire.grpc.framing import MAX_INFLATED
from quickpulse.wire.grpc.requests import Call
from quickpulse.wire.grpc.status import OK_TRAILERS, RESPONSE_HEAD, RpcError, Status, only_trailers
from quickpulse.wire.grpc.timeouts import is_in_future, read_timeout
from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.connection import Connection
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.streams import Stream

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.settings import Settings

_log = Logger()

FLUSH_BYTES = 65_536
"""Answers of one read that gather before they are written."""

UNWRITTEN_BYTES = 1_048_576
"""Likewise where single answers may be long: they are written so that the transport can say that its peer is slow."""

TURN_SECONDS = 0.01
"""How long a connection is served before others have their turn: a read may ask for seconds of work."""

_ENVELOPE = Envelope(RESPONSE_HEAD, OK_TRAILERS)


class Link(Protocol):
    """What serving needs of the connection's own side."""

    def flush(self) -> None:
        """Write what has gathered."""

    def pause(self) -> None:
        """Read no more."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Cut the connection."""

    def failed(self, fault: ev.Failed) -> None:
        """The peer broke a rule of HTTP/2."""

    def ponged(self, data: bytes) -> None:
        """The peer answered a PING."""


class Serving:
    """The calls of one connection.

    :param link: the connection's own side.
    :param http2: the protocol's state.
    :param handed: where messages that go out are known.
    :param reactor: for deadlines.
    :param traffic: the ITraffic.
    :param settings: the bounds.
    """

    def __init__(
        self, link: Link, http2: Connection, handed: HandedOut, reactor: Any, traffic: ITraffic, settings: Settings
    ) -> None:
        self.http2 = http2
        self.handed = handed
        self.reactor = reactor
        self.traffic = traffic
        self.settings = settings
        self.flush = link.flush
        self.peer = HeldReader()
        """Who reads the replies; held while too much waits for it."""
        self.held = HeldLeases()
        """What the connection's calls of v1 hold."""
        self.is_peer_slow = False
        """The buffer to the peer is above high water."""
        self.handed_out_bytes = 0
        """Of answers with messages of the queue's, since the connection began."""
        self.buffered_bytes = 0
        """Of messages that are not complete or wait to be served, in all calls."""
        self.is_draining = False
        self.last_request: float = reactor.seconds()
        """When the last request came, or the connection began."""
        self._unmoved: dict[int, tuple[int, float]] = {}  # unary answers that wait: stream to bytes, and since when
        # The bound in flight, but never so low that one message of the longest kind cannot come.
        self._most_buffered = max(
            settings.max_inflight_bytes, max(settings.max_message_bytes, settings.max_batch_bytes) + 65_536
        )
        self._link = link
        self._now = self._turn_began = 0.0
        self._is_lost = False
        self._is_receiving = self._is_resting = False
        self._waiting_for = 0  # Deferreds that hold the reading
        self._gave_bytes = 0  # since answers were written because there were many
        self._unseen_from: int | None = None  # position of answers that a peer may not have seen when it wrote last
        self._backlog: deque[ev.Event] = deque()
        self._postponed: deque[UnaryCall] = deque()
        self._slice = FIRST_SLICE

    # ---- events ----

    def receive(self, data: bytes, now: float) -> None:
        """Serve all that lies complete in a read."""
        self._now = self._turn_began = now
        self._is_receiving = True
        events = self.http2.receive(data, now)
        if self._waiting_for:
            self._backlog.extend(events)
        else:
            self._serve(events)
        self._unseen_from = None
        self._is_receiving = False

    def lost(self) -> None:
        """The connection ended: forget all, and count what it took with it."""
        self._is_lost = True
        lost = self.handed.messages()
        streams = {
            *self.http2.streams.values(),
            *(event.stream for event in self._backlog if isinstance(event, ev.Drained | ev.Reset)),
        }
        for stream in streams:
            if stream.context is not None:
                lost += stream.context.lost()
        self.traffic.undelivered(lost)
        self._backlog.clear()
        self._postponed.clear()
        self.http2.forget()

    def confirm(self) -> None:
        """Find out what has arrived, before the connection is cut."""
        self.handed.confirm_arrived()
        for stream in self.http2.streams.values():
            if isinstance(stream.context, StreamingCall):
                self.handed.confirm_of(stream.context.under_way)

    def end_streams(self) -> None:
        """End with UNAVAILABLE what may last for ever."""
        for stream in list(self.http2.streams.values()):
            if isinstance(stream.context, StreamingCall):
                stream.context.drain(RpcError(Status.UNAVAILABLE, DRAINING))

    def refuse_open(self, refusal: Callable[[Call], RpcError | None]) -> None:
        """End unary calls that are not served yet, and are not admitted any more; and any that wait for their turn."""
        for event in self._backlog:
            if isinstance(event, ev.Requests | ev.Opened):
                error = refusal(event.meaning)
                if error is not None:
                    event.meaning = Call(None, refusal=(only_trailers(error), "unauthenticated"))
        for stream in list(self.http2.streams.values()):
            call = stream.context
            if isinstance(call, UnaryCall) and not call.is_over and not call.is_served:
                error = refusal(call.call)
                if error is not None:
                    self.traffic.refused("unauthenticated")
                    call.fail(error)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for an answer."""
        return not (self._waiting_for or self._is_receiving) and self.http2.is_quiet

    def is_stalled(self, seconds: float) -> bool:
        """Whether the answer to a unary call has waited for its window for so long, and nothing of it went.

        A stream's answers may wait: that is how its reader says that it is busy. Nobody reads a unary call slowly.
        """
        now, unmoved = self.reactor.seconds(), {}
        for stream in self.http2.streams.values():
            if stream.pending and isinstance(stream.context, UnaryCall):
                size = len(stream.pending)
                before, since = self._unmoved.get(stream.id, (size, now))
                unmoved[stream.id] = size, since if before == size else now
        self._unmoved = unmoved
        return any(now - since >= seconds for _, since in unmoved.values())

    @property
    def is_held(self) -> bool:
        """Whether it is we who do not read."""
        return bool(self._waiting_for) or self.is_peer_slow

    def _serve(self, events: Sequence[ev.Event]) -> None:
        for at, event in enumerate(events):
            if at and self.is_turn_over:
                self.rest()
            if self._waiting_for:
                self._backlog.extend(events[at:])
                return
            _HANDLERS[type(event)](self, event)

    def _on_requests(self, event: ev.Requests) -> None:
        call: Call = event.meaning
        self.last_request = self._now
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
                if at and self.is_turn_over:
                    event.keep(range(at, len(ids)))
                    self._backlog.appendleft(event)
                    self.rest()
                    return
                stream = self.http2.adopt(stream_id)
                self._open_call(stream, call, event.volatiles[at] if event.volatiles else None)
                self._feed(stream.context, [body])
                stream.context.ended()

    def _on_opened(self, event: ev.Opened) -> None:
        self.last_request = self._now
        if not event.stream.is_gone:
            self._open_call(event.stream, event.meaning, event.volatile)

    def _on_data(self, event: ev.Data) -> None:
        if not event.stream.is_gone:
            self._feed(event.stream.context, event.chunks)

    def _on_ended(self, event: ev.Ended) -> None:
        call = event.stream.context
        if call is not None and not call.is_over and not event.stream.is_gone:
            call.ended()

    def _on_fields(self, event: ev.Fields) -> None:
        """A request's trailers: gRPC has none, and they mean nothing."""

    def _on_reset(self, event: ev.Reset) -> None:
        call = event.stream.context
        if event.is_ours:
            self.traffic.refused("bad_request")
        if isinstance(call, StreamingCall):
            self.handed.confirm_of(call.under_way, self._unseen_from)
        if call is not None:
            self.traffic.undelivered(call.lost())
        self._serve_postponed()

    def _on_reset_after_end(self, event: ev.ResetAfterEnd) -> None:
        self.traffic.undelivered(self.handed.answered_with(event.stream_id))

    def _on_refused(self, event: ev.Refused) -> None:
        self.traffic.refused(event.reason)

    def _on_drained(self, event: ev.Drained) -> None:
        call = event.stream.context
        if isinstance(call, StreamingCall):
            call.drained()
        elif call is not None:
            self.handed.add(call.handed_out)
            call.handed_out = 0
        self._serve_postponed()

    def _on_pong(self, event: ev.Pong) -> None:
        self._link.ponged(event.data)

    def _on_gone_away(self, event: ev.GoneAway) -> None:
        """The client opens no more streams; it closes when it has its answers."""

    def _on_failed(self, event: ev.Failed) -> None:
        self.traffic.refused("flood" if event.code == ErrorCode.ENHANCE_YOUR_CALM else "bad_request")
        self._link.failed(event)

    # ---- requests served at once ----

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
        if call.is_compressed and len(ids) > MAX_INFLATED:
            self._serve_compressed(method, call, event)
            return
        if not method.hands_out:
            self._serve_slice(method, call, ids, bodies)
            return
        start = self.handed_out_bytes
        while ids and not self._waiting_for:
            if self._is_full or self._postponed:
                self._postpone(call, event)
                return
            size, asked, before = self._slice, len(ids), self.handed_out_bytes
            if asked > size:
                event.stream_ids, event.bodies = ids[size:], bodies[size:]
                event.volatiles = event.volatiles and event.volatiles[size:]
                ids, bodies = ids[:size], bodies[:size]
            else:
                event.stream_ids, event.bodies = [], []
            self._serve_slice(method, call, ids, bodies)
            ids, bodies = event.stream_ids, event.bodies
            if asked >= size or self.handed_out_bytes - before > FLUSH_BYTES:
                self._slice = next_slice(size, min(size, asked), self.handed_out_bytes - before)
            if ids and self.handed_out_bytes - start > FLUSH_BYTES:
                start = self.handed_out_bytes
                self.flush()  # so that the transport can say that its peer is slow
        if ids:
            self._backlog.appendleft(event)

    def _serve_compressed(self, method: BatchMethod, call: Call, event: ev.Requests) -> None:
        """Serve a few, and the rest when others have had their turn: unpacking takes long."""
        rest = ev.Requests(call, event.volatiles and event.volatiles[MAX_INFLATED:])
        rest.stream_ids, rest.bodies = event.stream_ids[MAX_INFLATED:], event.bodies[MAX_INFLATED:]
        event.stream_ids, event.bodies = event.stream_ids[:MAX_INFLATED], event.bodies[:MAX_INFLATED]
        event.volatiles = event.volatiles and event.volatiles[:MAX_INFLATED]
        self._serve_batch(method, call, event)
        self._backlog.append(rest)
        self.rest()

    def _serve_slice(self, method: BatchMethod, call: Call, ids: list[int], bodies: list[bytes]) -> None:
        requests = method.parse(bodies, call)
        if requests is not bodies and RpcError in map(type, requests):
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
        if len(runs) == 1 and type(runs[0]) is list and runs[0]:  # mostly
            self._hand_out(ids, runs[0])
            return
        at = 0
        for run in runs:
            if isinstance(run, tuple):
                answer, count = run
                if count:
                    self.http2.answer_all(ids[at : at + count] if count < len(ids) else ids, answer)
            elif run:
                count = len(run)
                self._hand_out(ids[at : at + count] if count < len(ids) else ids, run)
            else:
                count = 0
            at += count

    def _hand_out(self, ids: list[int], bodies: list[bytes]) -> None:
        """Answer with messages of the queue's, and know where they are."""
        self.handed_out_bytes += self.http2.answer_each(ids, _ENVELOPE, bodies)
        self.handed.answered(ids)
        self.handed.next += len(ids)
        if self.http2.is_blocked:
            for stream_id in ids:
                stream = self.http2.streams.get(stream_id)
                if stream is not None:
                    stream.context = call = UnaryCall(self, stream, _ANSWERED, None)
                    call.over()
                    call.handed_out = 1
                    self.handed.next -= 1

    def _fail_batch(self, failure: Failure, ids: list[int]) -> None:
        error = unavailable(failure, self.traffic, len(ids))
        if not self._is_lost:
            self.http2.answer_all(ids, only_trailers(error))

    def serve_one(self, call: UnaryCall, body: bytes) -> None:
        """Serve a request that has a stream of its own: framed where its method serves batches."""
        method: BatchMethod | UnaryMethod = call.call.method
        if method.hands_out and (self._is_full or self._postponed):
            self._put_off(call, body)
        elif isinstance(method, UnaryMethod):
            call.serve(body)
        else:
            self._serve_single(method, call, body)

    def _serve_single(self, method: BatchMethod, call: UnaryCall, body: bytes) -> None:
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
        elif call.is_unheard:
            self.traffic.undelivered(1)
        else:
            call.answer(run[0])
            self.handed.answered((call.stream.id,))
            if call.stream.pending:
                call.handed_out = 1
            else:
                self.handed.add(1)

    def answered(self, call: UnaryCall, size_bytes: int, messages: int) -> None:
        """A handler has answered; so many messages in it are in no queue any more."""
        if messages:
            self.handed.answered_with_several(call.stream.id, messages)
            if call.stream.pending:
                call.handed_out = messages
            else:
                self.handed.add(messages)
        self.gave(size_bytes)
        if self.http2.is_blocked and not self.peer.is_held and self._is_full:
            self.peer.hold()

    def gave(self, size_bytes: int) -> None:
        """So many bytes of answers were given to HTTP/2."""
        self.handed_out_bytes += size_bytes
        self._gave_bytes += size_bytes
        if self._gave_bytes > UNWRITTEN_BYTES:
            self._gave_bytes = 0
            self.flush()

    # ---- calls that are not over in one read ----

    def _open_call(self, stream: Stream, call: Call, volatile: bytes | None) -> None:
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
        elif self.is_draining and isinstance(call.method, StreamMethod):
            refusal = only_trailers(RpcError(Status.UNAVAILABLE, DRAINING))
        if refusal is not None:
            stream.context = RefusedCall(self, stream, call, refusal)
            return
        kind = StreamingCall if isinstance(call.method, StreamMethod) else UnaryCall
        stream.context = opened = kind(self, stream, call, None if volatile is None else read_timeout(volatile))
        opened.begin()

    def _feed(self, call: OpenCall | None, chunks: list[bytes]) -> None:
        if call is None or call.is_over:
            return
        call.feed(chunks)
        if self.buffered_bytes > self._most_buffered and not call.is_over:
            self.traffic.refused("message_too_large")
            most = self._most_buffered
            text = f"more than {most} bytes under way on this connection (--max-inflight-bytes)"
            call.fail(RpcError(Status.RESOURCE_EXHAUSTED, text))

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
            self._put_off(waiting, body)

    def _put_off(self, call: UnaryCall, body: bytes) -> None:
        if len(self._postponed) > 2 * self.settings.max_streams:  # most of them are over: given up, or out of time
            self._postponed = deque(each for each in self._postponed if not each.is_over)
        call.keep(body)
        self._postponed.append(call)

    def peer_waits(self) -> None:
        """The buffer to the peer is above high water: take out nothing more for it."""
        self.is_peer_slow = True
        self.peer.hold()
        for stream in self.http2.streams.values():
            if isinstance(stream.context, StreamingCall):
                stream.context.hold()

    def peer_reads(self) -> None:
        """The buffer to the peer is empty again."""
        self.is_peer_slow = False
        self._turn_began = self.reactor.seconds()
        self.go_on()

    def _serve_postponed(self) -> None:
        postponed = self._postponed
        while postponed and not self._is_full and not self._waiting_for:
            call = postponed.popleft()
            if not call.is_over:
                rest, self._postponed = postponed, deque()  # it is its turn
                self.serve_one(call, call.take_kept())
                self._postponed = rest
                self.flush()
                if postponed and self.is_turn_over:
                    self.rest()
        if self.peer.is_held and not self._is_full:
            self.peer.release()

    @property
    def is_turn_over(self) -> bool:
        """Whether others should have theirs."""
        over: bool = self.reactor.seconds() - self._turn_began > TURN_SECONDS
        return over

    def rest(self) -> None:
        """Go on in the next turn of the loop."""
        if not self._is_resting:
            self._is_resting = True
            self.hold()
            self.reactor.callLater(0, self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        self.release()

    def hold_until(self, result: Deferred[Any]) -> None:
        """Read no further until the Deferred fires."""
        self.hold()
        result.addBoth(lambda _: self.release())

    def hold(self) -> None:
        """Read no further; `release` ends it."""
        self._waiting_for += 1
        self._link.pause()

    def release(self) -> None:
        """What was waited for is there."""
        self._waiting_for -= 1
        if self._waiting_for or self._is_lost:
            return
        self._turn_began = self.reactor.seconds()
        if self._unseen_from is None:
            self._unseen_from = self.handed.written_bytes
        backlog, self._backlog = self._backlog, deque()
        self._serve(list(backlog))
        self.flush()
        self.go_on()

    def go_on(self) -> None:
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
            self._link.resume()

    def _broken(self, failure: Failure) -> None:
        _log.failure("a gRPC connection failed", failure)
        if not self._is_lost:
            self._link.abort()


_ANSWERED = Call(None)
"""Stands for the call of an answer that waits for the peer's window."""

_HANDLERS: dict[type, Callable[[Serving, Any], None]] = {
    ev.Requests: Serving._on_requests,
    ev.Opened: Serving._on_opened,
    ev.Data: Serving._on_data,
    ev.Ended: Serving._on_ended,
    ev.Fields: Serving._on_fields,
    ev.Reset: Serving._on_reset,
    ev.ResetAfterEnd: Serving._on_reset_after_end,
    ev.Refused: Serving._on_refused,
    ev.Drained: Serving._on_drained,
    ev.Pong: Serving._on_pong,
    ev.GoneAway: Serving._on_gone_away,
    ev.Failed: Serving._on_failed,
}
