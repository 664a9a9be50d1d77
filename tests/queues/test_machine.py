"""A little of the state machine; `machine.py` says how to run more of it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.named import NamedQueue
from tests.queues.machine import BrokerMachine, run
from tests.queues.pair import DifferenceError, Pair


class MachineTests(SynchronousTestCase):
    """The real broker and the naive one, driven by hypothesis."""

    def test_no_difference(self) -> None:
        """In a few thousand steps, which get where messages get."""
        names: set[str] = set()
        check_names = Pair.check_names

        def check(pair: Pair) -> None:
            names.update(name for queue in pair.model.queues.values() for name in queue.counts)
            check_names(pair)

        self.patch(Pair, "check_names", check)
        before = BrokerMachine.steps
        run(1, 40)
        self.assertGreater(BrokerMachine.steps - before, 2000)
        self.assertLessEqual({"acked", "expired", "redelivered", "dead_lettered"}, names)

    def test_a_difference_is_found(self) -> None:
        """A broker that forgets how long a retry waits."""

        def forgetful(queue: Any, deliveries: int) -> int:
            return 0

        self.patch(NamedQueue, "retry_delay", forgetful)
        error = self.assertRaises(DifferenceError, run, 1, 200, shrink=False)
        self.assertIn("expected", str(error))
