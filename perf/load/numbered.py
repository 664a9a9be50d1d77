"""Payloads: all alike for what is put in, numbered for what is there before, so that each can be missed.

A server makes them too, to have them queued when it starts: nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator

MOST_DIGITS = 10

_TEXT = b"hello world"


def alike(size: int) -> bytes:
    """The payload of `size` bytes that every message put in by the load has."""
    return (_TEXT * (size // len(_TEXT) + 1))[:size]


def digits_of(size: int) -> int:
    """Digits in a payload of that size. Below six, numbers come again within a run."""
    return min(size, MOST_DIGITS)


def numbered(first: int, count: int, size: int) -> Iterator[bytes]:
    """The payloads with these numbers."""
    digits = digits_of(size)
    form, limit, filler = b"%%0%dd" % digits, 10**digits, alike(size - digits)
    return (form % (number % limit) + filler for number in range(first, first + count))
