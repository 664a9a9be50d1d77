"""Dead letters go back."""

from __future__ import annotations

from typing import Any

from quickpulse.errors import InvalidArgument, NotFound
from quickpulse.queues.ready import Ready
from quickpulse.queues.runs import RUN_MESSAGES, Run
from quickpulse.requests import (
    Action,
    Delivery,
    Pause,
    Properties,
    Purge,
    Redrive,
)
from tests.queues.brokers import BrokerTestCase


class RedriveTests(BrokerTestCase):
    """From `q.dead`, which has dead letters of `q`."""

    def bury(self, *payloads: bytes, queue: str = "q", **properties: object) -> None:
        """Make dead letters."""
        self.publish(*payloads, queue=queue, **properties)
        first = self.pull(len(payloads), queue).first_receipt
        self.settle(*range(first, first + len(payloads)), action=Action.DEAD_LETTER, queue=queue)

    def redrive(self, queue: str = "q.dead", target: str = "", count: int = 0) -> int:
        """How many were moved."""
        return self.broker.redrive(Redrive(queue, target, count), self.now).messages

    def test_back_to_where_they_came_from(self) -> None:
        """As new messages: a new sequence, never delivered, with their properties."""
        self.bury(b"a", b"b", id="x")
        self.later(1000)
        self.assertEqual(self.redrive(), 2)
        got = self.pull(9, with_enqueued_at=True)
        self.assertEqual((got.batch.payloads, got.batch.common), ([b"a", b"b"], Properties(id="x")))
        self.assertEqual((got.delivery_counts, got.enqueued_at_ms, got.dead_letters), (None, [self.now] * 2, {}))
        self.assert_where(queue="q.dead")
        self.assertEqual(self.named("q.dead").extras, {})

    def test_some(self) -> None:
        """At most so many, the first ones."""
        self.bury(b"a", b"b", b"c")
        self.assertEqual(self.redrive(count=2), 2)
        self.assertEqual((self.payloads(), self.payloads(queue="q.dead")), ([b"a", b"b"], [b"c"]))

    def test_a_target(self) -> None:
        """Takes all, also what is no dead letter; the queue itself is none."""
        self.bury(b"a")
        self.publish(b"plain", queue="q.dead")
        self.assertEqual(self.redrive(target="t"), 2)
        self.assertEqual(self.payloads(queue="t"), [b"a", b"plain"])
        self.assertRaises(InvalidArgument, self.redrive, target="q.dead")
        self.assertRaises(NotFound, self.redrive, queue="nowhere")
        self.assertRaises(InvalidArgument, self.redrive, target="no name")

    def test_what_comes_from_nowhere_stays(self) -> None:
        """In its place."""
        self.publish(b"plain", queue="q.dead")
        self.bury(b"a")
        self.assertEqual(self.redrive(), 1)
        self.assertEqual(self.payloads(queue="q.dead"), [b"plain"])

    def test_no_room(self) -> None:
        """What does not fit stays, and so does what comes after it; other queues get theirs."""
        self.policy("q", dead_letter_queue="graves")
        self.policy("other", dead_letter_queue="graves")
        self.bury(b"a", b"long", b"b")
        self.bury(b"o", queue="other")
        self.policy("q", capacity_bytes=3, dead_letter_queue="graves")
        self.assertEqual(self.redrive("graves"), 2)
        self.assertEqual(self.payloads(queue="graves"), [b"long", b"b"])
        self.assertEqual((self.payloads(), self.payloads(queue="other")), ([b"a"], [b"o"]))

    def test_a_full_target_ends_it(self) -> None:
        """What comes after what has no room is not looked at, however much it is; all stays in order."""
        count = 3 * RUN_MESSAGES
        self.publish(*[b"%d" % number for number in range(count)], queue="q.dead")
        self.policy("t", capacity=1)
        self.assertEqual(self.redrive(target="t"), 1)
        self.assertEqual(len(self.named("q.dead").lane.payloads), count - RUN_MESSAGES)
        self.assertEqual(self.payloads(count, "q.dead"), [b"%d" % number for number in range(1, count)])

    def test_one_behind_many_that_stay(self) -> None:
        """A bound in messages is one of those that are moved; those before them are looked at together."""
        self.publish(*[b"plain"] * 100, queue="q.dead")
        self.bury(b"a", b"b")
        takes: list[int] = []
        ready, take = self.named("q.dead").ready, Ready.take

        def taking(it: Ready, *args: Any) -> list[Run]:
            if it is ready:
                takes.append(args[0])
            return take(it, *args)

        self.patch(Ready, "take", taking)
        self.assertEqual(self.redrive(count=1), 1)
        self.assertEqual(len(takes), 1)
        self.assertEqual(self.payloads(), [b"a"])
        self.assertEqual(self.payloads(200, "q.dead"), [b"plain"] * 100 + [b"b"])

    def test_a_target_that_takes_nothing(self) -> None:
        """All stay."""
        self.bury(b"a")
        self.broker.pause(Pause("q", publishes=True), self.now)
        self.assertEqual(self.redrive(), 0)
        self.assert_where(ready=1, queue="q.dead")

    def test_time_to_live_begins_anew(self) -> None:
        """From the redrive on; among the dead letters it does not run."""
        self.policy(max_deliveries=5)
        self.publish(b"a", ttl_ms=50)
        self.later(50)
        self.assertEqual(self.pull(queue="q.dead").dead_letters[0].reason, "time_to_live")
        self.later(100_000)
        self.assertEqual(self.redrive(), 1)
        self.later(49)
        self.assert_where(ready=1)
        self.later(1)
        self.assert_where()

    def test_a_target_was_asked_for(self) -> None:
        """Even if nothing came to it, it is not forgotten before its time."""
        self.bury(b"a")
        self.publish(b"b", queue="goal")
        self.payloads(queue="goal", delivery=Delivery.TAKEN)
        self.later(50_000)
        self.broker.purge(Purge("q.dead"), self.now)
        self.assertEqual(self.redrive(target="goal"), 0)
        self.later(50_000)
        self.assertIn("goal", self.broker._directory.queues)
