"""A publisher's buffer: messages one by one in, batches out. No I/O is here; any thread may put messages in.

A batch goes out when it is full, or when none is on its way: so one message is not kept waiting, and many go together.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

from quickpulse.client.errors import PartialPublish
from quickpulse.client.words import as_payload
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Batch, Properties, PublishReply, Rejection

MOST_IN_BATCH = 1_000
MOST_BATCH_BYTES = 256 * 1024
MOST_ON_THEIR_WAY = 4
"""Batches of one publisher that are not confirmed: enough to keep the server busy while a reply travels."""

MOST_REPORTED = 1_000
"""Rejections that are kept for a report; the rest is only counted."""

_OWN_COST_BYTES = 64
"""What a message counts beside its payload, so that empty ones are bounded too."""


class OutBatch:
    """A batch, on its way from the first message to the reply.

    :param future: of whatever kind the face has; it gets the reply or an error.
    """

    __slots__ = ("_by_index", "future", "payloads", "properties", "size_bytes")

    def __init__(self, future: Any) -> None:
        self.future = future
        self.payloads: list[bytes] = []
        self.properties: dict[int, Properties] = {}
        self.size_bytes = 0
        self._by_index: dict[int, QuickPulseError] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is time to send it."""
        return len(self.payloads) >= MOST_IN_BATCH or self.size_bytes >= MOST_BATCH_BYTES

    def as_batch(self) -> Batch:
        """Its columns."""
        return Batch(self.payloads, None, self.properties)

    def require_accepted(self, index: int, reply: PublishReply) -> None:
        """Raise why this message was rejected, if it was."""
        if self._by_index is None:
            self._by_index = {each.index: each.error for each in reply.rejections}
        error = self._by_index.get(index)
        if error is not None:
            raise error


class Outbox:
    """What was published and not confirmed.

    :param make_future: the face's.
    :param max_messages: that may wait.
    :param max_bytes: likewise.
    """

    def __init__(self, make_future: Any, max_messages: int, max_bytes: int) -> None:
        self._make_future = make_future
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._filling: OutBatch | None = None
        self._full: deque[OutBatch] = deque()
        self._on_their_way: set[OutBatch] = set()
        self._messages = 0
        self._bytes = 0
        self._accepted = self._rejected = 0
        self._rejections: list[Rejection] = []
        self._confirmed = 0  # messages since the last report, rejected ones included

    @property
    def has_room(self) -> bool:
        """Whether another message may come."""
        return self._messages < self._max_messages and self._bytes < self._max_bytes

    @property
    def unconfirmed(self) -> int:
        """How many messages are here."""
        return self._messages

    @property
    def is_empty(self) -> bool:
        """Whether everything is confirmed."""
        return not self._messages

    @property
    def batches(self) -> list[OutBatch]:
        """Those that are not confirmed, of now."""
        with self._lock:
            filling = () if self._filling is None else (self._filling,)
            return [*self._on_their_way, *self._full, *filling]

    def add(self, payload: bytes, properties: Properties | None) -> tuple[OutBatch, int, bool]:
        """Put a message in: its batch, its place there, and whether `take` may give something now."""
        if type(payload) is not bytes:
            payload = as_payload(payload)
        size = len(payload) + _OWN_COST_BYTES
        with self._lock:
            batch = self._filling
            is_new = batch is None
            if batch is None:
                batch = self._filling = OutBatch(self._make_future())
            index = len(batch.payloads)
            batch.payloads.append(payload)
            if properties is not None:
                batch.properties[index] = properties
            batch.size_bytes += size
            self._messages += 1
            self._bytes += size
            if batch.is_full:
                self._full.append(batch)
                self._filling = None
                return batch, index, True
            return batch, index, is_new and not self._on_their_way

    def take(self) -> OutBatch | None:
        """The next batch to send; None: not now."""
        with self._lock:
            if len(self._on_their_way) >= MOST_ON_THEIR_WAY:
                return None
            if self._full:
                batch = self._full.popleft()
            elif self._filling is not None and not self._on_their_way:
                batch, self._filling = self._filling, None
            else:
                return None
            self._on_their_way.add(batch)
            return batch

    def confirmed(self, batch: OutBatch, reply: Any) -> None:
        """It was answered, or failed as a whole."""
        with self._lock:
            self._on_their_way.discard(batch)
            self._messages -= len(batch.payloads)
            self._bytes -= batch.size_bytes
            if isinstance(reply, PublishReply):
                rejections = [Rejection(self._confirmed + each.index, each.error) for each in reply.rejections]
            else:
                rejections = [Rejection(self._confirmed + index, reply) for index in range(len(batch.payloads))]
            self._confirmed += len(batch.payloads)
            self._accepted += len(batch.payloads) - len(rejections)
            self._rejections += rejections[: MOST_REPORTED - len(self._rejections)]
            self._rejected += len(rejections)

    def report(self) -> None:
        """Raise PartialPublish if anything was not accepted since the last report."""
        with self._lock:
            accepted, rejected, rejections = self._accepted, self._rejected, self._rejections
            self._accepted, self._rejected, self._rejections, self._confirmed = 0, 0, [], 0
        if rejections:
            raise PartialPublish(accepted, rejections, rejected)
