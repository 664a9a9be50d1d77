"""The queue that our server has under v0, without the server."""

from __future__ import annotations

from quickpulse.queues.broker import Broker
from quickpulse.queues.plain import PlainQueue
from quickpulse.queues.policies import DEFAULT_QUEUE
from quickpulse.requests import Policy


def make_own_queue(capacity: int, capacity_bytes: int | None = None) -> PlainQueue:
    """An empty one, of a broker of its own."""
    return Broker(defaults=Policy(capacity=capacity, capacity_bytes=capacity_bytes)).queue(DEFAULT_QUEUE)
