"""Which keys were published lately. Whether a message is stored for it is decided where it is published."""

from __future__ import annotations

from collections import OrderedDict

from quickpulse.queues.agenda import FORGET, Agenda
from quickpulse.queues.usage import KEY_BYTES, Usage
from quickpulse.requests import PublishReply

MOST_KEYS = 100_000
"""Of each kind in a queue; the oldest go first. What was not stored of a batch counts, too: its reply names it."""

LEAST_SLEEP_MS = 1000
"""Keys whose time is up are not found; to free their memory, once a second is often enough."""


class Keys:
    """The keys of one queue, of messages and of batches, each with the moment from which on it is remembered.

    :ivar window_ms: how long a key is remembered.
    """

    __slots__ = ("_agenda", "_batches", "_is_scheduled", "_kept", "_messages", "_usage", "newest_at", "window_ms")

    def __init__(self, agenda: Agenda, usage: Usage) -> None:
        self.window_ms = 0
        self._usage = usage
        self.newest_at: int | None = None
        self._agenda = agenda
        # Ordered, because to find the first key of a plain dict gets slower with each that was deleted before it.
        self._messages: OrderedDict[str, int] = OrderedDict()
        self._batches: OrderedDict[bytes, tuple[int, PublishReply]] = OrderedDict()
        self._is_scheduled = False
        self._kept = 0  # batches, with all that their replies name

    def __len__(self) -> int:
        return len(self._messages) + len(self._batches)

    def knows(self, key: str, now_ms: int) -> bool:
        """Whether a message with this key was accepted within the window."""
        at = self._messages.get(key)
        return at is not None and now_ms < at + self.window_ms

    def reply_to(self, key: bytes, now_ms: int) -> PublishReply | None:
        """The reply to the batch with this key, if there was one within the window."""
        at, reply = self._batches.get(key, (0, None))
        return reply if now_ms < at + self.window_ms else None

    def add(self, key: str, now_ms: int) -> None:
        """A message with this key was accepted."""
        if self.window_ms:
            if self._messages.pop(key, None) is None:  # else it is followed by itself, behind the others
                self._usage.used += cost_of(key)
            self._messages[key] = now_ms
            if len(self._messages) > MOST_KEYS:
                self._drop_message(next(iter(self._messages)))
            self._added(now_ms)

    def add_batch(self, key: bytes, reply: PublishReply, now_ms: int) -> None:
        """A batch with this key was accepted, at least a part of it."""
        if self.window_ms:
            self._drop_batch(key)
            self._batches[key] = (now_ms, reply)
            self._kept += _weight(reply)
            self._usage.used += cost_of(key, reply)
            while self._kept > MOST_KEYS and len(self._batches) > 1:
                self._drop_batch(next(iter(self._batches)))
            self._added(now_ms)

    def clear(self) -> None:
        """The queue is gone."""
        for key in [*self._messages]:
            self._drop_message(key)
        for batch in [*self._batches]:
            self._drop_batch(batch)
        self._is_scheduled = False

    def is_pending(self, moment: int) -> bool:
        """Of the agenda: also where all are gone by now, as those that come until then rely on it."""
        return self._is_scheduled

    def happen(self, moment: int) -> None:
        """Drop the keys whose time is up."""
        self._is_scheduled = False
        self.drop_old(moment)
        if self._messages or self._batches:
            self._schedule(moment)

    def drop_old(self, moment: int) -> None:
        """Forget those whose time is up; to be done before the window changes, so that a longer one revives none."""
        messages, batches, window_ms = self._messages, self._batches, self.window_ms
        while messages and messages[key := next(iter(messages))] + window_ms <= moment:
            self._drop_message(key)
        while batches and batches[batch := next(iter(batches))][0] + window_ms <= moment:
            self._drop_batch(batch)

    def _drop_message(self, key: str) -> None:
        del self._messages[key]
        self._usage.used -= cost_of(key)

    def _drop_batch(self, key: bytes) -> None:
        dropped = self._batches.pop(key, None)
        if dropped is not None:
            self._kept -= _weight(dropped[1])
            self._usage.used -= cost_of(key, dropped[1])

    def _added(self, now_ms: int) -> None:
        self.newest_at = now_ms
        if not self._is_scheduled:
            self._schedule(now_ms)

    def _schedule(self, now_ms: int) -> None:
        oldest = min(
            next(iter(self._messages.values()), now_ms),
            next(iter(self._batches.values()), (now_ms,))[0],
        )
        self._is_scheduled = True
        self._agenda.add(max(oldest + self.window_ms, now_ms + LEAST_SLEEP_MS), FORGET, 0, self)


def cost_of(key: str | bytes, reply: PublishReply | None = None) -> int:
    """Bytes of memory that a key takes, with the reply that is kept for it."""
    is_short = isinstance(key, bytes) or key.isascii()
    return (KEY_BYTES if reply is None else KEY_BYTES * _weight(reply)) + len(key) * (1 if is_short else 4)


def _weight(reply: PublishReply) -> int:
    """As how many keys a reply counts."""
    return 1 + len(reply.duplicates) + len(reply.rejections)
