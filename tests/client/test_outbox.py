"""A publisher's buffer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.errors import PartialPublish, Timeout
from quickpulse.client.outbox import MOST_BATCH_BYTES, MOST_IN_BATCH, MOST_ON_THEIR_WAY, MOST_REPORTED, Outbox
from quickpulse.errors import QueueFull
from quickpulse.requests import Properties, PublishReply, Rejection


class OutboxTests(SynchronousTestCase):
    """Messages in, batches out."""

    def setUp(self) -> None:
        """It is empty."""
        self.outbox = Outbox(object, 3 * MOST_IN_BATCH, 10 * MOST_BATCH_BYTES)

    def fill(self, count: int) -> None:
        """Put so many in."""
        for _ in range(count):
            self.outbox.add(b"x", None)

    def test_first_goes_at_once(self) -> None:
        """Those that come meanwhile go together."""
        self.assertTrue(self.outbox.add(b"0", None)[2])
        first = self.outbox.take()
        assert first is not None
        self.assertFalse(self.outbox.add(b"1", None)[2])
        self.outbox.add(b"2", Properties(id="7"))
        self.assertIsNone(self.outbox.take())
        self.outbox.confirmed(first, PublishReply())
        second = self.outbox.take()
        assert second is not None
        batch = second.as_batch()
        self.assertEqual((batch.payloads, batch.properties), ([b"1", b"2"], {1: Properties(id="7")}))

    def test_full_batches(self) -> None:
        """Some are on their way at the same time, but not all."""
        self.outbox = Outbox(object, 10 * MOST_IN_BATCH, 10 * MOST_BATCH_BYTES)
        self.fill(6 * MOST_IN_BATCH)
        taken = [self.outbox.take() for _ in range(6)]
        self.assertEqual(sum(batch is not None for batch in taken), MOST_ON_THEIR_WAY)

    def test_bytes(self) -> None:
        """Long messages fill a batch too, and the buffer."""
        _, _, is_due = self.outbox.add(bytes(MOST_BATCH_BYTES), None)
        self.assertTrue(is_due)
        for _ in range(9):
            self.outbox.add(bytes(MOST_BATCH_BYTES), None)
        self.assertFalse(self.outbox.has_room)

    def test_room(self) -> None:
        """What is on its way takes room until it is confirmed."""
        self.fill(3 * MOST_IN_BATCH)
        self.assertFalse(self.outbox.has_room)
        batch = self.outbox.take()
        assert batch is not None
        self.assertFalse(self.outbox.has_room)
        self.outbox.confirmed(batch, PublishReply())
        self.assertTrue(self.outbox.has_room)
        self.assertFalse(self.outbox.is_empty)

    def test_report(self) -> None:
        """Of messages that were rejected, by their places since the last report."""
        self.fill(3)
        batch = self.outbox.take()
        assert batch is not None
        self.outbox.confirmed(batch, PublishReply())
        self.fill(2)
        batch = self.outbox.take()
        assert batch is not None
        self.outbox.confirmed(batch, PublishReply((), (), [Rejection(1, QueueFull())]))
        error = self.assertRaises(PartialPublish, self.outbox.report)
        self.assertEqual((error.accepted, error.rejected, [each.index for each in error.rejections]), (4, 1, [4]))
        self.outbox.report()

    def test_batch_that_failed(self) -> None:
        """All of it is told, but not without end."""
        for _ in range(3):
            self.fill(MOST_IN_BATCH)
            batch = self.outbox.take()
            assert batch is not None
            self.outbox.confirmed(batch, Timeout("late"))
        error = self.assertRaises(PartialPublish, self.outbox.report)
        self.assertEqual((error.accepted, error.rejected, len(error.rejections)), (0, 3000, MOST_REPORTED))
        self.assertTrue(self.outbox.is_empty)
