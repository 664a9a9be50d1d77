"""Many at a time: requests that are made ahead, and answers that are alike. No sockets, and no protocol."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BLOCK_BYTES = 256 * 1024
"""Requests that are made at once: enough that making them one at a time does not show."""


class MadeAhead:
    """Requests by their number, each of the same size; numbers only go up.

    request_bytes: of each
    make: (first number, count) -> their bytes
    """

    def __init__(self, request_bytes: int, make: Callable[[int, int], bytes]) -> None:
        self._request_bytes = request_bytes
        self._make = make
        self._block_count = max(1, BLOCK_BYTES // request_bytes)
        self._block = b""
        self._first = self._end = 0

    def take(self, first: int, count: int) -> bytes:
        """The bytes of `count` requests from `first` on."""
        parts = []
        while count:
            if first >= self._end:
                self._block = self._make(first, self._block_count)
                self._first, self._end = first, first + self._block_count
            taken = min(count, self._end - first)
            start = (first - self._first) * self._request_bytes
            parts.append(self._block[start : start + taken * self._request_bytes])
            first, count = first + taken, count - taken
        return parts[0] if len(parts) == 1 else b"".join(parts)


def rows_at_front(data: bytes, beginning: bytes, length: int) -> int:
    """How often `beginning` and `length` bytes more stand at the front.

    By columns, each compared by C, since that is what most data is from one end to the other; else row by row.
    """
    width = len(beginning) + length
    count = len(data) // width
    for at in range(len(beginning)):
        if data[at : count * width : width] != beginning[at : at + 1] * count:
            break
    else:
        return count
    whole, count = count, 0
    while count < whole and data.startswith(beginning, count * width):
        count += 1
    return count


def payload_rows(data: bytes, count: int, beginning: bytes, length: int) -> np.ndarray:
    """The payloads of `rows_at_front`, one a row."""
    width = len(beginning) + length
    return np.frombuffer(data, np.uint8, count * width).reshape(count, width)[:, len(beginning) :]
