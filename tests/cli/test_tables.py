"""How a state and a policy are said."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli.tables import rejected, state, text_of_policy
from quickpulse.requests import Policy, QueueInfo


def queue_info(**changes: object) -> QueueInfo:
    """A queue with nothing special."""
    values = dict.fromkeys(QueueInfo.__slots__, 0)
    return QueueInfo(**{**values, "name": "q", "policy": Policy(), "counts": {}, **changes})


class WordTests(SynchronousTestCase):
    """Short ones."""

    def test_states(self) -> None:
        """What a pause is called."""
        self.assertEqual(state(queue_info()), "-")
        self.assertEqual(state(queue_info(paused=True)), "paused")
        self.assertEqual(state(queue_info(publish_paused=True)), "refusing")
        self.assertEqual(state(queue_info(paused=True, publish_paused=True)), "closed")

    def test_rejected(self) -> None:
        """Whatever the reason."""
        self.assertEqual(rejected(queue_info(counts={"acked": 1, "rejected:PAUSED": 2, "rejected:QUEUE_FULL": 3})), 5)

    def test_policy(self) -> None:
        """As it can be set."""
        self.assertEqual([text_of_policy(value) for value in ([0, 5], None, 3, "x")], ["0,5", "unbounded", "3", "x"])
