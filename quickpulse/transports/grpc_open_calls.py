"""Calls that are not over in one read: a unary request that comes in pieces or is answered later, and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.requests import Reader
from quickpulse.transports.deliveries import UnderWay
from quickpulse.transports.grpc_methods import BatchMethod, StreamHandler, StreamMethod, UnaryMethod, refusal_reason
from quickpulse.wire.grpc.framing import NOT_ONE_MESSAGE, MessageReader, framed
from quickpulse.wire.grpc.requests import Call
from quickpulse.wire.grpc.status import OK_TRAILERS, RESPONSE_HEAD, RpcError, Status, trailers
from quickpulse.wire.http2.answers import Answer
from quickpulse.wire.http2.streams import State, Stream

if TYPE_CHECKING:
    from quickpulse.transports.grpc_serving import Serving

_log = Logger()

MAX_WAITING_BYTES = 64 * 1024
"""Answers of one call that may wait for its reader's window before we take no more of its messages."""


REFUSE_SECONDS = 0.1
"""How long the end of a refused request is awaited."""


class OpenCall:
    """What the kinds share: the stream, the body's reader, the deadline.

    :param serving: the connection's calls.
    :param stream: of HTTP/2.
    :param call: what its fields say.
    :param seconds: until the deadline; None without.
    """

    def __init__(self, serving: Serving, stream: Stream, call: Call, seconds: float | None) -> None:
        self.serving = serving
        self.stream = stream
        self.call = call
        self.peer: Reader = serving.peer
        self.held = serving.held
        most_bytes = getattr(call.method, "max_bytes", None) or serving.settings.max_message_bytes
        self.reader = MessageReader(most_bytes, call.is_compressed)
        self.is_over = False
        self._accounted = 0
        self._deadline: IDelayedCall | None = None
        if seconds is not None:
            self._deadline = serving.reactor.callLater(seconds, self._expire)

    @property
    def is_unheard(self) -> bool:
        """Whether nobody would get an answer: it is over, or was reset, which is still to be told."""
        return self.is_over or self.stream.is_gone

    def seconds_left(self) -> float | None:
        """Until the deadline; None where there is none."""
        if self._deadline is None:
            return None
        left: float = self._deadline.getTime() - self.serving.reactor.seconds()
        return max(left, 0.0)

    def begin(self) -> None:
        """The call is known to its stream."""

    def feed(self, chunks: list[bytes]) -> None:
        """More of the body."""
        reader = self.reader
        try:
            messages = reader.feed(chunks)
        except RpcError as error:
            self.refuse(error)
            return
        if messages:
            self.take(messages)
        if reader.fault is not None and not self.is_over:
            self.refuse(reader.fault)
        elif reader.is_unfinished and not self.is_over:
            self.serving.hold()
            self.serving.reactor.callLater(0, self._feed_on)
        self.account()

    def refuse(self, error: RpcError) -> None:
        """End the call for its peer's fault."""
        self.serving.traffic.refused(refusal_reason(error))
        word_fault = getattr(self.call.method, "word_fault", None)
        self.fail(error if word_fault is None else word_fault(error))

    def take(self, messages: list[bytes]) -> None:
        """Complete messages came."""
        raise NotImplementedError

    def ended(self) -> None:
        """The body is complete."""
        raise NotImplementedError

    def fail(self, error: RpcError) -> None:
        """End the call with an error."""
        raise NotImplementedError

    def over(self) -> None:
        """The call is over; nothing more is sent, and nothing kept."""
        self.is_over = True
        self.reader.clear()
        self.account()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def lost(self) -> int:
        """The peer gave the call up, or the connection ended: messages handed out that did not go."""
        self.over()
        return 0

    def account(self) -> None:
        """Tell the connection what this call holds of the peer's."""
        now = self._buffered_bytes()
        self.serving.buffered_bytes += now - self._accounted
        self._accounted = now

    def _buffered_bytes(self) -> int:
        return self.reader.buffered_bytes

    def _feed_on(self) -> None:
        if not self.is_over:
            self.feed([])
        self.serving.release()

    def _expire(self) -> None:
        self.fail(RpcError(Status.DEADLINE_EXCEEDED, "deadline exceeded"))
        self.serving.flush()


