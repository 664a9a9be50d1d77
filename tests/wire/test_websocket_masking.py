"""Masking what a client sends."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.websocket.masking import LONG_BYTES, mask

KEY = b"\x00\x7f\x80\xff"


class MaskTests(SynchronousTestCase):
    """One byte of the key after the other (RFC 6455, section 5.3)."""

    def test_every_length(self) -> None:
        """Short ones and long ones alike, whatever is over behind the last whole key."""
        for size in (0, 1, 2, 3, 4, 5, 125, LONG_BYTES - 1, *range(LONG_BYTES, LONG_BYTES + 5), 100_003):
            payload = bytes(at * 7 & 0xFF for at in range(size))
            expected = bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))
            self.assertEqual(mask(payload, KEY), expected)

    def test_twice(self) -> None:
        """The second time takes it away."""
        for size in (100, 100_000):
            self.assertEqual(mask(mask(bytes(range(100)) * (size // 100), KEY), KEY), bytes(range(100)) * (size // 100))
