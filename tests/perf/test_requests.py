"""Requests made ahead, and answers that are alike, whatever the protocol."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from perf.requests import BLOCK_BYTES, MadeAhead, payload_rows, rows_at_front


class MadeAheadTests(SynchronousTestCase):
    """Whatever is asked for, it is as if each were made by itself."""

    def setUp(self) -> None:
        """Requests of 8 bytes."""
        self.made: list[tuple[int, int]] = []

    def make(self, first: int, count: int) -> bytes:
        """Each says its number."""
        self.made.append((first, count))
        return b"".join(b"%08d" % number for number in range(first, first + count))

    def test_in_turn(self) -> None:
        """Across the blocks, few of which are made."""
        ahead, first, wanted = MadeAhead(8, self.make), 0, [1, 7, BLOCK_BYTES // 8 - 3, BLOCK_BYTES // 4 + 5, 2, 100]
        for count in wanted:
            self.assertEqual(ahead.take(first, count), b"".join(b"%08d" % n for n in range(first, first + count)))
            first += count
        self.assertEqual(len(self.made), -(-first * 8 // BLOCK_BYTES))

    def test_large(self) -> None:
        """One at a time, where a block holds no more."""
        ahead = MadeAhead(BLOCK_BYTES + 1, lambda first, count: bytes((first,)) * (BLOCK_BYTES + 1) * count)
        self.assertEqual(ahead.take(0, 2), b"\0" * (BLOCK_BYTES + 1) + b"\1" * (BLOCK_BYTES + 1))


class RowTests(SynchronousTestCase):
    """The front of what came, as far as it is what was expected."""

    def test_counts(self) -> None:
        """Whole rows, up to the first that is another."""
        row, odd = b"ab" + b"x" * 4, b"ac" + b"x" * 4
        for data, count in (
            (b"", 0),
            (row[:-1], 0),
            (row, 1),
            (row * 100, 100),
            (row * 100 + row[:-1], 100),
            (row * 3 + odd + row, 3),
            (odd + row * 3, 0),
            (row * 3 + b"q", 3),
            (b"q" + row * 3, 0),
        ):
            self.assertEqual(rows_at_front(data, b"ab", 4), count, data)

    def test_a_payload_like_a_beginning(self) -> None:
        """Only what stands where a row begins counts."""
        self.assertEqual(rows_at_front(b"ab" + b"abab" + b"xx", b"ab", 4), 1)

    def test_payloads(self) -> None:
        """As an array."""
        rows = payload_rows(b"ab1234ab5678rest", 2, b"ab", 4)
        self.assertEqual([row.tobytes() for row in rows], [b"1234", b"5678"])
        self.assertEqual(rows.dtype, np.uint8)
