"""What the fields of an HTTP/2 request mean to gRPC: the method and its metadata, or the answer that refuses it.

Source: the gRPC project's PROTOCOL-HTTP2 ("Requests").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quickpulse.wire.grpc.status import RpcError, Status, not_grpc, only_trailers
from quickpulse.wire.http2.answers import Answer
from quickpulse.wire.http2.fields import Field, list_size

TIMEOUT = b"grpc-timeout"
"""The one field that differs in each request of a client."""

ENCODINGS = (b"identity", b"deflate", b"gzip")
"""What messages may be coded in."""

_OWN = frozenset({b"content-type", b"te", b"grpc-encoding", b"grpc-accept-encoding", TIMEOUT})
"""Fields that are gRPC's and not the caller's metadata."""


class Call:
    """What a request's fields say. One object for all requests with the same fields.

    :ivar method: what the table has for the path; None where `refusal` is set.
    :ivar refusal: the answer, if the request is not to be served, and why, as a word of metrics.
    :ivar is_compressed: whether messages may be compressed, by gzip or deflate.
    :ivar metadata: the caller's own fields.
    """

    __slots__ = ("is_compressed", "metadata", "method", "refusal")

    def __init__(
        self,
        method: Any,
        is_compressed: bool = False,
        metadata: Sequence[Field] = (),
        refusal: tuple[Answer, str] | None = None,
    ) -> None:
        self.method = method
        self.is_compressed = is_compressed
        self.metadata = metadata
        self.refusal = refusal


def read_call(fields: list[Field], methods: Mapping[bytes, Any], max_header_bytes: int) -> Call:
    """The call that well-formed request fields ask for.

    :param methods: path to what serves it.
    :param max_header_bytes: the longest field list.
    """
    size = list_size(fields)
    if size > max_header_bytes:
        text = f"request header of {size} bytes is over the limit of {max_header_bytes} (--max-header-bytes)"
        return _refused(Status.RESOURCE_EXHAUSTED, text, "header_too_large")
    of = dict(fields)
    kind = of.get(b"content-type", b"")
    if of[b":method"] != b"POST" or not (kind == b"application/grpc" or kind.startswith(_SUBTYPES)):
        return Call(None, refusal=(_NOT_GRPC, _BAD))
    method = methods.get(of[b":path"])
    if method is None:
        return _refused(Status.UNIMPLEMENTED, "Method not found!", "not_found")
    encoding = of.get(b"grpc-encoding", b"identity")
    if encoding not in ENCODINGS:
        text = (
            f"messages in {encoding.decode(errors='replace')} are not supported; there are identity, deflate and gzip"
        )
        return _refused(Status.UNIMPLEMENTED, text, _BAD)
    metadata = tuple(pair for pair in fields if pair[0] not in _OWN and pair[0][:1] != b":")
    return Call(method, encoding != b"identity", metadata)


def _refused(status: Status, text: str, reason: str) -> Call:
    return Call(None, refusal=(only_trailers(RpcError(status, text)), reason))


_NOT_GRPC = not_grpc(415, "this port serves gRPC: POST with content-type application/grpc")
_BAD = "bad_request"
_SUBTYPES = (b"application/grpc+proto", b"application/grpc;")
