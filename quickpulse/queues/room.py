"""Whether messages fit: into their queue, and into the server; and making room by dropping the oldest."""

from __future__ import annotations

from quickpulse.queues.named import MESSAGE_BYTES, NamedQueue

_ENOUGH = 1 << 62
"""No bound."""


def fits(queue: NamedQueue, count: int, size_bytes: int) -> bool:
    """Whether so much fits into the queue, and into the server, as they are."""
    return (
        len(queue.lane.payloads) + queue.ready.in_runs + queue.held + count <= queue.capacity  # len(queue), quickly
        and queue.size_bytes + size_bytes <= queue.capacity_bytes
        and queue.usage.used + size_bytes + count * MESSAGE_BYTES <= queue.usage.limit
    )


def could_fit(queue: NamedQueue, count: int, size_bytes: int) -> bool:
    """Whether so much fits once all that is ready was dropped."""
    ready_bytes = queue.size_bytes - queue.held_bytes
    return (
        queue.held + count <= queue.capacity
        and queue.held_bytes + size_bytes <= queue.capacity_bytes
        and queue.usage.used - ready_bytes - len(queue.ready) * MESSAGE_BYTES + size_bytes + count * MESSAGE_BYTES
        <= queue.usage.limit
    )


def make_room(queue: NamedQueue, count: int, size_bytes: int) -> bool:
    """Drop the oldest ready messages, no more than it takes, for so much; False, and nothing is dropped: in vain."""
    if not could_fit(queue, count, size_bytes):
        return False
    while not fits(queue, count, size_bytes):
        messages = len(queue) + count - queue.capacity  # that are too many; likewise
        in_queue = queue.size_bytes + size_bytes - queue.capacity_bytes
        in_server = queue.usage.used + size_bytes + count * MESSAGE_BYTES - queue.usage.limit
        if messages > 0:
            queue.drop_oldest(messages, _ENOUGH, 0)
        elif in_queue > 0:
            queue.drop_oldest(_ENOUGH, in_queue, 0)
        else:
            most = 1 if queue.extras else _ENOUGH  # what is in the extras counts for more
            queue.drop_oldest(most, in_server, MESSAGE_BYTES)
    return True
