"""Which queues have a name in the readings, and that no count of them goes down."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.interfaces import QueueReading
from quickpulse.queues import readings
from quickpulse.queues.broker import Broker
from quickpulse.queues.policies import Limits
from quickpulse.queues.readings import GONE_MS, OTHER, REASONS
from quickpulse.requests import (
    Action,
    Batch,
    DeleteQueue,
    Delivery,
    Policy,
    Properties,
    Publish,
    Pull,
    SetPolicy,
    Settle,
)

START = 1_700_000_000_000

IDLE_MS = 60_000
"""After so long an empty queue is forgotten, by default."""

PLACES = 3
"""In these tests."""


class ReadingsCase(SynchronousTestCase):
    """A broker with few places."""

    def setUp(self) -> None:
        """A new one; the first read is of nothing."""
        self.patch(readings, "MOST_NAMED", PLACES)
        self.now = START
        self.broker = Broker(limits=Limits(max_message_bytes=100))

    def publish(self, *names: str, count: int = 1) -> None:
        """So many messages into each queue."""
        for name in names:
            self.broker.publish(Publish(name, Batch([b"x" * 10] * count)), self.now)

    def take(self, name: str) -> None:
        """One message out, at most once."""
        self.broker.pull(Pull((name,), delivery=Delivery.TAKEN), self.now)

    def delete(self, *names: str) -> None:
        """Queues go."""
        for name in names:
            self.broker.delete_queue(DeleteQueue(name), self.now)

    def read(self, waiters: dict[str, int] | None = None) -> dict[str, QueueReading]:
        """The readings by name."""
        taken = self.broker.read_queues(waiters or {}, self.now)
        by_name = {each.name: each for each in taken}
        self.assertEqual(len(by_name), len(taken))
        self.assertEqual(taken[-1].name, OTHER)
        return by_name

    def published(self) -> dict[str, int]:
        """What was published, by name."""
        return {name: each.counts["published"] for name, each in self.read().items()}


class OneQueueTests(ReadingsCase):
    """What is told of a queue."""

    def test_states(self) -> None:
        """Messages by their state, their bytes, and the age of the oldest that is ready."""
        self.publish("jobs", count=3)
        self.now += 5
        self.broker.publish(Publish("jobs", Batch([b"later"], Properties(delay_ms=1000))), self.now)
        self.broker.pull(Pull(("jobs",)), self.now)
        self.now += 20
        jobs = self.read()["jobs"]
        self.assertEqual((jobs.queues, jobs.ready, jobs.leased, jobs.delayed), (1, 2, 1, 1))
        self.assertEqual((jobs.size_bytes, jobs.oldest_ms), (35, 25))

    def test_an_empty_queue_has_no_oldest(self) -> None:
        """Nor anything else."""
        self.broker.pull(Pull(("jobs",)), self.now)
        self.now += 50
        jobs = self.read()["jobs"]
        self.assertEqual((jobs.ready, jobs.oldest_ms, jobs.size_bytes), (0, 0, 0))

    def test_what_is_due_happens_first(self) -> None:
        """A reading is of its own moment, though nobody asked the queue for anything meanwhile."""
        self.broker.publish(Publish("jobs", Batch([b"later"], Properties(delay_ms=1000))), self.now)
        self.now += 1000
        jobs = self.read()["jobs"]
        self.assertEqual((jobs.ready, jobs.delayed), (1, 0))

    def test_counts(self) -> None:
        """By the names of QueueInfo, from the start; a message that was refused by its reason."""
        self.publish("jobs", count=2)
        self.broker.publish(Publish("jobs", Batch([b"x" * 101])), self.now)
        delivered = self.broker.pull(Pull(("jobs",)), self.now)
        receipt = delivered.first_receipt
        self.broker.settle(Settle("jobs", ((receipt, receipt),), Action.ACK), self.now)
        jobs = self.read()["jobs"]
        happened = {name: count for name, count in jobs.counts.items() if count}
        self.assertEqual(happened, {"published": 2, "delivered": 1, "acked": 1})
        self.assertEqual(jobs.rejected, dict.fromkeys(REASONS, 0) | {"MESSAGE_TOO_LARGE": 1})

    def test_dead_letters(self) -> None:
        """What lies in the queue's dead-letter queue, wherever that is; a dead-letter queue has none of its own."""
        self.broker.set_policy(SetPolicy("jobs", Policy(dead_letter_queue="graves")), self.now)
        for name, reason in (("jobs", "graves"), ("mails", "mails.dead")):
            self.publish(name)
            receipt = self.broker.pull(Pull((name,)), self.now).first_receipt
            self.broker.settle(Settle(name, ((receipt, receipt),), Action.DEAD_LETTER, reason=reason), self.now)
        read = self.read()
        self.assertEqual([read[name].dead_letters for name in ("jobs", "graves", "mails")], [1, 0, 1])
        self.assertEqual(read["jobs"].counts["dead_lettered"], 1)

    def test_waiters(self) -> None:
        """As the caller says."""
        self.publish("a", "b", "c", "d", "e")
        read = self.read({"b": 2, "d": 3, "e": 4})
        self.assertEqual({name: each.waiters for name, each in read.items()}, {"a": 0, "b": 2, "c": 0, OTHER: 7})


