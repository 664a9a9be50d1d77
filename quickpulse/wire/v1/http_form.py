"""Requests of v1 as they come over HTTP: which row a method and a path are of, and what query and body say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument
from quickpulse.wire.v1.errors import fill_error
from quickpulse.wire.v1.json_form import from_object, load_object, to_json
from quickpulse.wire.v1.table import ROWS, Row

QUEUES_PATH = "/api/v1/queues/"

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

_ROUTES = {row.http: row for row in ROWS if row.http is not None}


def route(method: str, path: str) -> tuple[Row, str] | None:
    """The row and the name of the queue, "" where the path has none; None: no request is there.

    :param path: as it came, percent-encoded, without a query.
    """
    name, slash, verb = path.removeprefix(QUEUES_PATH).partition("/")
    if path.startswith(QUEUES_PATH) and name:
        row = _ROUTES.get((method, f"{QUEUES_PATH}{{queue}}{slash}{verb}"))
        return None if row is None else (row, unquote(name))
    row = _ROUTES.get((method, path))
    return None if row is None else (row, "")


def read_http(row: Row, queue: str, query: Mapping[str, str], body: bytes) -> Any:
    """The request of the vocabulary.

    :param queue: of the path.
    :param query: single values of fields, for requests without a body.
    :param body: a JSON object; nothing is an empty one.
    :raises InvalidArgument: MalformedRequest, if the body is no JSON object.
    """
    value = load_object(body) if body else {}
    value.update(_fields(row, query))
    if queue:
        _put_queue(row, queue, value)
    return row.request.read(from_object(row.request.message, value))


def write_error(error: BaseException) -> bytes:
    """The body of an answer that is an error. Its status is in `ERRORS`."""
    message = pb.Error()
    fill_error(error, message)
    return b'{"error":%b}' % to_json(message)


def _fields(row: Row, query: Mapping[str, str]) -> dict[str, Any]:
    """What a query says, as JSON would: booleans are the one kind that JSON has no text for."""
    fields = row.request.message.DESCRIPTOR.fields_by_name
    value: dict[str, Any] = {}
    for name, text in query.items():
        field = fields.get(name)
        if field is not None and field.type == field.TYPE_BOOL:
            if text not in _BOOLEANS:
                raise InvalidArgument(f"{name}: {text[:20]!r} is not true or false")
            value[name] = _BOOLEANS[text]
        else:
            value[name] = text
    return value


def _put_queue(row: Row, queue: str, value: dict[str, Any]) -> None:
    """The path's queue is the request's. A Pull may name further ones behind it."""
    if "queues" in row.request.message.DESCRIPTOR.fields_by_name:
        said = value.setdefault("queues", [queue])
        agrees = isinstance(said, list) and said[:1] == [queue]
    else:
        agrees = value.setdefault("queue", queue) == queue
    if not agrees:
        raise InvalidArgument("queue: the path names another one than the body")
