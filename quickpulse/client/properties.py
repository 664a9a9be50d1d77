"""What a message has beside its payload, as users say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from quickpulse.client.options import milliseconds
from quickpulse.client.words import hides_unknown, no_such_word
from quickpulse.errors import InvalidArgument
from quickpulse.requests import Properties


@hides_unknown
def properties_of(
    *,
    id: str = "",  # noqa: A002 - the property's name
    headers: dict[str, str] | None = None,
    content_type: str = "",
    priority: int = 0,
    delay_seconds: float = 0,
    ttl_seconds: float = 0,
    dedup_key: str = "",
    reply_to: str = "",
    correlation_id: str = "",
    **unknown: NoReturn,
) -> Properties:
    """Of one message, or of each in a batch.

    :param priority: 0 to 9; 9 comes first.
    :param delay_seconds: it is ready so long after it was accepted.
    :param ttl_seconds: it is void so long after it was accepted; 0 is never.
    :param dedup_key: a second one with this key is not stored while the queue's window lasts.
    :raises InvalidArgument: what is to be text is something else.
    :raises TypeError: there is no such keyword.
    """
    if unknown:
        no_such_word(unknown, properties_of, "atomic")
    _require_text("id", id)
    _require_text("content_type", content_type)
    _require_text("dedup_key", dedup_key)
    _require_text("reply_to", reply_to)
    _require_text("correlation_id", correlation_id)
    if not isinstance(headers or {}, Mapping):
        raise InvalidArgument(f"headers is {headers!r}, expected a dict of str")
    if not isinstance(priority, int):
        raise InvalidArgument(f"priority is {priority!r}, expected a number from 0 to 9")
    for name, value in (headers or {}).items():
        _require_text("the name of a header", name)
        _require_text(f"header {name}", value)
    return Properties(
        id,
        headers or {},
        content_type,
        priority,
        milliseconds(delay_seconds, "delay_seconds"),
        milliseconds(ttl_seconds, "ttl_seconds"),
        dedup_key,
        reply_to,
        correlation_id,
    )


def _require_text(what: str, value: object) -> None:
    """Say what is wrong in the user's words: protobuf would not."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{what} is {value!r}, expected a str")
