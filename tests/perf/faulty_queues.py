"""Queues for a real server's `--queue`, each with one fault, to see whether it is found."""

from __future__ import annotations

from collections.abc import Sequence

from quickpulse.messages import Item
from quickpulse.queues.memory import MessageQueue

FAULTY_MESSAGE = 1_000
"""Which message it happens to."""


class _FaultyQueue(MessageQueue):
    """Does as its subclass says to one message, and well to all others."""

    __slots__ = ("_put_in",)

    def __init__(self, capacity: int, capacity_bytes: int | None) -> None:
        super().__init__(capacity, capacity_bytes)
        self._put_in = 0

    def enqueue_many(self, messages: Sequence[Item]) -> int:
        """Always says that it took all."""
        place = FAULTY_MESSAGE - self._put_in
        self._put_in += len(messages)
        if not 0 <= place < len(messages):
            return super().enqueue_many(messages)
        super().enqueue_many([*messages[:place], *self._instead_of(messages[place]), *messages[place + 1 :]])
        return len(messages)

    def _instead_of(self, message: Item) -> list[Item]:
        raise NotImplementedError


class Loses(_FaultyQueue):
    """One is acknowledged and dropped."""

    def _instead_of(self, message: Item) -> list[Item]:
        return []


class Doubles(_FaultyQueue):
    """One comes out twice."""

    def _instead_of(self, message: Item) -> list[Item]:
        return [message, message]


class Alters(_FaultyQueue):
    """One comes out with another first byte."""

    def _instead_of(self, message: Item) -> list[Item]:
        payload = bytes(message)  # type: ignore[arg-type]
        return [bytes((payload[0] ^ 1,)) + payload[1:]]


class Swaps(_FaultyQueue):
    """A batch comes out in another order."""

    def enqueue_many(self, messages: Sequence[Item]) -> int:
        """Every one, in turn."""
        return super(_FaultyQueue, self).enqueue_many(list(reversed(messages)))
