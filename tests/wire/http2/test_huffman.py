"""Huffman strings: what hpack's own decoder says, byte for byte and fault for fault."""

from __future__ import annotations

from hpack.exceptions import HPACKDecodingError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman as plain
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import huffman
from quickpulse.wire.http2.huffman import decode_huffman

encode = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode


def outcome(decode: object, data: bytes) -> bytes | None:
    """The text, or None for a fault."""
    try:
        return decode(data)  # type: ignore[operator, no-any-return]
    except HPACKDecodingError:
        return None


class HuffmanTests(SynchronousTestCase):
    """decode_huffman."""

    @settings(max_examples=500, deadline=None)
    @given(st.binary(max_size=60))
    def test_any_text(self, text: bytes) -> None:
        """What was encoded comes back."""
        self.assertEqual(decode_huffman(encode(text)), text)

    @settings(max_examples=1000, deadline=None)
    @given(st.binary(max_size=20))
    def test_any_bytes(self, data: bytes) -> None:
        """The same text as the library's, or a fault where it has one."""
        self.assertEqual(outcome(decode_huffman, data), outcome(plain, data))

    def test_all_of_two_bytes(self) -> None:
        """Every beginning of a string."""
        for number in range(0x10000):
            data = number.to_bytes(2, "big")
            self.assertEqual(outcome(decode_huffman, data), outcome(plain, data), data)

    def test_padding(self) -> None:
        """Seven ones at most (RFC 7541, section 5.2): a whole byte more, zeros, and EOS itself are faults."""
        self.assertEqual(decode_huffman(b"\x1f"), b"a")
        for wrong in (b"\x1f\xff", b"\x18", b"\xff\xff\xff\xff", b"\x1f\xff\xff\xff\xfc", b"\xff"):
            self.assertRaises(HPACKDecodingError, decode_huffman, wrong)
        self.assertEqual(decode_huffman(b""), b"")

    def test_what_is_remembered_is_bounded(self) -> None:
        """There are no more states than the table's, each with 256 bytes."""
        self.assertTrue(all(key < 0x10000 for key in huffman._steps))
        self.assertTrue(all(state < 0x100 for state, _, _ in huffman._steps.values()))
