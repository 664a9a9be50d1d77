"""What a side is given, and what is found wrong in what comes out."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from perf.brokers.work import BATCH, PAYLOAD_BYTES, Work, WrongWorkError, end_mark, payload


class WorkTests(SynchronousTestCase):
    """A producer and a consumer, without anything between them."""

    def setUp(self) -> None:
        """Workers that were told to go on."""
        self.said = io.StringIO()
        self.patch(sys, "stdout", self.said)
        self.patch(sys, "stdin", io.StringIO("\n" * 10))

    def begun(self, seconds: float) -> Work:
        """One whose clock runs."""
        work = Work(seconds, 2 * BATCH)
        work.prepare()
        work.begin()
        return work

    def told(self, work: Work) -> dict[str, Any]:
        """What it says at the end."""
        work.finish()
        work.tell()
        facts: dict[str, Any] = json.loads(self.said.getvalue().splitlines()[-1])
        return facts

    def test_sizes(self) -> None:
        """All messages are 100 bytes, the end mark too."""
        self.assertEqual({len(payload(0)), len(payload(10**19)), len(end_mark(7))}, {PAYLOAD_BYTES})

    def test_batches(self) -> None:
        """Batches come out as they went in; the end mark ends it, and says how many there were."""
        producer, consumer = self.begun(0.02), self.begun(0.02)
        going = [consumer.saw(batch) for batch in producer.batches()]
        self.assertEqual((going[-1], set(going[:-1])), (False, {True}))
        sent = self.told(producer)
        self.assertEqual(sent["messages"], (len(going) - 1) * BATCH + 1)
        self.assertEqual(self.told(consumer)["messages"], sent["messages"])
        self.assertGreaterEqual(sent["ended"], sent["started"])

    def test_payloads(self) -> None:
        """The same one by one."""
        producer, consumer = self.begun(0.01), self.begun(0.01)
        messages = list(producer.payloads())
        consumer.saw_all(len(messages), messages[-1])
        self.assertEqual(self.told(consumer)["messages"], len(messages))

    def test_wrong_order(self) -> None:
        """A batch that is not the next one."""
        consumer = self.begun(1)
        self.assertRaises(WrongWorkError, consumer.saw, [payload(number) for number in range(1, 5)])

    def test_lost(self) -> None:
        """Fewer than the end mark says, in batches or one by one; what is left; nothing at all."""
        first = [payload(number) for number in range(10)]
        for wrong in (
            lambda: self.begun(1).saw([*first, end_mark(12)]),
            lambda: self.begun(1).saw_all(11, end_mark(12)),
            lambda: self.begun(1).saw_all(10, first[-1]),
            lambda: self.begun(1).left(1),
            lambda: self.begun(1).saw([]),
        ):
            self.assertRaises(WrongWorkError, wrong)
        self.assertFalse(self.begun(1).saw([*first, end_mark(11)]))

    def test_stamps(self) -> None:
        """Each is a sample but the end mark."""
        producer, consumer = self.begun(0.005), self.begun(0.005)
        going = [consumer.arrived(stamp) for stamp in producer.stamps()]
        samples = self.told(consumer)["samples"]
        self.assertEqual((len(samples), going[-1]), (len(going) - 1, False))
        self.assertGreaterEqual(min(samples), 0)

    def test_rounds(self) -> None:
        """Each is a sample but those that warm up."""
        work = self.begun(0.01)
        rounds = sum(1 for _ in work.rounds())
        facts = self.told(work)
        self.assertGreater(rounds, facts["messages"])
        self.assertEqual(len(facts["samples"]), facts["messages"])

    def test_fill(self) -> None:
        """As many as are wanted."""
        self.assertEqual(sum(map(len, self.begun(1).fill())), 2 * BATCH)

    def test_nobody_there(self) -> None:
        """A worker whose starter has gone does not go on."""
        self.patch(sys, "stdin", io.StringIO(""))
        self.assertRaises(WrongWorkError, Work(1, 1).begin)
