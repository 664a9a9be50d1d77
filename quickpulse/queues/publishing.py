"""Putting a batch into its queue.

A batch of plain messages that fits, which is nearly every batch, is stored as it came. All others are looked at message
by message in `admission.py`. A repeat of a batch's key is answered here.
"""

from __future__ import annotations

from collections.abc import Sequence

from quickpulse.errors import InvalidArgument, QueuePaused
from quickpulse.queues.admission import Admission
from quickpulse.queues.framing import REJECTION_BYTES
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import LONGEST_KEY, MOST_PUBLISHED, Limits, require_between
from quickpulse.queues.room import fits, make_room
from quickpulse.requests import NO_PROPERTIES, Overflow, Publish, PublishReply

_BYTES = frozenset({bytes})


def publish(queue: NamedQueue, request: Publish, now_ms: int, limits: Limits) -> PublishReply:
    """Put a batch into its queue.

    :raises QueuePaused: the queue takes none.
    :raises InvalidArgument: the batch as a whole is not valid; what is wrong with a message is a rejection.
    :raises TypeError: a payload is not exactly `bytes`.
    """
    batch, key = request.batch, request.batch_key
    count = len(batch.payloads)
    if count > MOST_PUBLISHED or (count * REJECTION_BYTES > limits.max_batch_bytes and count > 1):
        most = min(MOST_PUBLISHED, limits.max_batch_bytes // REJECTION_BYTES)
        raise InvalidArgument(f"batch: {count} messages, expected {most} at most")
    if key:
        require_between("batch_key: its length", len(key), 0, LONGEST_KEY)
        reply = queue.keys.reply_to(key, now_ms)
        if reply is not None:
            return reply
    if queue.is_publish_paused:
        queue.counts.reject(QueuePaused.code, len(batch.payloads))
        raise QueuePaused
    payloads = list(batch.payloads)
    require_payloads(payloads)
    if not payloads:
        return PublishReply()
    reply = None
    if not batch.properties and (batch.common is None or batch.common == NO_PROPERTIES):
        reply = _publish_plain(queue, payloads, now_ms, limits)
    if reply is None:
        reply = Admission(queue, batch, payloads, now_ms, limits).publish(request.atomic)
    if key and reply.sequences:
        queue.keys.add_batch(key, reply, now_ms)
    return reply


def require_payloads(payloads: Sequence[object]) -> None:
    """Raise TypeError when any is not exactly `bytes`: others may change after they were put in."""
    if not _BYTES.issuperset(map(type, payloads)):
        strange = next(kind for kind in map(type, payloads) if kind is not bytes)
        raise TypeError(f"a payload is bytes, not {strange.__name__}")


def _publish_plain(queue: NamedQueue, payloads: list[bytes], now_ms: int, limits: Limits) -> PublishReply | None:
    """Store all as they are; None where each has to be looked at."""
    size_bytes = sum(map(len, payloads))
    if size_bytes > limits.max_message_bytes and max(map(len, payloads)) > limits.max_message_bytes:
        return None
    if not fits(queue, len(payloads), size_bytes) and (
        queue.policy.overflow is not Overflow.DROP_OLDEST or not make_room(queue, len(payloads), size_bytes)
    ):
        return None
    first = queue.store(payloads, size_bytes, now_ms)
    return PublishReply(((first, queue.lane.stored),))
