"""Layers of the native gRPC server's paths."""

from __future__ import annotations

from functools import partial
from typing import Any

from perf.load.calls import Windows, framed, windows_of
from perf.load.headers import call_blocks
from perf.load.rows import Row
from perf.micro.layers import Layer, Place, Prepared
from perf.micro.queue import exchanging, putting, taking
from perf.micro.surroundings import PAYLOAD, NowhereTransport, factory_arguments, payloads
from quickpulse.transports.grpc_contract import PRODUCED
from quickpulse.transports.grpc_native import GrpcFactory
from quickpulse.wire.grpc.payloads import framed_payloads, short_payloads
from quickpulse.wire.grpc.status import OK_TRAILERS, RESPONSE_HEAD
from quickpulse.wire.grpc.timeouts import is_in_future
from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.connection import Connection, Role
from quickpulse.wire.http2.frames import (
    DATA,
    END_HEADERS,
    HEADERS,
    MAX_WINDOW,
    PREFACE,
    frame,
    settings_frame,
    window_update_frame,
)

PRODUCE, TIMEOUTS, CONSUME, STREAM = (
    "unary Produce",
    "unary Produce with timeouts",
    "unary Consume",
    "StreamMessages",
)

_KINDS = {PRODUCE: "unary-produce", TIMEOUTS: "timeouts", CONSUME: "unary-consume", STREAM: "stream"}

_INITIAL_WINDOW_SIZE = 4

_OPENING = PREFACE + settings_frame([(_INITIAL_WINDOW_SIZE, MAX_WINDOW)]) + window_update_frame(0, MAX_WINDOW - 65_535)

_STREAM_HEADERS = frame(
    HEADERS, END_HEADERS, 1, next(call_blocks("/messagequeue.MessageQueue/StreamMessages", "127.0.0.1:50051"))
)


def receive(path: str, batch: int, rounds: int) -> Prepared:
    """Bytes to events."""
    http2 = _http2(path)
    return lambda chunk: http2.receive(chunk, 0.0), _chunks(path, batch, rounds)


def parse(path: str, batch: int, rounds: int) -> Prepared:
    """The messages of requests to payloads, by the method of the table."""
    event, *_ = _http2(path).receive(_chunks(path, 1, 1)[0], 0.0)
    call, body = event.meaning, framed(b"" if path == CONSUME else PAYLOAD)
    return lambda bodies: call.method.parse(bodies, call), [[body] * batch] * rounds


def parse_stream(batch: int, rounds: int) -> Prepared:
    """The messages of a stream to payloads."""
    return short_payloads, [[framed(PAYLOAD)] * batch] * rounds


def look_at_timeouts(batch: int, rounds: int) -> Prepared:
    """Whether each has time in it."""
    return lambda values: all(map(is_in_future, values)), [[b"4000000u"] * batch] * rounds


def answer_alike(batch: int, rounds: int) -> Prepared:
    """One answer for all, to bytes."""
    http2, answer = _http2(PRODUCE), Answer(RESPONSE_HEAD, framed_payload_of(PRODUCED), OK_TRAILERS)

    def run(stream_ids: list[int]) -> None:
        http2.answer_all(stream_ids, answer)
        http2.data_to_send()

    return run, [list(range(1, 2 * batch, 2))] * rounds


def answer_each(batch: int, rounds: int) -> Prepared:
    """An answer with a message for each, to bytes."""
    http2, envelope = _http2(CONSUME), Envelope(RESPONSE_HEAD, OK_TRAILERS)
    stream_ids = list(range(1, 2 * batch, 2))

    def run(taken: list[bytes]) -> None:
        http2.answer_each(stream_ids, envelope, framed_payloads(taken))
        http2.data_to_send()

    return run, [payloads(batch)] * rounds


def answer_stream(batch: int, rounds: int) -> Prepared:
    """Messages of a stream, to bytes."""
    http2 = _http2(STREAM)
    stream = http2.streams[1]

    def run(taken: list[bytes]) -> None:
        http2.send_data(stream, b"".join(framed_payloads(taken)))
        http2.data_to_send()

    return run, [payloads(batch)] * rounds


def whole(path: str, batch: int, rounds: int) -> Prepared:
    """A read of a connection that stands."""
    protocol = _factory(path, batch * rounds if path == CONSUME else 0).buildProtocol(None)
    protocol.makeConnection(NowhereTransport())
    protocol.dataReceived(_OPENING + (_STREAM_HEADERS if path == STREAM else b""))
    return protocol.dataReceived, _chunks(path, batch, rounds)


def framed_payload_of(message: bytes) -> bytes:
    """A message of protobuf's, framed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _factory(path: str, depth: int = 0) -> Any:
    return GrpcFactory(*factory_arguments("grpc_stream" if path == STREAM else "grpc", depth))


def _http2(path: str) -> Connection:
    """A connection that stands, as the server makes it."""
    http2 = Connection(Role.SERVER, interpret=_factory(path).read_call, volatile=b"grpc-timeout", max_streams=1000)
    http2.receive(_OPENING + (_STREAM_HEADERS if path == STREAM else b""), 0.0)
    http2.data_to_send()
    return http2


def _chunks(path: str, batch: int, rounds: int) -> list[bytes]:
    """What is read, a batch of requests each."""
    if path == STREAM:
        return [frame(DATA, 0, 1, framed(PAYLOAD)) * batch] * rounds
    windows: Windows = windows_of(Row(_KINDS[path], 1, batch), 50051, 0)
    return [windows.bytes_of(number) for number in range(rounds)]


def _unary(path: str, queue: tuple[Layer, ...], *answers: Layer) -> tuple[Layer, ...]:
    return (
        Layer(path, "HTTP/2 received", Place.PART, partial(receive, path)),
        Layer(path, "payloads read", Place.PART, partial(parse, path)),
        *queue,
        *answers,
        Layer(path, "the whole protocol", Place.WHOLE, partial(whole, path)),
    )


LAYERS = (
    *_unary(PRODUCE, putting(PRODUCE), Layer(PRODUCE, "answers built", Place.PART, answer_alike)),
    *_unary(
        TIMEOUTS,
        putting(TIMEOUTS),
        Layer(TIMEOUTS, "timeouts looked at", Place.PART, look_at_timeouts),
        Layer(TIMEOUTS, "answers built", Place.PART, answer_alike),
    ),
    *_unary(CONSUME, taking(CONSUME), Layer(CONSUME, "answers built", Place.PART, answer_each)),
    Layer(STREAM, "HTTP/2 received", Place.PART, partial(receive, STREAM)),
    Layer(STREAM, "payloads read", Place.PART, parse_stream),
    *exchanging(STREAM),
    Layer(STREAM, "answers built", Place.PART, answer_stream),
    Layer(STREAM, "the whole protocol", Place.WHOLE, partial(whole, STREAM)),
)
