"""What a request of the HTTP API says in its query and its headers, checked."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from twisted.web import http

from quickpulse.errors import InvalidArgument
from quickpulse.transports.http_access import FORM_TYPES, header_texts, media_type
from quickpulse.transports.http_events import EVENTS_TYPE

_EVENTS = re.compile(rf"{EVENTS_TYPE}(?!.*;\s*q=0(\.0*)?\s*(;|$))\s*(;.*)?")
"""What asks for events in `Accept`; with a weight of 0 it says that they are not wanted."""

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


class WrongMedia(InvalidArgument):
    """HTTP has a status of its own for what is sent or wanted in a form that is not spoken here.

    :param status: that.
    """

    code = InvalidArgument.code

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read_query(request: Any) -> dict[str, str]:
    """The query's fields, each once.

    :raises InvalidArgument: it is no such query.
    """
    text = request.uri.partition(b"?")[2].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=100)
    except ValueError:
        raise InvalidArgument("query: not of the form name=value&...") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidArgument("query: a name twice")
    return fields


def take_flag(query: dict[str, str], name: str) -> bool:
    """Whether it is set; it is taken out of the query."""
    text = query.pop(name, "0")
    if text not in _FLAGS:
        raise InvalidArgument(f"{name}: {text[:20]!r} is not true or false")
    return _FLAGS[text]


def require_none(query: dict[str, str]) -> None:
    """The request has its fields in its body.

    :raises InvalidArgument: some are in the query.
    """
    if query:
        raise InvalidArgument(
            f"query: {next(iter(query))[:50]!r} is not for this request, whose fields are in its body"
        )


def require_events(request: Any) -> None:
    """The client wants events, and says so: an image of a stranger's page does not, and would take messages.

    :raises WrongMedia: it does not.
    """
    accepted = ",".join(header_texts(request, b"Accept")).lower().split(",")
    if not any(_EVENTS.fullmatch(each.strip()) for each in accepted):
        raise WrongMedia(http.NOT_ACCEPTABLE, f"Accept: {EVENTS_TYPE} is wanted")


def require_type(request: Any, wanted: str) -> None:
    """The body is of this type, and as it is.

    :raises WrongMedia: it is not.
    """
    if any(coding.strip().lower() != "identity" for coding in header_texts(request, b"Content-Encoding")):
        raise WrongMedia(http.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: bodies come as they are")
    given = media_type(request)
    if given != wanted:
        what = "a form's type, which any page may send" if given in FORM_TYPES else "something else"
        raise WrongMedia(http.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: {wanted} is wanted, and came {what}")
