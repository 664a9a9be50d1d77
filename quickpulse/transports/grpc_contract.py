"""What both gRPC servers share of v0: names, texts, and how a request's bytes become a payload."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from quickpulse._generated.messagequeue_pb2 import (
    ConsumeRequest,
    ConsumeResponse,
    ProduceRequest,
    ProduceResponse,
    StreamMessage,
)
from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.wire.grpc.payloads import read_payload

NAME = "grpc"
"""The label of this transport in metrics."""

SERVICE = "messagequeue.MessageQueue"

DRAINING = "server is draining"

NOT_PROTOBUF = "the request is not a valid protobuf message"

NOT_IN_UNARY = "StreamMessages is not implemented in unary mode"

NOT_IN_STREAMING = "{} is not implemented in streaming mode"

_FULL, _EMPTY = str(QueueFull()), str(QueueEmpty())

PRODUCED = ProduceResponse(success=True).SerializeToString()
PRODUCE_FULL = ProduceResponse(success=False, error=_FULL).SerializeToString()
CONSUME_EMPTY = ConsumeResponse(error=_EMPTY).SerializeToString()
STREAM_FULL = StreamMessage(error=_FULL).SerializeToString()
STREAM_EMPTY = StreamMessage(error=_EMPTY).SerializeToString()


def _parser(message: Any) -> Callable[[bytes], bytes | None]:
    def by_protobuf(data: bytes) -> bytes | None:
        try:
            payload: bytes = message.FromString(data).payload
        except DecodeError:
            return None
        return payload

    return partial(read_payload, otherwise=by_protobuf)


read_produce = _parser(ProduceRequest)
"""The payload of a request's bytes, or None for what is no such message. So with the two below."""

read_stream_message = _parser(StreamMessage)


def read_consume(data: bytes) -> bytes | None:
    """ConsumeRequest has no fields; what is in it is unknown, and must still be protobuf."""
    if not data:
        return data
    try:
        ConsumeRequest.FromString(data)
    except DecodeError:
        return None
    return b""
