"""A queue for `--queue` whose server asks peers for signs of life more often: tests cannot wait 50 s."""

from __future__ import annotations

from typing import Any

from quickpulse.queues.memory import MessageQueue
from quickpulse.transports import grpc_connection, websocket

PING_SECONDS, PING_TIMEOUT_SECONDS = 0.5, 1.2


def make_queue(*, capacity: int, capacity_bytes: int | None) -> Any:
    """The usual queue."""
    for module in (grpc_connection, websocket):
        module.PING_SECONDS = PING_SECONDS
        module.PING_TIMEOUT_SECONDS = PING_TIMEOUT_SECONDS
    return MessageQueue(capacity=capacity, capacity_bytes=capacity_bytes)
