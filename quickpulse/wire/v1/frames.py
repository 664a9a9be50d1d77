"""Frames of Connect and /ws/v1, for either side: bytes to (request_id, what it says) and back.

An error in a frame is a value here and not raised, as it is what its request is answered with. Where the connection
cannot go on after it, its row in `ERRORS` has a close code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument, MalformedRequest, QuickPulseError, RequestTooLarge, Unsupported
from quickpulse.wire.v1.forms import parsed
from quickpulse.wire.v1.json_form import load_object, parse_json, to_json
from quickpulse.wire.v1.table import BY_KIND, BY_NAME, ERROR, REPLIES, Reply

NO_REQUEST = 0
"""The request_id of what is about the connection."""

_MAX_REQUEST_ID = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """How protobuf messages become bytes.

    :param parse: (message class, bytes) to a message; raises MalformedRequest and InvalidArgument.
    :param serialize: message to bytes, once.
    """

    parse: Callable[[Any, bytes], Any]
    serialize: Callable[[Any], bytes]


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


BINARY = Encoding(parsed, _serialize)
"""Connect, and the subprotocol quickpulse.v1.bin."""

JSON = Encoding(parse_json, to_json)
"""The subprotocol quickpulse.v1.json, and HTTP."""

JSON_TEXTS = Encoding(parse_json, partial(to_json, texts=True))
"""The same for a client that asked for texts."""

_REPLIES_BY_KIND = {reply.kind: reply for reply in REPLIES}
_READ_REQUEST = {name: row.request.read for name, row in BY_NAME.items()}
_REPLIES_BY_FIELD = {reply.field: reply for reply in REPLIES}


def read_request(data: bytes, encoding: Encoding, max_bytes: int) -> tuple[int, Any]:
    """The server's side: request_id, and a request of the vocabulary or the error that it is to be answered with.

    :param max_bytes: of the frame.
    """
    if len(data) > max_bytes:
        return NO_REQUEST, RequestTooLarge(f"frame of {len(data)} bytes is over the limit of {max_bytes}")
    try:
        frame = encoding.parse(pb.ClientFrame, data)
    except MalformedRequest as error:
        return NO_REQUEST, error
    except InvalidArgument as error:
        return _request_id_in(data), error
    name = frame.WhichOneof("request")
    if name is None:
        return frame.request_id, Unsupported("the frame has no request that this server knows")
    try:
        return frame.request_id, _READ_REQUEST[name](getattr(frame, name))
    except QuickPulseError as error:
        return frame.request_id, error


def write_reply(request_id: int, reply: Any, encoding: Encoding) -> bytes:
    """The server's side: the frame with a reply of the vocabulary, or an error.

    :raises InvalidArgument: a field has a value that does not fit; the broker is wrong, not its client.
    :raises TypeError: it is nothing that is sent to clients.
    """
    frame = pb.ServerFrame()
    frame.request_id = request_id  # a keyword costs more
    row = _REPLIES_BY_KIND.get(type(reply)) or _error_of(reply)
    row.form.fill_into(getattr(frame, row.field), reply)
    return encoding.serialize(frame)


def write_request(request_id: int, request: Any, encoding: Encoding) -> bytes:
    """The client's side: the frame with a request of the vocabulary.

    :raises InvalidArgument: a field has a value that does not fit.
    """
    frame = pb.ClientFrame(request_id=request_id)
    row = BY_KIND[type(request)]
    row.request.fill_into(getattr(frame, row.name), request)
    return encoding.serialize(frame)


def read_reply(data: bytes, encoding: Encoding) -> tuple[int, Any]:
    """The client's side: request_id, and a reply of the vocabulary or an error.

    :raises MalformedRequest: it is no frame.
    :raises InvalidArgument: it is none of this version.
    """
    frame = encoding.parse(pb.ServerFrame, data)
    name = frame.WhichOneof("reply")
    if name is None:
        return frame.request_id, Unsupported("the frame has no reply that this client knows")
    return frame.request_id, _REPLIES_BY_FIELD[name].form.read(getattr(frame, name))


def _error_of(reply: Any) -> Reply:
    if isinstance(reply, BaseException):
        return ERROR
    raise TypeError(f"no frame has a {type(reply).__name__}")


def _request_id_in(data: bytes) -> int:
    """That of a JSON frame with something wrong elsewhere."""
    frame = load_object(data)
    try:
        request_id = int(frame.get("request_id", frame.get("requestId", NO_REQUEST)))
    except (ValueError, TypeError):
        return NO_REQUEST
    return request_id if 0 <= request_id <= _MAX_REQUEST_ID else NO_REQUEST
