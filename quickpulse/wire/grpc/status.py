"""How a gRPC call ends: the error that carries one of the codes, and the fields that say so.

Source: the gRPC project's PROTOCOL-HTTP2 ("Responses") and statuscodes documents.
"""

from __future__ import annotations

from collections.abc import Sequence

from quickpulse.wire.grpc.codes import Status
from quickpulse.wire.http2.answers import Answer
from quickpulse.wire.http2.hpacking import literal


class RpcError(Exception):
    """Ends a call with a status.

    :param status: any but OK.
    :param message: for people, any text.
    :param fields: further trailers, names in lower case, values of printable ASCII.
    """

    def __init__(self, status: Status, message: str, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fields = fields


_STATUS_200 = b"\x88"  # indexed in HPACK's static table
_CONTENT_TYPE = literal(b"content-type", b"application/grpc")
_ENCODINGS = literal(b"grpc-accept-encoding", b"identity,deflate,gzip")

RESPONSE_HEAD = _STATUS_200 + _CONTENT_TYPE + _ENCODINGS
"""The fields that open every answer."""

OK_TRAILERS = literal(b"grpc-status", b"0")

MAX_MESSAGE_CHARS = 1000
"""Of a status message; more is cut off. Coded, that many fit into one frame that every peer takes."""


def percent_encoded(message: str) -> bytes:
    """A status message as it goes into a field: printable ASCII but for `%`, all else as %XX of its UTF-8."""
    return b"".join(
        bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte
        for byte in message.encode(errors="replace")
    )


def trailers(error: RpcError) -> bytes:
    """The block that ends a call with an error after its answer has begun."""
    message = percent_encoded(error.message[:MAX_MESSAGE_CHARS])
    block = literal(b"grpc-status", b"%d" % error.status) + literal(b"grpc-message", message)
    return block + b"".join(literal(name, value) for name, value in error.fields)


def only_trailers(error: RpcError) -> Answer:
    """The answer that is an error and nothing else."""
    return Answer(RESPONSE_HEAD + trailers(error), b"", b"")


def not_grpc(status: int, text: str) -> Answer:
    """The answer to an HTTP/2 request that is no gRPC call: a status and a line for people."""
    body = text.encode() + b"\n"
    head = literal(b":status", b"%d" % status) + literal(b"content-type", b"text/plain; charset=utf-8")
    return Answer(head + literal(b"content-length", b"%d" % len(body)), body, b"")


__all__ = [
    "MAX_MESSAGE_CHARS",
    "OK_TRAILERS",
    "RESPONSE_HEAD",
    "RpcError",
    "Status",
    "not_grpc",
    "only_trailers",
    "percent_encoded",
    "trailers",
]
