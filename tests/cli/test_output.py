"""Numbers and payloads as people read them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli.output import duration, number, readable, size


class TextTests(SynchronousTestCase):
    """Short, and with a unit."""

    def test_numbers(self) -> None:
        """In groups of three."""
        self.assertEqual(number(1_234_567), "1,234,567")

    def test_sizes(self) -> None:
        """In the unit that suits."""
        sizes = {0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 50: "5120.0 TiB"}
        self.assertEqual({count: size(count) for count in sizes}, sizes)

    def test_durations(self) -> None:
        """In the two units that suit."""
        durations = {
            0: "0 ms",
            999: "999 ms",
            1000: "1.0 s",
            59_999: "60.0 s",
            60_000: "1 min 0 s",
            3_599_000: "59 min 59 s",
            3_600_000: "1 h 0 min",
            86_399_000: "23 h 59 min",
            90_000_000: "1 d 1 h",
        }
        self.assertEqual({ms: duration(ms) for ms in durations}, durations)

    def test_payloads(self) -> None:
        """What cannot be shown is escaped, and nothing controls a terminal."""
        self.assertEqual(readable("zwei ü\x1b[0m\n\u009b\u202e".encode()), "zwei ü\\x1b[0m\\n\\x9b\\u202e")
        self.assertEqual(readable(b"\xff a"), "\\xff a")
