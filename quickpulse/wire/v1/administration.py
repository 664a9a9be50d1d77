"""What an administrator asks, between the vocabulary and protobuf, where it is more than plain fields."""

from __future__ import annotations

from typing import Any

from quickpulse.requests import (
    UNBOUNDED,
    Overflow,
    Policy,
    QueueInfo,
    QueuePage,
    ServerInfo,
    SetPolicy,
)
from quickpulse.wire.v1.forms import member

_OVERFLOW = {0: None, 1: Overflow.REJECT, 2: Overflow.DROP_OLDEST}
_OVERFLOW_NUMBER = {overflow: number for number, overflow in _OVERFLOW.items()}

_OPTIONAL = (
    "capacity",
    "capacity_bytes",
    "lease_ms",
    "max_deliveries",
    "dead_letter_queue",
    "dedup_window_ms",
    "idle_expiry_ms",
)
"""Fields of a policy where zero is a value, and not set is another."""

_QUEUE_FIELDS = (
    "name",
    "ready",
    "leased",
    "delayed",
    "size_bytes",
    "oldest_ms",
    "paused",
    "publish_paused",
    "waiters",
    "has_policy",
)
"""Fields of QueueInfo that are the same on both sides."""


def read_policy(message: Any) -> Policy:
    """Policy."""
    values = {name: getattr(message, name) for name in _OPTIONAL if message.HasField(name)}
    if values.get("capacity_bytes") == 0:
        values["capacity_bytes"] = UNBOUNDED
    return Policy(
        overflow=member("overflow", message.overflow, _OVERFLOW),
        retry_delays_ms=message.retry_delays_ms[:] or None,
        **values,
    )


def fill_policy(policy: Policy, message: Any) -> None:
    """Policy."""
    message.SetInParent()
    message.overflow = _OVERFLOW_NUMBER[policy.overflow]
    message.retry_delays_ms.extend(policy.retry_delays_ms or ())
    for name in _OPTIONAL:
        value = getattr(policy, name)
        if value is not None:
            setattr(message, name, 0 if name == "capacity_bytes" and value >= UNBOUNDED else value)


def read_queue(message: Any) -> QueueInfo:
    """QueueInfo."""
    return QueueInfo(
        policy=read_policy(message.policy),
        counts=dict(message.counts),
        **{name: getattr(message, name) for name in _QUEUE_FIELDS},
    )


def fill_queue(queue: QueueInfo, message: Any) -> None:
    """QueueInfo."""
    for name in _QUEUE_FIELDS:
        setattr(message, name, getattr(queue, name))
    fill_policy(queue.policy, message.policy)
    message.counts.update(queue.counts)


def read_page(message: Any) -> QueuePage:
    """ListQueuesReply."""
    return QueuePage([read_queue(each) for each in message.queues], message.next_page_token)


def fill_page(page: QueuePage, message: Any) -> None:
    """ListQueuesReply."""
    for queue in page.queues:
        fill_queue(queue, message.queues.add())
    message.next_page_token = page.next_page_token


def read_set_policy(message: Any) -> SetPolicy:
    """SetPolicyRequest."""
    return SetPolicy(message.queue, read_policy(message.policy))


def fill_set_policy(request: SetPolicy, message: Any) -> None:
    """SetPolicyRequest."""
    message.queue = request.queue
    fill_policy(request.policy, message.policy)


def read_server(message: Any) -> ServerInfo:
    """ServerInfo."""
    return ServerInfo(message.version, message.instance, dict(message.limits), message.capabilities[:])


def fill_server(server: ServerInfo, message: Any) -> None:
    """ServerInfo."""
    message.version = server.version
    message.instance = server.instance
    message.limits.update(server.limits)
    message.capabilities.extend(server.capabilities)
