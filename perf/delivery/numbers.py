"""Messages with numbers of their own. A number fills its payload, so that an altered one is seen."""

from __future__ import annotations

NUMBER_BYTES = 4

REPEATS = 25
"""100 bytes in all."""

POISON_EVERY = 10_007
"""One of so many is a message that no consumer can do: it ends in the dead-letter queue."""


def payload_of(number: int) -> bytes:
    """The message with this number."""
    return number.to_bytes(NUMBER_BYTES, "little") * REPEATS


def number_of(payload: bytes) -> int:
    """Its number.

    :raises ValueError: the payload was altered.
    """
    number = int.from_bytes(payload[:NUMBER_BYTES], "little")
    if payload != payload_of(number):
        raise ValueError(f"not a message of ours: {payload[:32]!r}")
    return number


def is_poison(number: int) -> bool:
    """Whether consumers fail at it."""
    return number % POISON_EVERY == 1
