"""Payloads: both forms make and read the same, and no alteration goes unseen."""

from __future__ import annotations

import numpy as np
from twisted.trial import unittest

from perf.payloads import MIN_PAYLOAD_BYTES, PayloadFormat

RUN_TAG = 0xFEEDBEEF

SIZES = (MIN_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES + 1, 64, 1000)


class PayloadTests(unittest.TestCase):
    """One format, made message by message and block by block."""

    def test_block_is_the_single_ones(self) -> None:
        """`make_block` makes what `make` makes, for any size."""
        for size in SIZES:
            payloads = PayloadFormat(RUN_TAG, size)
            block = payloads.make_block(7, 250, 40)
            singles = [payloads.make(7, sequence) for sequence in range(250, 290)]
            self.assertEqual([row.tobytes() for row in block], singles)
            self.assertEqual({len(single) for single in singles}, {size})

    def test_reads_what_it_made(self) -> None:
        """Producer and sequence come back, by both ways of reading."""
        for size in SIZES:
            payloads = PayloadFormat(RUN_TAG, size)
            self.assertEqual(payloads.read(payloads.make(3, 2**32 - 1)), (RUN_TAG, 3, 2**32 - 1, True))
            read = payloads.read_block(payloads.make_block(3, 1000, 5))
            assert read is not None
            self.assertEqual(read[0].tolist(), [3] * 5)
            self.assertEqual(read[1].tolist(), list(range(1000, 1005)))

    def test_all_differ(self) -> None:
        """No two messages of a run have the same payload."""
        payloads = PayloadFormat(RUN_TAG, 32)
        made = {payloads.make(producer, sequence) for producer in range(20) for sequence in range(300)}
        self.assertEqual(len(made), 6000)

    def test_every_bit_matters(self) -> None:
        """One bit turned, anywhere, is seen by both ways of reading."""
        payloads = PayloadFormat(RUN_TAG, 24)
        made = payloads.make(5, 77)
        for bit in range(8 * len(made)):
            altered = (int.from_bytes(made, "big") ^ 1 << bit).to_bytes(len(made), "big")
            read = payloads.read(altered)
            self.assertTrue(read is None or not read[3], f"bit {bit}")
            block = np.frombuffer(altered, np.uint8).reshape(1, -1)
            self.assertIsNone(payloads.read_block(block), f"bit {bit}")

    def test_wrong_size(self) -> None:
        """Too short or too long is not intact."""
        payloads = PayloadFormat(RUN_TAG, 32)
        made = payloads.make(0, 0)
        for altered in (made[:-1], made + b"x"):
            self.assertEqual(payloads.read(altered), (RUN_TAG, 0, 0, False))
        self.assertIsNone(payloads.read(made[: MIN_PAYLOAD_BYTES - 1]))

    def test_body_of_another(self) -> None:
        """The header of one message over the body of the next is not intact."""
        payloads = PayloadFormat(RUN_TAG, 64)
        mixed = payloads.make(0, 1)[:MIN_PAYLOAD_BYTES] + payloads.make(0, 2)[MIN_PAYLOAD_BYTES:]
        self.assertEqual(payloads.read(mixed), (RUN_TAG, 0, 1, False))

    def test_of_another_run(self) -> None:
        """Its header can be believed, and names the other run."""
        other = PayloadFormat(RUN_TAG + 1, 32).make(1, 2)
        read = PayloadFormat(RUN_TAG, 32).read(other)
        assert read is not None
        self.assertEqual(read[:3], (RUN_TAG + 1, 1, 2))

    def test_too_small(self) -> None:
        """There is no room for less than the header."""
        self.assertRaises(ValueError, PayloadFormat, RUN_TAG, MIN_PAYLOAD_BYTES - 1)
