"""Which fields a message may have (RFC 9113, section 8.2 and 8.3). What they mean is somebody else's."""

from __future__ import annotations

import re
from collections.abc import Sequence

Field = tuple[bytes, bytes]
"""Name and value."""

FIELD_OVERHEAD_BYTES = 32
"""What each field counts beside its bytes (RFC 9113, section 6.5.2)."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_BAD_VALUE = re.compile(rb"[\0\r\n]|^[ \t]|[ \t]$").search

_OF_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""They belong to HTTP/1 and must not appear."""

_REQUEST_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_REQUIRED = (b":method", b":scheme", b":path")


class MalformedFields(ValueError):  # noqa: N818 - the field's own word
    """The peer's fields break a rule; the text says which."""


def list_size(fields: Sequence[Field]) -> int:
    """The size of a field list as SETTINGS_MAX_HEADER_LIST_SIZE counts it, in bytes."""
    return sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in fields)


def check_request(fields: Sequence[Field]) -> int | None:
    """Check a request's fields and return its content-length, None where it has none.

    :raises MalformedFields: they are not a request's.
    """
    pseudo = _check(fields, _REQUEST_PSEUDO)
    missing = [name for name in _REQUIRED if not pseudo.get(name)]
    if missing:
        raise MalformedFields(f"{missing[0].decode()} is missing or empty")
    return _content_length(fields)


def check_response(fields: Sequence[Field]) -> tuple[int, int | None]:
    """Check a response's fields and return its status and content-length.

    :raises MalformedFields: they are not a response's.
    """
    status = _check(fields, frozenset({b":status"})).get(b":status", b"")
    if len(status) != 3 or not status.isdigit():
        raise MalformedFields(":status is missing or not a number of three digits")
    return int(status), _content_length(fields)


def check_trailers(fields: Sequence[Field]) -> None:
    """Check the fields after a body.

    :raises MalformedFields: they are no trailers.
    """
    _check(fields, frozenset())


def _check(fields: Sequence[Field], allowed: frozenset[bytes]) -> dict[bytes, bytes]:
    """The pseudo fields, each once, all before the others; every name and value well formed."""
    pseudo: dict[bytes, bytes] = {}
    is_regular = False
    for name, value in fields:
        if _BAD_VALUE(value):
            raise MalformedFields(f"the value of {name!r} has a byte that must not be there")
        if name[:1] == b":":
            if is_regular or name in pseudo or name not in allowed:
                raise MalformedFields(f"{name!r} is unknown, repeated, or after a regular field")
            pseudo[name] = value
            continue
        is_regular = True
        if not _NAME(name):
            raise MalformedFields(f"{name!r} is no field name in lower case")
        if name in _OF_CONNECTION or (name == b"te" and value != b"trailers"):
            raise MalformedFields(f"{name!r} belongs to HTTP/1")
    return pseudo


def _content_length(fields: Sequence[Field]) -> int | None:
    lengths = {value for name, value in fields if name == b"content-length"}
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 18:
        raise MalformedFields("content-length is no number")
    return int(length)
