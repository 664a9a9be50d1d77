"""Messages as columns: batches, their properties, and deliveries.

Columns go in and out whole. A Python loop over messages is only where messages have properties of their own, or texts.
"""

from __future__ import annotations

from typing import Any

from quickpulse.errors import InvalidArgument
from quickpulse.requests import NO_PROPERTIES, Batch, DeadLetter, Deliveries, Properties
from quickpulse.wire.v1.forms import require_few


def read_properties(message: Any) -> Properties | None:
    """None where nothing is set: a message without properties costs nothing."""
    properties = Properties(
        message.id,
        dict(message.headers),
        message.content_type,
        message.priority,
        message.delay_ms,
        message.ttl_ms,
        message.dedup_key,
        message.reply_to,
        message.correlation_id,
    )
    return None if properties == NO_PROPERTIES else properties


def fill_properties(properties: Properties, message: Any) -> None:
    """Write them."""
    message.id = properties.id
    message.headers.update(properties.headers)
    message.content_type = properties.content_type
    message.priority = properties.priority
    message.delay_ms = properties.delay_ms
    message.ttl_ms = properties.ttl_ms
    message.dedup_key = properties.dedup_key
    message.reply_to = properties.reply_to
    message.correlation_id = properties.correlation_id


def read_batch(message: Any) -> Batch:
    """Its payloads, or its texts as their UTF-8."""
    payloads = message.payloads[:]  # a list, made by the runtime at once
    if message.texts:
        if payloads:
            raise InvalidArgument("batch: has payloads and texts; exactly one of the two is wanted")
        require_few("batch.texts", message.texts)
        payloads = [text.encode() for text in message.texts]
    common = read_properties(message.common) if message.HasField("common") else None
    if not message.properties:
        return Batch(payloads, common)
    if len(message.properties) > len(payloads):  # which of them is out of range is found where they are used
        raise InvalidArgument(f"batch.properties: {len(message.properties)} of them, and {len(payloads)} messages")
    properties = {index: read_properties(each) for index, each in message.properties.items()}
    return Batch(payloads, common, {index: own for index, own in properties.items() if own is not None})


def fill_batch(batch: Batch, message: Any) -> None:
    """Write it, with payloads."""
    if batch.payloads:  # an empty column would be a byte or two
        message.payloads.extend(batch.payloads)
    if batch.common is not None:
        fill_properties(batch.common, message.common)
    for index, properties in batch.properties.items():
        fill_properties(properties, message.properties[index])


def as_texts(message: Any) -> None:
    """Turn the payloads of a Batch message into texts, if each is UTF-8; else it stays as it is."""
    try:
        texts = [payload.decode() for payload in message.payloads]
    except UnicodeDecodeError:
        return
    message.texts.extend(texts)
    del message.payloads[:]


def read_deliveries(message: Any) -> Deliveries:
    """Messages that were handed out; a column that is not there is None."""
    return Deliveries(
        message.queue,
        read_batch(message.batch),
        message.first_receipt,
        message.lease_ms,
        message.delivery_counts[:] or None,
        message.enqueued_at_ms[:] or None,
        message.sequences[:] or None,
        _read_dead_letters(message.dead_letters) if message.dead_letters else {},
    )


def _read_dead_letters(messages: Any) -> dict[int, DeadLetter]:
    return {index: DeadLetter(each.source, each.reason, each.deliveries) for index, each in messages.items()}


def fill_deliveries(deliveries: Deliveries, message: Any) -> None:
    """Write them, column by column."""
    message.queue = deliveries.queue
    fill_batch(deliveries.batch, message.batch)
    message.first_receipt = deliveries.first_receipt
    message.lease_ms = deliveries.lease_ms
    if deliveries.delivery_counts is not None:
        message.delivery_counts.extend(deliveries.delivery_counts)
    if deliveries.enqueued_at_ms is not None:
        message.enqueued_at_ms.extend(deliveries.enqueued_at_ms)
    if deliveries.sequences is not None:
        message.sequences.extend(deliveries.sequences)
    for index, each in deliveries.dead_letters.items():
        letter = message.dead_letters[index]
        letter.source, letter.reason, letter.deliveries = each.source, each.reason, each.deliveries
