"""Whether messages fit, and making room."""

from __future__ import annotations

from quickpulse.queues.broker import Broker
from quickpulse.queues.named import MESSAGE_BYTES
from quickpulse.queues.policies import Limits
from quickpulse.queues.ready import Ready
from quickpulse.queues.room import could_fit, fits, make_room
from quickpulse.queues.usage import PROPERTIES_BYTES, RUN_BYTES
from quickpulse.requests import DeleteQueue, Overflow
from tests.queues.brokers import BrokerTestCase


class RoomTests(BrokerTestCase):
    """A queue for four messages and 20 bytes."""

    limits = Limits(total_bytes=5 * MESSAGE_BYTES + 30 + PROPERTIES_BYTES + RUN_BYTES)

    def setUp(self) -> None:
        """One is leased, one delayed, two are ready; three bytes each."""
        super().setUp()
        self.policy(capacity=5, capacity_bytes=20)
        self.publish(b"aaa")
        self.pull()
        self.publish(b"bbb", delay_ms=100)
        self.publish(b"ccc", b"ddd")

    def test_fits(self) -> None:
        """By number, by bytes, and in the server."""
        queue = self.named()
        self.assertTrue(fits(queue, 1, 8))
        self.assertFalse(fits(queue, 1, 9))
        self.assertFalse(fits(queue, 2, 0))
        self.publish(b"x" * 17, queue="other")
        self.assertFalse(fits(queue, 1, 2))

    def test_could_fit(self) -> None:
        """Once all that is ready was dropped."""
        queue = self.named()
        self.assertTrue(could_fit(queue, 3, 14))
        self.assertFalse(could_fit(queue, 4, 0))
        self.assertFalse(could_fit(queue, 1, 15))
        self.assertEqual(len(queue.ready), 2)

    def test_make_room(self) -> None:
        """By dropping as few as it takes, the oldest; nothing in vain."""
        queue = self.named()
        self.assertFalse(make_room(queue, 1, 15))
        self.assertTrue(make_room(queue, 1, 8))
        self.assertEqual(queue.counts.dropped, 0)
        self.assertTrue(make_room(queue, 1, 9))
        self.assertEqual((queue.counts.dropped, self.payloads()), (1, [b"ddd"]))

    def test_a_long_batch_into_a_full_queue(self) -> None:
        """Drops as many as it has messages, together."""
        self.broker = Broker()
        self.policy("log", capacity=3)
        self.publish(b"a", b"b", b"c", queue="log")
        queue = self.named("log")
        self.assertTrue(make_room(queue, 2, 2))
        self.assertEqual((queue.counts.dropped, self.payloads(queue="log")), (2, [b"c"]))

    def test_one_long_message_for_many_short_ones(self) -> None:
        """They go run by run, with priorities and properties or without; as many as it takes, and no more."""
        taken: list[int] = []
        take_oldest = Ready.take_oldest

        def counting(ready, *args):
            run = take_oldest(ready, *args)
            taken.append(len(run.payloads))
            return run

        self.patch(Ready, "take_oldest", counting)
        self.broker = Broker(limits=Limits(total_bytes=10_000 * (MESSAGE_BYTES + 1)))
        for properties in ({}, {"priority": 3}, {"content_type": "a"}):
            each = 1 + len(properties.get("content_type", ""))
            for capacity_bytes, cost in (
                (10_000, each),
                (1 << 20, each + MESSAGE_BYTES + bool(properties)),
            ):  # of the queue, or the server
                self.policy("log", capacity_bytes=capacity_bytes, overflow=Overflow.DROP_OLDEST)
                self.publish(*[b"x"] * 10_000, queue="log", **properties)
                queue = self.named("log")
                queue.counts.dropped = 0
                taken.clear()
                self.assertTrue(make_room(queue, 1, 9000))
                self.assertLess(len(taken), 30)
                self.assertEqual(sum(taken), queue.counts.dropped)
                self.assertTrue(fits(queue, 1, 9000))
                self.assertFalse(fits(queue, 1, 9000 + cost))
                self.broker.delete_queue(DeleteQueue("log"), self.now)
