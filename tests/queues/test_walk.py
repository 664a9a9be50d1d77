"""The real broker and a naive one agree on everything, a little of it; `walk.py` says how to walk on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.life import State
from quickpulse.requests import Batch, Publish
from tests.queues.walk import DifferenceError, Walk, run


class WalkTests(SynchronousTestCase):
    """Walks that are short enough for every run of the suite."""

    def test_walks(self) -> None:
        """No difference: with bounds as they are, with small ones, and with v0's queue left to v0."""
        for seed in (4, 5, 6, 7):
            run(seed, 1500)

    def test_a_walk_gets_everywhere(self) -> None:
        """Every count of a queue goes up in a few thousand steps."""
        walk = run(2, 4000)
        names = {name for queue in walk.model.queues.values() for name in queue.counts}
        self.assertLessEqual({"acked", "expired", "dead_lettered", "void", "redelivered", "purged"}, names)

    def test_a_difference_is_seen(self) -> None:
        """A message that only one of them has."""
        walk = Walk(1)
        walk.broker.publish(Publish("default", Batch([b"x"])), walk.now)
        self.assertRaises(DifferenceError, walk.check, full=True)

    def test_the_model_knows_the_table(self) -> None:
        """A move that is not in it is an error."""
        walk = Walk(1)
        walk.model.put([b"x"])
        (message,) = walk.model.queues["default"].of(State.READY)
        self.assertEqual(walk.model.take(1), [b"x"])
        self.assertIs(message.state, State.GONE)
        queue = walk.model.queues["default"]
        queue.messages.append(message)
        self.assertRaises(AssertionError, walk.model.remove, queue)
