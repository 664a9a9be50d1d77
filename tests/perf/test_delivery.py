"""At least once, shown in small; and the verdict sees what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from perf.delivery.journal import ACKED, CONFIRMED, DELIVERED, SAID, Journal, records
from perf.delivery.numbers import number_of, payload_of
from perf.delivery.verdict import Account, problems, read
from quickpulse.requests import Policy, QueueInfo
from tests.perf.running import run_perf

SECONDS = 240


class DeliveryTests(SynchronousTestCase):
    """The whole tool, with real processes."""

    def run_tool(self, *arguments: str) -> dict[str, Any]:
        """Its result."""
        run = run_perf("--json", *arguments, module="perf.delivery", seconds=SECONDS)
        self.assertEqual(run.status, 0, run.output + run.errors)
        return run.result

    def test_kills_and_cuts(self) -> None:
        """Every confirmed message is acked once or a dead letter, though consumers die and connections break."""
        result = self.run_tool(
            *("--messages", "30000", "--producers", "2", "--consumers", "2", "--lease-seconds", "1"),
            *("--kill-every", "0.5", "--cut-every", "0.1"),
        )
        self.assertEqual(result["problems"], [])
        self.assertEqual(result["confirmed"], 30_000)
        self.assertEqual(result["server"]["acked"] + result["server"]["dead_lettered"], 30_000)


class VerdictTests(SynchronousTestCase):
    """Ten messages, of which the last is a dead letter."""

    def setUp(self) -> None:
        """All is well."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        journal = Journal(folder / "one")
        journal.write(CONFIRMED, range(10))
        journal.write(DELIVERED, range(10))
        journal.write(ACKED, range(5))
        for number in range(5, 9):
            journal.write(SAID, [number])
        journal.write(DELIVERED, [9])
        journal.close()
        self.path = folder / "one"
        self.account = read([self.path], 10)
        names = ("expired", "released", "nacked", "redelivered", "published", "acked", "dead_lettered")
        self.counts = dict(zip(names, (0, 0, 1, 1, 10, 9, 1), strict=True))
        self.queue = QueueInfo("jobs", 0, 0, 0, 0, 0, False, False, 0, Policy(), False, self.counts)
        self.dead = [9]

    def found(self, account: Account | None = None, queue: QueueInfo | None = None) -> str:
        """The problems."""
        return "; ".join(problems(account or self.account, queue or self.queue, self.dead))

    def counted(self, **counts: int) -> QueueInfo:
        """The queue, with other counts."""
        return replace(self.queue, counts={**self.counts, **counts})

    def test_journal(self) -> None:
        """What was written is read, a record at a time."""
        self.assertEqual(
            [kind for kind, _ in records(self.path)], [CONFIRMED, DELIVERED, ACKED, *[SAID] * 4, DELIVERED]
        )
        self.assertEqual(list(next(iter(records(self.path)))[1]), list(range(10)))

    def test_all_is_well(self) -> None:
        """Nothing is said."""
        self.assertEqual(self.found(), "")

    def test_lost(self) -> None:
        """A message that never came, and one that came and has no end."""
        self.account.delivered[3] = 0
        self.assertIn("1 confirmed messages never came", self.found())
        self.account.said[5] = 0
        self.assertIn("1 confirmed messages have no end", self.found())

    def test_doubled(self) -> None:
        """Acked twice, buried twice, or both of it; and stored twice."""
        self.account.acked[2] = 2
        self.assertIn("1 messages were acked twice", self.found())
        self.account.acked[9] = 1
        self.assertIn("was acked, and is a dead letter", self.found())
        self.dead.append(9)
        self.assertIn("1 messages are dead letters twice", self.found())
        self.assertIn("stored twice", self.found(queue=self.counted(published=11)))

    def test_too_often(self) -> None:
        """It came again, and nobody had given it back."""
        self.account.delivered[4] = 2
        self.assertIn("2 came again; the server counts 1 redelivered", self.found())

    def test_left(self) -> None:
        """The end is when nothing is left."""
        self.assertIn("1 messages are left", self.found(queue=replace(self.queue, leased=1)))
        self.assertIn("8 acked and 1 dead are not 10", self.found(queue=self.counted(acked=8)))

    def test_altered(self) -> None:
        """A payload says itself whether it is whole."""
        payload = payload_of(70_000)
        self.assertEqual((number_of(payload), len(payload)), (70_000, 100))
        self.assertRaises(ValueError, number_of, payload[:-1])
        self.assertRaises(ValueError, number_of, payload[:50] + b"x" + payload[51:])
        self.assertIn("2 payloads were altered", self.found(replace(self.account, altered=2)))