class PlacesTests(ReadingsCase):
    """Which names are told."""

    def test_the_first_made(self) -> None:
        """Places go to the queues that were made first, and all others are one."""
        self.publish("z", "y", "x", "w", "v")
        self.now += 7
        read = self.read()
        self.assertEqual(list(read), ["z", "y", "x", OTHER])
        other = read[OTHER]
        self.assertEqual((other.queues, other.ready, other.size_bytes, other.oldest_ms), (2, 2, 20, 7))
        self.assertEqual(other.counts["published"], 2)

    def test_nothing_yet(self) -> None:
        """The others are there from the start, with zeros, so that a rate has something to start from."""
        (other,) = self.broker.read_queues({}, self.now)
        self.assertEqual((other.name, other.queues, other.ready, set(other.counts.values())), (OTHER, 0, 0, {0}))
        self.assertEqual(set(other.rejected), set(REASONS))

    def test_a_name_that_comes_back(self) -> None:
        """A queue that is forgotten while it is idle, and made anew, goes on counting where it was."""
        self.publish("jobs")
        self.take("jobs")
        self.read()
        self.now += 2 * IDLE_MS
        gone = self.read()["jobs"]
        self.assertEqual((gone.queues, gone.ready, gone.counts["published"]), (0, 0, 1))
        self.publish("jobs", count=2)
        self.assertEqual(self.published(), {"jobs": 3, OTHER: 0})

    def test_between_two_readings(self) -> None:
        """A queue that was deleted and made anew between two readings is the same name; nothing of it is lost."""
        self.publish("jobs", count=5)
        self.read()
        self.publish("jobs", count=1)
        self.delete("jobs")
        self.publish("jobs", count=2)
        jobs = self.read()["jobs"]
        self.assertEqual((jobs.counts["published"], jobs.counts["purged"], jobs.ready), (8, 6, 2))

    def test_what_a_deleted_queue_held(self) -> None:
        """All of it is counted as thrown away: what was ready, delayed or leased."""
        self.publish("jobs", count=2)
        self.broker.publish(Publish("jobs", Batch([b"later"], Properties(delay_ms=1000))), self.now)
        self.broker.pull(Pull(("jobs",)), self.now)
        self.read()
        self.delete("jobs")
        jobs = self.read()["jobs"]
        self.assertEqual((jobs.counts["published"], jobs.counts["purged"], jobs.leased), (3, 3, 0))

    def test_who_is_never_seen(self) -> None:
        """What came and went between two readings is counted among the others, and takes no place."""
        self.publish("brief", count=4)
        self.delete("brief")
        self.assertEqual(self.published(), {OTHER: 4})

    def test_a_place_is_kept_for_an_hour(self) -> None:
        """A queue without a place gets the one of a queue that is gone, but not before an hour has gone by."""
        self.publish("a", "b", "c", "d")
        self.read()
        self.delete("b")
        self.read()
        self.now += GONE_MS - 1
        self.assertEqual(list(self.read()), ["a", "b", "c", OTHER])
        self.now += 1
        self.assertEqual(list(self.read()), ["a", "c", "d", OTHER])

    def test_only_as_many_as_are_wanted(self) -> None:
        """Of those that are gone the one that is gone the longest gives way; the other keeps its place."""
        self.publish("a", "b", "c", "d")
        self.read()
        for name in ("c", "a"):
            self.delete(name)
            self.read()
            self.now += 1
        self.now += 2 * GONE_MS
        self.assertEqual(list(self.read()), ["a", "b", "d", OTHER])

    def test_who_comes_back_in_time_keeps_it(self) -> None:
        """The hour is counted from the last time."""
        self.publish("a", "b", "c", "d")
        self.read()
        self.delete("b")
        self.read()
        self.now += GONE_MS - 1
        self.publish("b")
        self.read()
        self.delete("b")
        self.read()
        self.now += GONE_MS - 1
        self.assertIn("b", self.read())

    def test_who_gets_a_place_late(self) -> None:
        """It starts from 0; what it did before stays with the others, which therefore do not go down."""
        self.publish("a", "b", "c")
        self.publish("d", count=10)
        self.assertEqual(self.published()[OTHER], 10)
        self.delete("a")
        self.read()
        self.now += GONE_MS
        self.publish("d", count=5)
        self.assertEqual(self.published(), {"b": 1, "c": 1, "d": 0, OTHER: 15})
        self.publish("d", count=2)
        self.assertEqual(self.published(), {"b": 1, "c": 1, "d": 2, OTHER: 15})

    def test_the_others_lose_one(self) -> None:
        """A queue without a place is forgotten: what it counted stays."""
        self.publish("a", "b", "c")
        self.publish("d", count=10)
        self.read()
        self.delete("d")
        read = self.read()[OTHER]
        self.assertEqual((read.queues, read.counts["published"], read.counts["purged"]), (0, 10, 10))

    def test_dead_letters_of_the_others(self) -> None:
        """A dead-letter queue that several share is counted once there."""
        self.publish("a", "b", "c")
        for name in ("d", "e"):
            self.broker.set_policy(SetPolicy(name, Policy(dead_letter_queue="graves")), self.now)
            self.publish(name)
            receipt = self.broker.pull(Pull((name,)), self.now).first_receipt
            self.broker.settle(Settle(name, ((receipt, receipt),), Action.DEAD_LETTER), self.now)
        self.assertEqual(self.read()[OTHER].dead_letters, 2)


