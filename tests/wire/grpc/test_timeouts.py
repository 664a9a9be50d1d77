"""The grpc-timeout field."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.grpc.timeouts import is_in_future, is_timeout, read_timeout


class TimeoutTests(SynchronousTestCase):
    """read_timeout, is_timeout, is_in_future."""

    def test_units(self) -> None:
        """Hours to nanoseconds, up to eight digits."""
        for value, seconds in (
            (b"1H", 3600),
            (b"2M", 120),
            (b"3S", 3),
            (b"4m", 4e-3),
            (b"5u", 5e-6),
            (b"6n", 6e-9),
            (b"99999999S", 99_999_999),
            (b"00000001S", 1),
        ):
            self.assertAlmostEqual(read_timeout(value), seconds, places=12)
            self.assertTrue(is_timeout(value) and is_in_future(value))

    def test_no_time(self) -> None:
        """Zero is a timeout, and over."""
        for value in (b"0S", b"00000000n"):
            self.assertEqual(read_timeout(value), 0)
            self.assertFalse(is_in_future(value))

    def test_no_timeout(self) -> None:
        """Other units, signs, blanks, fractions, too many digits, nothing."""
        for value in (b"", b"S", b"1", b"1s", b"1h", b"-1S", b"+1S", b" 1S", b"1S ", b"1.5S", b"123456789S", b"\xb2S"):
            self.assertFalse(is_timeout(value) or is_in_future(value), value)
            error = self.assertRaises(ValueError, read_timeout, value)
            self.assertIn("grpc-timeout", str(error))