class RefusedCall(OpenCall):
    """A call that is refused whatever it says, once it has said all, or a moment later.

    Not at once: grpcio's asyncio client takes an answer that overtakes its own writing for an internal error.

    :param answer: the refusal.
    """

    def __init__(self, serving: Serving, stream: Stream, call: Call, answer: Answer) -> None:
        super().__init__(serving, stream, call, REFUSE_SECONDS)
        self._answer = answer

    def feed(self, chunks: list[bytes]) -> None:
        """It does not matter."""

    def ended(self) -> None:
        """Refuse it."""
        if not self.is_unheard:
            self.over()
            self.serving.http2.answer(self.stream.id, self._answer)

    def _expire(self) -> None:
        self.ended()
        self.serving.flush()


class UnaryCall(OpenCall):
    """A unary request that comes in pieces, or whose handler answers later."""

    def __init__(self, serving: Serving, stream: Stream, call: Call, seconds: float | None) -> None:
        super().__init__(serving, stream, call, seconds)
        self._messages: list[bytes] = []
        self._waiting: Deferred[Any] | None = None
        self.handed_out = 0
        """Messages of the queue's in an answer, as long as it is not all out: it waits for the peer's window."""
        self._kept = b""

    @property
    def is_served(self) -> bool:
        """Whether its handler was asked, and is yet to answer."""
        return self._waiting is not None

    def take(self, messages: list[bytes]) -> None:
        """The request; a second one is one too many."""
        self._messages += messages
        if len(self._messages) > 1:
            self.refuse(RpcError(Status.INTERNAL, NOT_ONE_MESSAGE))

    def ended(self) -> None:
        """Serve it."""
        if self.is_over:
            return
        if len(self._messages) != 1 or self.reader.buffered_bytes:
            self.refuse(RpcError(Status.INTERNAL, NOT_ONE_MESSAGE))
            return
        message = self._messages.pop()
        self.serving.serve_one(self, framed(message) if isinstance(self.call.method, BatchMethod) else message)

    def keep(self, body: bytes) -> None:
        """The request is to be served later."""
        self._kept = body
        self.account()

    def take_kept(self) -> bytes:
        """Now it is later."""
        body, self._kept = self._kept, b""
        self.account()
        return body

    def over(self) -> None:
        """Keep nothing."""
        self._kept = b""
        super().over()

    def _buffered_bytes(self) -> int:
        return self.reader.buffered_bytes + len(self._kept)

    def serve(self, message: bytes) -> None:
        """Ask the method's own handler."""
        method: UnaryMethod = self.call.method
        try:
            result = method.handle(message, self)
        except Exception:
            self._failed(Failure())
            return
        if isinstance(result, Deferred):
            self._waiting = result
            result.addCallbacks(self._later, self._failed_later).addBoth(lambda _: self.serving.flush())
        else:
            self._later(result)

    def answer(self, body: bytes) -> None:
        """Send the answer, and be done."""
        if not self.is_unheard:
            self.over()
            self.serving.http2.respond(self.stream, RESPONSE_HEAD, body, OK_TRAILERS)

    def fail(self, error: RpcError) -> None:
        """Send the error, and be done."""
        if not self.is_unheard:
            self.over()
            self.serving.http2.respond(self.stream, RESPONSE_HEAD + trailers(error), b"", b"")
            self._give_up()

    def lost(self) -> int:
        """The peer gave it up."""
        super().lost()
        self._give_up()
        return self.handed_out

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _later(self, message: Any) -> None:
        self._waiting = None
        if not isinstance(message, bytes):
            self._failed(Failure(TypeError(f"a handler answers with bytes, not {type(message).__name__}")))
            return
        taken, self.handed_out = self.handed_out, 0
        if self.is_unheard:
            self.serving.traffic.undelivered(taken)
        else:
            self.answer(framed(message))
            self.serving.answered(self, len(message), taken)

    def _failed_later(self, failure: Failure) -> None:
        self._waiting = None
        self._failed(failure)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, RpcError):
            if not (self.is_over and isinstance(error, CancelledError)):
                _log.failure("a handler failed", failure)
            error = RpcError(Status.UNKNOWN, "the handler failed")
        self.fail(error)


