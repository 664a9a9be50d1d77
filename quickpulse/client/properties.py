"""What a message has beside its payload, as users say it."""

from __future__ import annotations

from quickpulse.client.options import milliseconds
from quickpulse.requests import Properties


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
) -> Properties:
    """Of one message, or of each in a batch.

    :param priority: 0 to 9; 9 comes first.
    :param delay_seconds: it is ready so long after it was accepted.
    :param ttl_seconds: it is void so long after it was accepted; 0 is never.
    :param dedup_key: a second one with this key is not stored while the queue's window lasts.
    """
    return Properties(
        id,
        headers or {},
        content_type,
        priority,
        milliseconds(delay_seconds),
        milliseconds(ttl_seconds),
        dedup_key,
        reply_to,
        correlation_id,
    )