class MonotoneTests(ReadingsCase):
    """Whatever comes and goes."""

    def totals(self, read: dict[str, QueueReading]) -> int:
        """What was published at all names."""
        return sum(each.counts["published"] for each in read.values())

    def assert_grown(self, before: dict[str, QueueReading], after: dict[str, QueueReading]) -> None:
        """No count of a name that is in both went down."""
        for name in before.keys() & after.keys():
            for key, count in after[name].counts.items():
                self.assertGreaterEqual(count, before[name].counts[key], (name, key))

    def rounds(self) -> Iterable[tuple[list[str], list[str]]]:
        """Who publishes and who is deleted, in each; a sequence in which all that may happen to a name does."""
        names = [f"q{number}" for number in range(7)]
        for turn in range(120):
            yield names[turn % 5 : turn % 5 + 3], names[turn % 7 : turn % 7 + turn % 3]

    def test_no_count_goes_down(self) -> None:
        """Neither of a name nor of the others; and as long as all keep their places, all names together are all."""
        before = self.read()
        total = 0
        for turn, (publishing, deleted) in enumerate(self.rounds()):
            self.publish(*publishing, count=turn % 4 + 1)
            total += len(publishing) * (turn % 4 + 1)
            self.delete(*(name for name in deleted if name in self.broker._directory.queues))
            self.now += GONE_MS // 7
            after = self.read()
            self.assert_grown(before, after)
            self.assertLessEqual(len(after), PLACES + 1)
            lost = {name: before[name] for name in before.keys() - after.keys()}
            total -= self.totals(lost)
            self.assertEqual(self.totals(after), total)
            before = after
