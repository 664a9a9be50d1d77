"""What is longer than a frame may be, in parts: each part a request of its own, and one reply for all. No I/O is here.

Messages keep their order, and what was refused its place. A part has a `batch_key` that follows from the whole's, so
that parts that are sent again are known as well as wholes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from quickpulse.errors import QuickPulseError, RequestTooLarge
from quickpulse.requests import Batch, Properties, Publish, PublishReply, Range, Rejection, Settle, SettleReply

MOST_ON_THEIR_WAY = 4
"""Parts of one request that are not answered: enough to keep the server busy, and no second copy of a huge batch."""

MOST_IN_PART = 100_000
"""Messages that a server takes in one batch; fewer where its frames are short."""

REJECTION_BYTES = 40
"""Of a frame, for what it says of each that it refuses."""

_OWN_BYTES = 8
"""Of a payload or a text in a frame, beside itself, at most."""

_PROPERTIES_BYTES = 128
"""Of properties, beside their texts: index, lengths, numbers."""

_RANGE_BYTES = 32
_NUMBER_BYTES = 3
"""Of a part's number in its `batch_key`."""

Done = Callable[[Any], None]


def most_in_part(max_bytes: int | None) -> int:
    """Messages that a server takes in one batch whose frames have so many bytes at most; None: it has not said."""
    return MOST_IN_PART if max_bytes is None else max(min(MOST_IN_PART, max_bytes // REJECTION_BYTES), 1)


def require_few(request: Any, max_bytes: int | None = None) -> None:
    """Raise RequestTooLarge for a batch of more messages than a server takes, however short they are."""
    if type(request) is Publish and len(request.batch.payloads) > most_in_part(max_bytes):
        most = most_in_part(max_bytes)
        raise RequestTooLarge(f"batch of {len(request.batch.payloads)} messages is over the limit of {most}")


def split(request: Any, max_bytes: int) -> list[Any]:
    """Requests that say the same together, each for a frame of so many bytes; fewer than two: it cannot be split."""
    if isinstance(request, Settle):
        return _split_settle(request, max_bytes)
    if isinstance(request, Publish) and not request.atomic:
        return _split_publish(request, max_bytes)
    return []


class Parts:
    """Asks for one part after the other, and answers once for all.

    After a part that failed no other one is sent, unless only that part is at fault.

    :param whole: the request.
    :param parts: as `split` has made them.
    :param ask: sends a request; calls its second argument once, with the reply or an error, perhaps at once.
    :param done: gets the reply for the whole, or an error where nothing has succeeded.
    """

    def __init__(self, whole: Any, parts: Sequence[Any], ask: Callable[[Any, Done], Any], done: Done) -> None:
        self._whole = whole
        self._parts = parts
        self._ask = ask
        self._done = done
        self._replies: list[Any] = [None] * len(parts)
        self._sent = self._answered = 0
        self._is_sending = self._is_over = False
        self._fault: QuickPulseError | None = None  # why the rest is not sent

    def send(self) -> None:
        """As many as may be on their way."""
        if self._is_sending or self._is_over:  # by an answer that came at once
            return
        self._is_sending = True
        while self._fault is None and self._sent < len(self._parts):
            if self._sent - self._answered >= MOST_ON_THEIR_WAY:
                break
            at, self._sent = self._sent, self._sent + 1
            self._ask(self._parts[at], partial(self._take, at))
        self._is_sending = False
        if self._answered == self._sent:
            self._is_over = True
            self._done(self._merged())

    def _take(self, at: int, reply: Any) -> None:
        self._replies[at] = reply
        self._answered += 1
        if isinstance(reply, RequestTooLarge):
            pass  # this part is at fault, and no other
        elif isinstance(reply, QuickPulseError):
            self._fault = self._fault or reply  # of any other: the rest is not sent
        else:
            assert isinstance(reply, PublishReply | SettleReply)
        self.send()

    def _merged(self) -> Any:
        replies: list[Any] = [self._fault if each is None else each for each in self._replies]
        errors = [each for each in replies if isinstance(each, QuickPulseError)]
        if len(errors) == len(replies) or (errors and isinstance(self._whole, Settle)):
            return errors[0]
        if isinstance(self._whole, Settle):
            unknown = [each for reply in replies for each in reply.unknown]
            return SettleReply(sum(reply.settled for reply in replies), unknown)
        return _merged_publish(self._parts, replies)


def _split_publish(request: Publish, max_bytes: int) -> list[Any]:
    batch = request.batch
    room = max_bytes - len(request.queue) - len(request.batch_key) - _size_of(batch.common) - 4 * _PROPERTIES_BYTES
    parts: list[Any] = []
    payloads: list[bytes] = []
    properties: dict[int, Properties] = {}
    size, most = 0, most_in_part(max_bytes)

    def end_part() -> None:
        number = len(parts).to_bytes(_NUMBER_BYTES, "big")
        key = request.batch_key and request.batch_key + number
        parts.append(Publish(request.queue, Batch(payloads, batch.common, properties), key))

    for index, payload in enumerate(batch.payloads):
        own = batch.properties.get(index)
        cost = len(payload) + _OWN_BYTES + _size_of(own)
        if payloads and (size + cost > room or len(payloads) == most):
            end_part()
            payloads, properties, size = [], {}, 0
        if own is not None:
            properties[len(payloads)] = own
        payloads.append(payload)
        size += cost
    end_part()
    return parts


def _size_of(properties: Properties | None) -> int:
    """What they take in a frame, at most."""
    if properties is None:
        return 0
    texts = [
        properties.id,
        properties.content_type,
        properties.dedup_key,
        properties.reply_to,
        properties.correlation_id,
        *properties.headers,
        *properties.headers.values(),
    ]
    return _PROPERTIES_BYTES + sum(len(text.encode(errors="replace")) + 2 * _OWN_BYTES for text in texts)


def _split_settle(request: Settle, max_bytes: int) -> list[Any]:
    room = max(max_bytes - len(request.queue) - len(request.reason.encode()) - _PROPERTIES_BYTES, 0) // _RANGE_BYTES
    if not room:
        return []
    ranges = request.receipts
    return [
        Settle(
            request.queue, ranges[at : at + room], request.action, request.delay_ms, request.lease_ms, request.reason
        )
        for at in range(0, len(ranges), room)
    ]


def _merged_publish(parts: Sequence[Publish], replies: Sequence[Any]) -> PublishReply:
    sequences: list[Range] = []
    duplicates: list[int] = []
    rejections: list[Rejection] = []
    start = 0
    for part, reply in zip(parts, replies, strict=True):
        count = len(part.batch.payloads)
        if isinstance(reply, PublishReply):
            for first, last in reply.sequences:
                if sequences and sequences[-1][1] == first - 1:
                    first = sequences.pop()[0]
                sequences.append((first, last))
            duplicates += [start + index for index in reply.duplicates]
            rejections += [Rejection(start + each.index, each.error) for each in reply.rejections]
        else:
            rejections += [Rejection(start + index, reply) for index in range(count)]
        start += count
    return PublishReply(sequences, duplicates, rejections)
