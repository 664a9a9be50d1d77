"""v0 for the native gRPC server: Produce, Consume and StreamMessages as methods of its table."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.errors import MessageTooLarge, QueueUnavailable
from quickpulse.messages import Item, payloads_of
from quickpulse.transports.grpc_contract import (
    CONSUME_EMPTY,
    NOT_IN_STREAMING,
    NOT_IN_UNARY,
    NOT_PROTOBUF,
    PRODUCE_FULL,
    PRODUCED,
    SERVICE,
    STREAM_EMPTY,
    STREAM_FULL,
    read_consume,
    read_produce,
    read_stream_message,
)
from quickpulse.transports.grpc_methods import (
    BatchMethod,
    Method,
    Run,
    StreamCall,
    StreamMethod,
    Table,
    Unimplemented,
    paths,
    refusal_reason,
)
from quickpulse.wire.grpc.framing import framed, read_one
from quickpulse.wire.grpc.payloads import FRAMED_HEADS, framed_payloads, short_payloads
from quickpulse.wire.grpc.requests import Call
from quickpulse.wire.grpc.status import OK_TRAILERS, RESPONSE_HEAD, RpcError, Status
from quickpulse.wire.http2.answers import Answer

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

_log = Logger()

_LONGEST_SHORT = max(FRAMED_HEADS) - 7
"""Below this limit of a payload even short ones must be looked at."""


def _answer(message: bytes) -> Answer:
    return Answer(RESPONSE_HEAD, framed(message), OK_TRAILERS)


_PRODUCED, _FULL, _EMPTY = _answer(PRODUCED), _answer(PRODUCE_FULL), _answer(CONSUME_EMPTY)


def v0_table(mode: str, queue: Any, traffic: ITraffic, max_message_bytes: int) -> Table:
    """The service of one mode.

    :param mode: "grpc", "grpc_stream" or "all".
    :param queue: the IMessageQueue.
    """

    def unimplemented(text: str) -> Unimplemented:
        return Unimplemented(RpcError(Status.UNIMPLEMENTED, text))

    methods: dict[str, Method] = {
        "Produce": Produce(queue, traffic, max_message_bytes),
        "Consume": Consume(queue, traffic, max_message_bytes),
        "StreamMessages": StreamMethod(
            lambda call: Exchange(call, queue, traffic, max_message_bytes), _read_stream_messages, short_payloads
        ),
    }
    if mode == "grpc":
        methods["StreamMessages"] = unimplemented(NOT_IN_UNARY)
    elif mode == "grpc_stream":
        methods |= {name: unimplemented(NOT_IN_STREAMING.format(name)) for name in ("Produce", "Consume")}
    return paths(SERVICE, methods)


def unavailable(failure: Failure, traffic: ITraffic, asked: int) -> RpcError:
    """The provider failed: whether the requests took effect is not known, and so they are told."""
    _log.failure("the queue failed", failure)
    traffic.refused("queue_unavailable", asked)
    return RpcError(Status.UNAVAILABLE, str(QueueUnavailable()))


def refusal(payload: bytes | None, traffic: ITraffic, max_message_bytes: int) -> RpcError | None:
    """Why a payload is not taken: it is no protobuf (None), or too long."""
    if payload is None:
        traffic.refused("bad_request")
        return RpcError(Status.INTERNAL, NOT_PROTOBUF)
    if len(payload) > max_message_bytes:
        traffic.refused("message_too_large")
        return RpcError(Status.RESOURCE_EXHAUSTED, str(MessageTooLarge(len(payload), max_message_bytes)))
    return None


def _read_stream_messages(messages: list[bytes]) -> list[bytes | None]:
    return [read_stream_message(message) for message in messages]


class _V0Method(BatchMethod):
    """A unary method over the queue.

    :param queue: the IMessageQueue.
    :param max_message_bytes: of a payload.
    """

    read: Callable[[bytes], bytes | None]
    """A request's message to its payload; None when it is no protobuf."""

    def __init__(self, queue: Any, traffic: ITraffic, max_message_bytes: int) -> None:
        self._queue = queue
        self._traffic = traffic
        self._max_message_bytes = max_message_bytes

    def _parse_one(self, body: bytes, call: Call) -> bytes | RpcError | None:
        try:
            payload = self.read(read_one(body, self._max_message_bytes, call.is_compressed))
        except RpcError as error:
            self._traffic.refused(refusal_reason(error))
            return error.with_traceback(None)  # whose frames hold what was unpacked
        return refusal(payload, self._traffic, self._max_message_bytes) or payload


