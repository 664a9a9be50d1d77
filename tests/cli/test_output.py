"""Numbers and payloads as people read them."""

from __future__ import annotations

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli import output
from quickpulse.cli.output import duration, middle, number, readable, size


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


class TableTests(SynchronousTestCase):
    """A table on a screen: each row is one line."""

    NAME = "orders.created.eu-west-10"

    def lines(self, width: int, state: str = "-", **how: object) -> list[str]:
        """What stands on a screen so wide."""
        screen = Console(width=width, highlight=False, color_system=None)
        self.patch(output, "console", lambda: screen)
        rows = [[self.NAME, "1,234,567", "0", state], ["x", "7", "0", state]]
        made = output.table(("QUEUE", "READY", "LEASED", "STATE"), rows, left=("STATE",), **how)
        with screen.capture() as captured:
            screen.print(made)
        return [line.rstrip() for line in captured.get().splitlines()]

    def test_room_for_all(self) -> None:
        """Nothing is cut."""
        head, first, _ = self.lines(80)
        self.assertEqual(head.split(), ["QUEUE", "READY", "LEASED", "STATE"])
        self.assertEqual(first.split(), [self.NAME, "1,234,567", "0", "-"])

    def test_columns_of_zeros_go_first(self) -> None:
        """From the right, and then the name is whole."""
        self.assertEqual(self.lines(46)[1].split(), [self.NAME, "1,234,567", "0"])
        self.assertEqual([line.split() for line in self.lines(36)[:2]], [["QUEUE", "READY"], [self.NAME, "1,234,567"]])

    def test_names_are_cut_in_the_middle(self) -> None:
        """They differ at their ends."""
        self.assertEqual(self.lines(32)[1].split(), ["orders.cre~eu-west-10", "1,234,567"])

    def test_what_says_something_is_missed(self) -> None:
        """It is told what there is no room for."""
        self.assertEqual(self.lines(32, state="paused")[3:], ["no room for STATE"])
        self.assertEqual(self.lines(80, state="paused", note="2 more")[3:], ["2 more"])

    def test_middle(self) -> None:
        """As wide as there is room."""
        self.assertEqual([middle("abcdef", width) for width in (6, 5, 4, 1)], ["abcdef", "ab~ef", "ab~f", "~"])
