"""Payloads that are alike, and payloads with numbers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.load.numbered import alike, numbered


class NumberedTests(SynchronousTestCase):
    """The payloads."""

    def test_sizes(self) -> None:
        """Each has the size that was asked for, from one byte on; from ten on no two are alike."""
        for size in (1, 5, 10, 11, 100, 5000):
            made = list(numbered(98, 5, size))
            self.assertEqual({len(payload) for payload in made}, {size})
            self.assertEqual(len(alike(size)), size)
            if size >= 10:
                self.assertEqual(len(set(made)), 5)
