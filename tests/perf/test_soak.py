"""The soak: a short one against the server, its sums, and its verdict."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from perf.soak.tally import MOST_QUEUED, PROBE, Tally
from perf.soak.verdict import FLAT_BYTES, problems
from perf.soak.watch import Sample
from perf.storm.numbered import BLOCK, payloads
from tests.perf.running import run_perf


def samples(*sizes: int) -> list[Sample]:
    """One for each size of the server."""
    return [Sample(float(at), size, 10, 4, 0, 0) for at, size in enumerate(sizes)]


class TallyTests(SynchronousTestCase):
    """The sums."""

    def test_even(self) -> None:
        """What was sent is acknowledged and comes out; the probe's messages are counted apart."""
        tally = Tally()
        first, second = tally.next_block(1), tally.next_block(2)
        self.assertEqual((first, second), (0, BLOCK))
        tally.acknowledged(slice(0, BLOCK))
        tally.acknowledged(np.arange(BLOCK))
        tally.received([*payloads(BLOCK), PROBE], 3, in_order=True)
        self.assertFalse(tally.is_even)
        tally.received(payloads(0), 3, in_order=True)
        self.assertEqual((tally.is_even, tally.probes, dict(tally.faults)), (True, 1, {}))

    def test_one_twice_for_another(self) -> None:
        """The numbers are right, and the sum is not."""
        tally = Tally()
        tally.next_block(1)
        tally.acknowledged(slice(0, BLOCK))
        messages = payloads(0)
        tally.received([messages[0], *messages[:-1]], 3, in_order=True)
        self.assertEqual((tally.came, tally.is_even), (BLOCK, False))
        tally.received([b"altered!?"], 3, in_order=True)
        self.assertEqual(dict(tally.faults), {"altered": 1})

    def test_bounds(self) -> None:
        """No more than may be queued, and no more than the rate."""
        tally = Tally()
        while tally.next_block(1) is not None:
            pass
        self.assertEqual(tally.sent, (MOST_QUEUED // BLOCK + 1) * BLOCK)
        tally.came = tally.sent
        tally.hold(1e-9, 0.0)
        self.assertIsNotNone(tally.next_block(1))
        self.assertIsNone(tally.next_block(1))


class VerdictTests(SynchronousTestCase):
    """Flat or not."""

    def test_memory(self) -> None:
        """The last quarter against the second; the first may be anything."""
        size = 10 * FLAT_BYTES
        for last, is_flat in ((size, True), (size + FLAT_BYTES, True), (size + FLAT_BYTES + 1, False), (1, True)):
            found = problems(samples(1, size, size, last), Tally(), 100.0, 100.0)
            self.assertEqual(found == [], is_flat, found)

    def test_rate(self) -> None:
        """A server that could not hold the load was not tested with it."""
        found = problems(samples(*[1000] * 8), Tally(), 100.0, 80.0)
        self.assertIn("not held", found[0])

    def test_faults(self) -> None:
        """Anything that went wrong, and messages that are not all there."""
        tally = Tally()
        tally.next_block(1)
        tally.fault("wrong answer", "no")
        self.assertEqual(len(problems(samples(*[1000] * 8), tally, 1.0, 1.0)), 2)


class RealTests(SynchronousTestCase):
    """Against our server."""

    def test_short(self) -> None:
        """Five seconds, in which connections come and go. How fast, and how flat so early, is not asked here."""
        run = run_perf(
            *("--mode", "ws", "--seconds", "5", "--measure-seconds", "1", "--load", "0.2", "--connections", "2"),
            *("--lifetime", "0.3-1", "--json"),
            module="perf.soak",
        )
        result = run.result
        found = [problem for problem in result["problems"] if "not held" not in problem and "memory" not in problem]
        self.assertEqual((found, result["examples"]), ([], []), run.errors)
        self.assertGreater(result["connections_opened"], 4)
        self.assertGreater(result["latency_ms"]["count"], 0)
        self.assertGreater(result["messages"], 0)
        self.assertGreaterEqual(len(result["samples"]), 4)
        self.assertEqual(result["reports"][-1]["errors"], 0)
