"""What messages take of a frame, at most, so that what is handed out together fits into one. Nothing is encoded here.

The figures are those of protobuf, each tag one byte and each length as long as it may be. A pull's `max_bytes` is in
the same measure. What messages take of a queue's bounds is less: payload and texts (`runs.weight_of`).
"""

from __future__ import annotations

from quickpulse.messages import Message
from quickpulse.requests import DeadLetter, Properties

HEAD_BYTES = 6 + 5 + 258 + 5 + 11 + 7 + 3 * 5
"""Of the frame itself: request_id, deliveries, queue, batch, first_receipt, lease_ms, and the heads of columns."""

FRAME_BYTES = 6 + 5 + 6 + 9
"""Of a message beside its bytes: tag and length of the payload; delivery_count, enqueued_at_ms and sequence."""

INDEXED_BYTES = 5 + 4 + 5
"""Of an entry by index: its own tag and length, the index, tag and length of what it stands for."""

PROPERTIES_BYTES = INDEXED_BYTES + 5 * 5 + 2 + 7 + 7
"""Of properties beside their texts: five tags and lengths; priority, delay_ms and ttl_ms."""

REJECTION_BYTES = 40
"""Of what is said of a message that is not accepted: index, code, reason and retry_after_ms take 29 at most. The rest
is for words, which the first hundred of a reply have."""

HEADER_BYTES = 3 * 5
"""Of a header beside its texts."""

LETTER_BYTES = INDEXED_BYTES + 3 + 3 + 6
"""Of where a dead letter comes from beside source and reason."""


def beside_texts(properties: Properties | Message | None) -> int:
    """Bytes of properties, without their texts."""
    if properties is None:
        return 0
    if isinstance(properties, Message):  # its id counts for nothing in the queue, but is delivered
        return PROPERTIES_BYTES + len((properties.id or "").encode())
    return PROPERTIES_BYTES + HEADER_BYTES * len(properties.headers)


def of_letter(letter: DeadLetter) -> int:
    """Bytes of where a dead letter comes from."""
    return LETTER_BYTES + len(letter.source) + len(letter.reason.encode())
