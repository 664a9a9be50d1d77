"""What a queue holds: `bytes`, or a `Message` where an id is wanted. No behaviour of queues belongs here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Message:
    """A payload with an optional id. The wire carries the payload only.

    :param payload: the message's bytes; empty is a message like any other.
    :param id: the caller's own name for it, given back by `dequeue` as it was put in; `None` when there is none.
    """

    payload: bytes
    id: str | None = None

    def __len__(self) -> int:
        """The payload's size in bytes, so that a queue measures `bytes` and `Message` alike."""
        return len(self.payload)

    def __bool__(self) -> bool:
        """A message is there even when its payload is empty."""
        return True


Item = bytes | Message
"""What `enqueue` takes and `dequeue` gives back."""

ITEM_TYPES = frozenset({bytes, Message})


def payload_of(item: Item) -> bytes:
    """The bytes that go over the wire for `item`."""
    return item.payload if type(item) is Message else item  # type: ignore[return-value]


def payloads_of(items: list[Item]) -> list[bytes]:
    """The bytes that go over the wire for each of `items`."""
    if Message in map(type, items):
        return [payload_of(item) for item in items]
    return items  # type: ignore[return-value]


def require_items(items: Sequence[Item]) -> None:
    """Raise `TypeError` when anything in `items` is neither exactly `bytes` nor a `Message`.

    A `bytearray` or `memoryview` may change after it was put in, and a `str` has no bytes, so they are refused.
    """
    if not ITEM_TYPES.issuperset(map(type, items)):
        strange = next(kind for kind in map(type, items) if kind not in ITEM_TYPES)
        raise TypeError(f"a queue takes bytes or Message, not {strange.__name__}")
