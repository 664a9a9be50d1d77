"""Numbers on a command line."""

from __future__ import annotations

from argparse import ArgumentTypeError

from twisted.trial.unittest import SynchronousTestCase

from perf.arguments import seconds, whole


class ArgumentTests(SynchronousTestCase):
    """What is a number within the bounds, and what is not."""

    def test_whole(self) -> None:
        """Both bounds belong to it."""
        self.assertEqual([whole(1, 99)(text) for text in ("1", "99")], [1, 99])
        for wrong in ("0", "100", "-1", "1.5", "many", ""):
            self.assertIn(wrong, str(self.assertRaises(ArgumentTypeError, whole(1, 99), wrong)))

    def test_seconds(self) -> None:
        """More than none."""
        self.assertEqual([seconds(60)(text) for text in ("0.5", "60")], [0.5, 60.0])
        for wrong in ("0", "61", "-1", "nan", "inf", "soon"):
            self.assertIn(wrong, str(self.assertRaises(ArgumentTypeError, seconds(60), wrong)))