class Produce(_V0Method):
    """Puts messages in; a full queue is an answer, not an error of the call."""

    read = staticmethod(read_produce)

    def parse(self, bodies: list[bytes], call: Call) -> list[Any]:
        """The payloads."""
        payloads: list[Any] = short_payloads(bodies)
        if None in payloads or self._max_message_bytes < _LONGEST_SHORT:
            return [self._parse_one(body, call) for body in bodies]
        return payloads

    def serve(self, requests: list[Any]) -> Any:
        """How many went in."""
        return self._queue.enqueue_many(requests)

    def answer(self, result: int, asked: int) -> list[Run]:
        """Yes to those, and no to the rest."""
        if result == asked:
            return [(_PRODUCED, asked)]
        self._traffic.refused("queue_full", asked - result)
        return [(_PRODUCED, result), (_FULL, asked - result)]


class Consume(_V0Method):
    """Takes the oldest messages; an empty queue is an answer, not an error of the call."""

    hands_out = True
    read = staticmethod(read_consume)

    def parse(self, bodies: list[bytes], call: Call) -> list[Any]:
        """Nothing is in a request; what is there must still be protobuf."""
        if bodies.count(_NOTHING) == len(bodies):
            return bodies
        return [b"" if body == _NOTHING else self._parse_one(body, call) for body in bodies]

    def serve(self, requests: list[Any]) -> Any:
        """The messages taken."""
        return self._queue.dequeue_many(len(requests))

    def answer(self, result: list[Item], asked: int) -> list[Run]:
        """Each message, and "empty" to the rest."""
        try:
            bodies = framed_payloads(result)  # type: ignore[arg-type]
        except TypeError:  # there are Messages among them: not to look costs less
            bodies = framed_payloads(payloads_of(result))
        if len(result) < asked:
            return [bodies, (_EMPTY, asked - len(result))]
        return [bodies]


_NOTHING = framed(b"")


class Exchange:
    """One StreamMessages call: puts and takes, for each message."""

    def __init__(self, call: StreamCall, queue: Any, traffic: ITraffic, max_message_bytes: int) -> None:
        self._call = call
        self._queue = queue
        self._traffic = traffic
        self._max_message_bytes = max_message_bytes

    def messages(self, payloads: list[Any]) -> Deferred[None] | None:
        """Serve them run by run: neighbours that put, and neighbours that only take."""
        error = None
        if None in payloads or max(map(len, payloads)) > self._max_message_bytes:
            for at, payload in enumerate(payloads):
                error = refusal(payload, self._traffic, self._max_message_bytes)
                if error is not None:
                    del payloads[at:]
                    break
        runs: deque[list[bytes]] = deque()
        if b"" not in payloads:
            runs.append(payloads)
        else:
            for payload in payloads:
                if not runs or bool(runs[-1][0]) is not bool(payload):
                    runs.append([])
                runs[-1].append(payload)
        return self._serve(runs, error)

    def _serve(self, runs: deque[list[bytes]], error: RpcError | None) -> Deferred[None] | None:
        while runs and runs[0]:
            run = runs.popleft()
            try:
                taken = self._queue.exchange_many(run) if run[0] else self._queue.dequeue_many(len(run))
            except Exception:
                self._failed(Failure(), len(run))
                return None
            if type(taken) is not list and isinstance(taken, Deferred):
                return Deferred.fromCoroutine(self._serve_later(taken, run, runs, error))
            self._answer(taken, run)
        if error is not None:
            self._call.close(error)
        return None

    async def _serve_later(
        self, taken: Deferred[list[Item]], run: list[bytes], runs: deque[list[bytes]], error: RpcError | None
    ) -> None:
        """Go on from a run whose answer is a Deferred. A coroutine does not recurse, however many fire at once."""
        try:
            self._answer(await taken, run)
            while runs:
                run = runs.popleft()
                answer = self._queue.exchange_many(run) if run[0] else self._queue.dequeue_many(len(run))
                self._answer(await answer if isinstance(answer, Deferred) else answer, run)
        except Exception:
            self._failed(Failure(), len(run))
            return
        if error is not None:
            self._call.close(error)

    def _answer(self, taken: list[Item], run: list[bytes]) -> None:
        answers = framed_payloads(payloads_of(taken))
        missing = len(run) - len(taken)
        if missing:
            if run[0]:
                self._traffic.refused("queue_full", missing)
            answers.append((_STREAM_FULL if run[0] else _STREAM_EMPTY) * missing)
        self._call.send(b"".join(answers), len(taken))

    def _failed(self, failure: Failure, asked: int) -> None:
        self._call.close(unavailable(failure, self._traffic, asked))

    def ended(self) -> None:
        """All was answered."""
        self._call.close()

    def cancelled(self) -> None:
        """Nothing is kept here."""


_STREAM_FULL, _STREAM_EMPTY = framed(STREAM_FULL), framed(STREAM_EMPTY)
