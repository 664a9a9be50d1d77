"""Messages and queues as JSON, in both directions: what `sub --json` writes, `pub --json` takes."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from enum import Enum
from typing import Any

from quickpulse.client import Batch, Message
from quickpulse.errors import InvalidArgument
from quickpulse.requests import UNBOUNDED, QueueInfo, ServerInfo
from quickpulse.settings import suggest

SENT: dict[str, type] = {
    "id": str,
    "headers": dict,
    "content_type": str,
    "priority": int,
    "delay_seconds": float,
    "ttl_seconds": float,
    "dedup_key": str,
    "reply_to": str,
    "correlation_id": str,
}
"""Properties of a message that is to be published."""

PAYLOADS = ("payload", "payload_base64")
"""A text, or any bytes; exactly one of the two."""

RECEIVED = ("queue", "delivery_count", "enqueued_at_ms", "sequence", "source", "reason", "deliveries")
"""What only a message that came has; where it is published again, it is passed over."""


def message_of(line: bytes) -> tuple[bytes, dict[str, Any]]:
    """Payload and properties of a JSON object.

    :raises InvalidArgument: with what is wrong with it.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"expected a JSON object, got {type(value).__name__}")
    payload = _payload(value)
    properties = {}
    for name, each in value.items():
        if name in PAYLOADS or name in RECEIVED:
            continue
        if name not in SENT:
            raise InvalidArgument(f"unknown field {name!r}{suggest(name, [*PAYLOADS, *SENT])}")
        properties[name] = _property(name, each)
    return payload, properties


def _payload(value: dict[str, Any]) -> bytes:
    given = [name for name in PAYLOADS if name in value]
    if len(given) != 1 or not isinstance(value[given[0]], str):
        raise InvalidArgument("expected exactly one of payload and payload_base64, a string")
    text: str = value[given[0]]
    try:
        return text.encode() if given[0] == "payload" else base64.b64decode(text, validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise InvalidArgument(f"{given[0]}: {error}") from None


def _property(name: str, value: Any) -> Any:
    kind = SENT[name]
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise InvalidArgument(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    if isinstance(value, dict) and not all(isinstance(each, str) for each in value.values()):
        raise InvalidArgument(f"{name}: expected texts by name")
    return value


def form_of_payload(payload: bytes) -> dict[str, Any]:
    """As text where it is some."""
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def form_of(message: Message) -> dict[str, Any]:
    """A message that came: its payload, what its publisher said, and what the server says; nothing empty.

    Its delay is over, and would begin anew where it is published again.
    """
    properties = message.properties
    said = {
        **dataclasses.asdict(properties),
        "headers": dict(message.headers),
        "ttl_seconds": properties.ttl_ms / 1000,
    }
    form = {
        "queue": message.queue,
        **form_of_payload(message.payload),
        **{name: said[name] for name in SENT if said.get(name)},
        "delivery_count": message.delivery_count,
    }
    if message.enqueued_at_ms is not None:
        form["enqueued_at_ms"] = message.enqueued_at_ms
    if message.source is not None:
        form.update(dataclasses.asdict(message.source))
    return form


def form_of_peeked(batch: Batch, index: int) -> dict[str, Any]:
    """A message that was looked at: how often it was delivered until now, and its place."""
    form = form_of(batch[index])
    form["delivery_count"] = deliveries_of_peeked(batch, index)
    sequence = batch.column("sequences", index)
    return form if sequence is None else {**form, "sequence": sequence}


def deliveries_of_peeked(batch: Batch, index: int) -> int:
    """How often a message that was looked at was delivered; the column is left out where that is once for all."""
    count = batch.column("delivery_counts", index)
    return 1 if count is None else count


def form_of_queue(info: QueueInfo) -> dict[str, Any]:
    """All that is known of a queue; a bound that is none is null."""
    form = dataclasses.asdict(info)
    form["counts"] = dict(sorted(info.counts.items()))
    form["policy"] = {name: _plain(value) for name, value in form["policy"].items()}
    return form


def form_of_server(info: ServerInfo) -> dict[str, Any]:
    """All that it says of itself."""
    return {
        "version": info.version,
        "instance": info.instance,
        "limits": dict(info.limits),
        "capabilities": list(info.capabilities),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return None if value == UNBOUNDED else value
