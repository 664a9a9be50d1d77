"""Publish, pull, settle and subscriptions, between the vocabulary and protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import Any

from quickpulse.requests import (
    Action,
    Delivery,
    Publish,
    PublishReply,
    Pull,
    Range,
    Rejection,
    Settle,
    SettleReply,
    Subscribe,
    SubscriptionEnded,
)
from quickpulse.wire.v1.batches import fill_batch, read_batch
from quickpulse.wire.v1.errors import fill_error, read_error
from quickpulse.wire.v1.forms import member, require_few

MOST_WORDED = 100
"""Rejections of a reply that say in words what is wrong; further ones only by code and reason, to be short."""

_DELIVERY = {0: Delivery.LEASED, 1: Delivery.LEASED, 2: Delivery.TAKEN}
_DELIVERY_NUMBER = {Delivery.LEASED: 1, Delivery.TAKEN: 2}

_ACTION = {1: Action.ACK, 2: Action.NACK, 3: Action.RELEASE, 4: Action.EXTEND, 5: Action.DEAD_LETTER}
_ACTION_NUMBER = {action: number for number, action in _ACTION.items()}


def _read_ranges(messages: Iterable[Any]) -> list[Range]:
    return [(each.first, each.last) for each in messages]


def _fill_ranges(ranges: Iterable[Range], messages: Any) -> None:
    for first, last in ranges:
        message = messages.add()
        message.first, message.last = first, last  # keywords cost more


def read_publish(message: Any) -> Publish:
    """PublishRequest."""
    return Publish(message.queue, read_batch(message.batch), message.batch_key, message.atomic)


def fill_publish(request: Publish, message: Any) -> None:
    """PublishRequest."""
    message.queue = request.queue
    fill_batch(request.batch, message.batch)
    message.batch_key = request.batch_key
    message.atomic = request.atomic


def read_publish_reply(message: Any) -> PublishReply:
    """PublishReply."""
    return PublishReply(
        _read_ranges(message.sequences),
        message.duplicates[:],
        [Rejection(each.index, read_error(each.error)) for each in message.rejections],
    )


def fill_publish_reply(reply: PublishReply, message: Any) -> None:
    """PublishReply."""
    _fill_ranges(reply.sequences, message.sequences)
    if reply.duplicates:
        message.duplicates.extend(reply.duplicates)
    written: dict[Any, Any] = {}
    for place, rejection in enumerate(reply.rejections):
        part, error = message.rejections.add(index=rejection.index), rejection.error
        key: Any = error if place < MOST_WORDED else (error.code, error.retry_after_ms)
        if key in written:  # as a full queue refuses the rest of a batch
            part.error.CopyFrom(written[key])
            continue
        fill_error(error, part.error)
        if place >= MOST_WORDED:
            part.error.ClearField("message")
        written[key] = part.error


def read_pull(message: Any) -> Pull:
    """PullRequest."""
    queues = message.queues[:]
    if len(queues) > 1:  # of a pull that waits they are kept: each name once for all such pulls
        queues = list(map(intern, queues))
    return Pull(
        queues,
        message.max_messages,
        message.max_bytes,
        message.wait_ms,
        message.lease_ms,
        member("delivery", message.delivery, _DELIVERY),
        message.with_enqueued_at,
    )


def fill_pull(request: Pull, message: Any) -> None:
    """PullRequest."""
    message.queues.extend(request.queues)
    message.max_messages = request.max_messages
    message.max_bytes = request.max_bytes
    message.wait_ms = request.wait_ms
    message.lease_ms = request.lease_ms
    message.delivery = _DELIVERY_NUMBER[request.delivery]
    message.with_enqueued_at = request.with_enqueued_at


def read_settle(message: Any) -> Settle:
    """SettleRequest. Its action is never guessed: an ack that was not meant loses messages."""
    receipts = message.receipts
    require_few("receipts", receipts)
    return Settle(
        message.queue,
        _read_ranges(receipts),
        member("action", message.action, _ACTION),
        message.delay_ms if message.HasField("delay_ms") else None,
        message.lease_ms,
        message.reason,
    )


def fill_settle(request: Settle, message: Any) -> None:
    """SettleRequest."""
    message.queue = request.queue
    _fill_ranges(request.receipts, message.receipts)
    message.action = _ACTION_NUMBER[request.action]
    if request.delay_ms is not None:
        message.delay_ms = request.delay_ms
    message.lease_ms = request.lease_ms
    message.reason = request.reason


def read_settle_reply(message: Any) -> SettleReply:
    """SettleReply."""
    return SettleReply(message.settled, _read_ranges(message.unknown))


def fill_settle_reply(reply: SettleReply, message: Any) -> None:
    """SettleReply."""
    message.settled = reply.settled
    if reply.unknown:
        _fill_ranges(reply.unknown, message.unknown)


def read_subscribe(message: Any) -> Subscribe:
    """SubscribeRequest."""
    return Subscribe(
        message.queue,
        message.credit_messages,
        message.credit_bytes,
        message.lease_ms,
        member("delivery", message.delivery, _DELIVERY),
        message.release_on_disconnect,
        message.with_enqueued_at,
    )


def fill_subscribe(request: Subscribe, message: Any) -> None:
    """SubscribeRequest."""
    message.queue = request.queue
    message.credit_messages = request.credit_messages
    message.credit_bytes = request.credit_bytes
    message.lease_ms = request.lease_ms
    message.delivery = _DELIVERY_NUMBER[request.delivery]
    message.release_on_disconnect = request.release_on_disconnect
    message.with_enqueued_at = request.with_enqueued_at


def read_ended(message: Any) -> SubscriptionEnded:
    """SubscriptionEnded."""
    return SubscriptionEnded(read_error(message.error) if message.HasField("error") else None)


def fill_ended(ended: SubscriptionEnded, message: Any) -> None:
    """SubscriptionEnded."""
    if ended.error is not None:
        fill_error(ended.error, message.error)
