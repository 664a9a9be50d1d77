"""The keywords that the three faces take and hand on, for type checkers and editors. Nothing here does anything."""

from __future__ import annotations

from typing import TypedDict


class PropertyWords(TypedDict, total=False):
    """What `properties_of` takes."""

    id: str
    headers: dict[str, str] | None
    content_type: str
    priority: int
    delay_seconds: float
    ttl_seconds: float
    dedup_key: str
    reply_to: str
    correlation_id: str


class PullWords(TypedDict, total=False):
    """What `pull` takes beside `max_messages`."""

    wait_seconds: float
    lease_seconds: float
    max_bytes: int
    with_enqueued_at: bool


class SubscribeWords(TypedDict, total=False):
    """What `subscribe` takes, and `consume` hands on to it."""

    credit_messages: int
    credit_bytes: int
    lease_seconds: float
    release_on_disconnect: bool
    with_enqueued_at: bool
