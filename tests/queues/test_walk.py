"""The real broker and a naive one agree on everything, a little of it; `walk.py` says how to walk on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.queues.walk import run


class WalkTests(SynchronousTestCase):
    """Walks that are short enough for every run of the suite."""

    def test_walks(self) -> None:
        """No difference: with bounds as they are, with small ones, and with v0's queue left to v0."""
        for seed in (4, 5, 6, 7):
            run(seed, 1500)

    def test_a_walk_gets_everywhere(self) -> None:
        """Every count of a queue goes up in a few thousand steps."""
        pair = run(2, 4000)
        names = {name for queue in pair.model.queues.values() for name in queue.counts}
        self.assertLessEqual({"acked", "expired", "dead_lettered", "void", "redelivered", "purged"}, names)
