"""A pair of brokers that differ says so."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.life import State
from quickpulse.requests import Batch, Publish
from tests.queues.pair import DifferenceError, Pair


class PairTests(SynchronousTestCase):
    """What compares is not blind."""

    def test_a_difference_is_seen(self) -> None:
        """A message that only one of them has."""
        pair = Pair()
        pair.broker.publish(Publish("default", Batch([b"x"])), pair.now)
        self.assertRaises(DifferenceError, pair.check, full=True)

    def test_the_model_knows_the_table(self) -> None:
        """A move that is not in it is an error."""
        pair = Pair()
        pair.model.put([b"x"])
        (message,) = pair.model.queues["default"].of(State.READY)
        self.assertEqual(pair.model.take(1), [b"x"])
        self.assertIs(message.state, State.GONE)
        queue = pair.model.queues["default"]
        queue.messages.append(message)
        self.assertRaises(AssertionError, pair.model.remove, queue)
