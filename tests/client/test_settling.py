"""What is leased and what was said of it."""

from __future__ import annotations

import gc
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.settling import MOST_RECEIPTS, Leased, Settling, count_of, ranges_of, settles
from quickpulse.errors import InvalidArgument
from quickpulse.requests import Action, Batch, Deliveries, Settle
from tests.interop.server import ROOT

FIRST = 100

PROCESS_SECONDS = 60.0

FORKING = """
import os
from quickpulse.client import ClientClosed
from quickpulse.client.settling import Leased, Settling
from quickpulse.requests import Action, Batch, Deliveries
settling = Settling(lambda: None)
leased = Leased(Deliveries("q", Batch([b"x"] * 5), 1, 30_000), settling)
leased.ack(4)  # even then when the parent has just said something
child = os.fork()
if not child:
    told = 0
    for say in (lambda: leased.ack(0), lambda: leased.ack(1), lambda: settling.add("q", [(1, 5)], Action.NACK)):
        try:
            say()
        except ClientClosed:
            told += 1
    settling.add("q", [(1, 5)], Action.RELEASE)
    os._exit(told - 3 + len(settling.take()))
_, status = os.waitpid(child, 0)
assert status == 0, status
assert len(settling.take()) == 1
"""


class SettlingTests(SynchronousTestCase):
    """From verbs to requests."""

    def setUp(self) -> None:
        """Five messages are leased."""
        self.woken = 0
        self.settling = Settling(self.wake)
        self.leased = Leased(Deliveries("q", Batch([b"x"] * 5), FIRST, 30_000), self.settling)

    def wake(self) -> None:
        """Counted."""
        self.woken += 1

    def test_wakes_once(self) -> None:
        """Until it was emptied."""
        self.leased.ack(0)
        self.leased.ack(1)
        self.assertEqual(self.woken, 1)
        self.assertEqual(self.settling.take(), [Settle("q", [(100, 101)])])
        self.assertEqual(self.settling.take(), [])
        self.leased.ack(2)
        self.assertEqual(self.woken, 2)

    def test_claim(self) -> None:
        """What was settled is not settled again; holes are left out."""
        self.leased.ack(1)
        self.leased.ack(1)
        self.assertEqual(self.leased.open_ranges, [(100, 100), (102, 104)])
        self.assertEqual(self.leased.claim(0, 2), [(100, 100), (102, 102)])
        self.assertEqual(self.leased.claim(0, 4), [(103, 104)])
        self.assertEqual(self.leased.claim(0, 4), [])
        self.assertEqual(self.settling.take(), [Settle("q", [(101, 101)])])

    def test_lost(self) -> None:
        """What the server has taken back is not settled, and is counted."""
        self.leased.ack(1)
        self.leased.lost([(90, 102)])
        self.assertEqual(self.leased.count_lost(0, 4), 2)
        self.assertEqual(self.leased.claim(0, 4), [(103, 104)])

    def test_ack_of_what_was_lost(self) -> None:
        """It is said once, so that it is counted."""
        self.leased.lost([(101, 102)])
        self.leased.ack(1)
        self.leased.ack(1)
        self.assertEqual(self.settling.take(), [Settle("q", [(101, 101)])])
        self.leased.say_lost(0, 4)
        self.assertEqual(self.leased.claim(0, 4), [(100, 100), (102, 104)])
        self.assertEqual(self.leased.claim(0, 4), [])

    def test_extended_and_settled(self) -> None:
        """What is extended is extended first, whatever else was said."""
        self.settling.add("q", [(103, 103)], Action.NACK)
        for lease_ms in (1, 2):
            self.settling.add("q", [(100, 104)], Action.EXTEND, lease_ms=lease_ms)
        self.leased.ack(0)
        said = [(each.action, each.lease_ms) for each in self.settling.take()]
        self.assertEqual(said, [(Action.EXTEND, 1), (Action.EXTEND, 2), (Action.ACK, 0), (Action.NACK, 0)])

    def test_forked(self) -> None:
        """Whoever says something in a child process is told that it is in vain, unless it comes again anyway."""
        subprocess.run([sys.executable, "-c", FORKING], cwd=ROOT, check=True, timeout=PROCESS_SECONDS)

    def test_many_queues(self) -> None:
        """Of those from which nothing is leased any more nothing is kept; what was said of them is sent."""
        for number in range(100):
            Leased(Deliveries(f"q{number}", Batch([b"x"]), FIRST, 30_000), self.settling).ack(0)
        self.assertEqual(len(self.settling.take()), 100)
        gc.collect()
        self.assertLess(self.settling.queues, 3)
        self.leased.ack(0)
        self.assertEqual(self.settling.take(), [Settle("q", [(100, 100)])])

    def test_taken(self) -> None:
        """There is nothing to be said of what has no receipts."""
        leased = Leased(Deliveries("q", Batch([b"x"] * 5)), self.settling)
        with self.assertRaises(InvalidArgument):
            leased.ack(0)
        self.assertEqual((leased.claim(0, 4), self.woken), ([], 0))

    def test_with_more_to_say(self) -> None:
        """What is said beside the verb travels with it."""
        self.settling.add("q", [(1, 2)], Action.NACK, delay_ms=5)
        self.assertEqual(self.settling.take(), [Settle("q", [(1, 2)], Action.NACK, delay_ms=5)])

    def test_ranges(self) -> None:
        """Neighbours are one."""
        self.assertEqual(ranges_of([]), [])
        self.assertEqual(ranges_of([5]), [(5, 5)])
        self.assertEqual(ranges_of([1, 2, 3, 5, 6, 9]), [(1, 3), (5, 6), (9, 9)])

    def test_too_many_for_a_request(self) -> None:
        """They go in several."""
        requests = settles("q", [(1, 150_000), (200_000, 260_000)], Action.ACK)
        self.assertEqual([count_of(each.receipts) for each in requests], [MOST_RECEIPTS, MOST_RECEIPTS, 10_001])
        self.assertEqual(requests[1].receipts, [(100_001, 150_000), (200_000, 249_999)])