class StreamingCall(OpenCall):
    """A call of a streaming method.

    Its messages are served as they come. While its answers wait for the peer's window, or its handler for a Deferred,
    they gather here, and the peer gets no new room for more.
    """

    def __init__(self, serving: Serving, stream: Stream, call: Call, seconds: float | None) -> None:
        super().__init__(serving, stream, call, seconds)
        method: StreamMethod = call.method
        self.under_way = UnderWay()
        self._unsent = 0  # such messages that wait for the peer's window
        self._has_head = False
        self._has_ended = False
        self._is_waiting = self._is_going_on = self._is_pushing_held = False
        self._last_error: RpcError | None = None  # ends the call when its handler is done
        self._waiting: list[Any] = []  # parsed messages
        self._waiting_bytes = 0
        self._slice = FIRST_SLICE
        self._parse, self._parse_bodies = method.parse, method.parse_bodies
        self._handler: StreamHandler = _NO_HANDLER

    def begin(self) -> None:
        """Make the handler."""
        try:
            self._handler = self.call.method.make_handler(self)
        except Exception:
            self._broken(Failure())

    def _buffered_bytes(self) -> int:
        return self.reader.buffered_bytes + self._waiting_bytes

    def feed(self, chunks: list[bytes]) -> None:
        """More of the body; DATA frames are often one short message each."""
        if self._parse_bodies is not None and not self.reader.buffered_bytes:
            messages = self._parse_bodies(chunks)
            if None not in messages:
                self._take(messages)
                if self._waiting or self._accounted:
                    self.account()
                return
        super().feed(chunks)

    def take(self, messages: list[bytes]) -> None:
        """Complete messages came."""
        self._take(self._parse(messages))

    def _take(self, messages: list[Any]) -> None:
        """Serve messages, or keep them until there is room for the answers."""
        if self._waiting or len(messages) > self._slice or self._is_full:
            self._waiting += messages
            self._waiting_bytes += _size(messages)
            self.go_on()
        elif not self.is_over:
            self._serve(messages)
            if self._waiting:  # of which some were put back
                self.go_on()

    def ended(self) -> None:
        """The peer has said all; what waits is served first."""
        self._has_ended = True
        if not self._waiting and not self._is_waiting:
            self._finish()

    def send(self, framed: bytes, handed_out: int = 0) -> None:
        """Send framed messages."""
        http2, stream = self.serving.http2, self.stream
        if self.is_over or stream.state is State.CLOSED:  # is_unheard, but on the way of every answer
            self.serving.traffic.undelivered(handed_out)
            return
        if not self._has_head:
            self._has_head = True
            http2.send_headers(stream, RESPONSE_HEAD)
        http2.send_data(stream, framed)
        if stream.pending:
            self._unsent += handed_out
        elif handed_out:
            self.serving.handed.add_to(self.under_way, handed_out)
        self.serving.gave(len(framed))

    def push(self, framed: bytes, handed_out: int = 0) -> None:
        """Send what no message asked for, and write it; the handler, a PushingHandler, hears when it is too much."""
        self.send(framed, handed_out)
        self.serving.flush()
        if self._is_full:
            self.hold()

    def put_back(self, messages: list[Any]) -> None:
        """Serve them when there is room for the answers."""
        if not self.is_over:
            self._waiting[:0] = messages
            self._waiting_bytes += _size(messages)

    def hold(self) -> None:
        """The peer does not keep up: the handler, if it pushes, hears of it."""
        if not self._is_pushing_held and not self.is_over and hasattr(self._handler, "hold"):
            self._is_pushing_held = True
            self._handler.hold()

    def over(self) -> None:
        """Keep nothing."""
        self._waiting.clear()
        self._waiting_bytes = 0
        super().over()

    def close(self, error: RpcError | None = None) -> None:
        """End the call."""
        if self.is_unheard:
            return
        self.over()
        tail = OK_TRAILERS if error is None else trailers(error)
        if self._has_head:
            self.serving.http2.end(self.stream, tail)
        else:
            self.serving.http2.respond(self.stream, RESPONSE_HEAD + tail, b"", b"")
        if not self._unsent:
            self.serving.handed.ended(self.under_way)

    def fail(self, error: RpcError) -> None:
        """End it with an error that the handler did not make."""
        if not self.is_unheard:
            self.close(error)
            self._handler.cancelled()

    def drain(self, error: RpcError) -> None:
        """End it with an error as soon as its handler is done with what it has."""
        if self._is_waiting or (self._waiting and not self._is_full):
            self._last_error = error
        else:
            self.fail(error)

    def lost(self) -> int:
        """The peer gave it up."""
        if not self.is_over:
            super().lost()
            self._handler.cancelled()
        return self._unsent + self.under_way.messages()

    def drained(self) -> None:
        """What waited for the window has gone."""
        if self._unsent:
            self.serving.handed.add_to(self.under_way, self._unsent)
            self._unsent = 0
        if self.is_over:
            self.serving.handed.ended(self.under_way)
        else:
            self.go_on()

    def go_on(self) -> None:
        """Serve what waits, slice by slice, while there is room for the answers."""
        if self._is_going_on:  # a Deferred that had fired already: the loop below goes on
            return
        self._is_going_on = True
        while self._waiting and not self._is_full and not self.is_unheard:
            if self.serving.is_turn_over:
                self.serving.rest()
                break
            part, self._waiting = self._waiting[: self._slice], self._waiting[self._slice :]
            self._waiting_bytes -= _size(part)
            before = self.serving.handed_out_bytes
            self._serve(part)
            self._slice = next_slice(self._slice, len(part), self.serving.handed_out_bytes - before)
        self._is_going_on = False
        self.account()
        if self._last_error is not None and not self._is_waiting and (self._is_full or not self._waiting):
            self.fail(self._last_error)
        if self._is_pushing_held and not self._is_full and not self.is_over:
            self._is_pushing_held = False
            self._handler.release()  # type: ignore[attr-defined]
        if self._waiting and not self.is_over:
            self.serving.http2.hold(self.stream)
        elif self.stream.is_held:
            self.serving.http2.release(self.stream)
        if self._has_ended and not self._waiting and not self._is_waiting:
            self._finish()

    @property
    def _is_full(self) -> bool:
        return self._is_waiting or len(self.stream.pending) > MAX_WAITING_BYTES or self.serving.is_peer_slow

    def _serve(self, messages: list[Any]) -> None:
        try:
            result = self._handler.messages(messages)
        except Exception:
            self._broken(Failure())
            return
        if result is not None:
            self._is_waiting = True
            self.serving.hold()
            result.addErrback(self._broken).addCallback(self._served)
            result.addBoth(lambda _: self.serving.release())

    def _served(self, _: None) -> None:
        self._is_waiting = False
        self.go_on()

    def _broken(self, failure: Failure) -> None:
        _log.failure("a handler failed", failure)
        self.fail(RpcError(Status.UNKNOWN, "the handler failed"))

    def _finish(self) -> None:
        if self.is_over:
            return
        if self.reader.buffered_bytes:
            self.refuse(RpcError(Status.INTERNAL, "the last message is cut off"))
            return
        try:
            self._handler.ended()
        except Exception:
            self._broken(Failure())


class _NoHandler:
    """In the place of a handler that could not be made."""

    def messages(self, messages: list[Any]) -> None:
        """Nobody takes them."""

    def ended(self) -> None:
        """Nobody cares."""

    def cancelled(self) -> None:
        """Nor here."""


_NO_HANDLER = _NoHandler()

FIRST_SLICE = 4
"""Messages served at once, before it is known how long the answers are."""

_MOST_AT_ONCE = 128
"""Bounds what is taken out for one connection when long messages follow short ones."""
_SLICE_BYTES = 256 * 1024


def _size(messages: list[Any]) -> int:
    """About what parsed messages hold, in bytes."""
    return sum(len(message or b"") for message in messages)


def next_slice(size: int, served: int, answer_bytes: int) -> int:
    """How many messages to serve at once, after at most `size` were, for so many bytes: about 256 KiB of answers."""
    if answer_bytes > _SLICE_BYTES:
        return max(size // 4, 1)
    is_short = served == size and answer_bytes < _SLICE_BYTES // 4
    return min(size * 2, _MOST_AT_ONCE) if is_short else size
