"""What publish, pull, settle and subscriptions are on the wire, where it is more than the same fields."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument, QueueEmpty, QueueFull
from quickpulse.requests import Action, Delivery, PublishReply, Pull, Rejection, Settle
from quickpulse.wire.v1.forms import MOST_ITEMS
from quickpulse.wire.v1.messages import (
    fill_publish_reply,
    fill_settle,
    read_ended,
    read_pull,
    read_settle,
    read_subscribe,
)


class RejectionTests(SynchronousTestCase):
    """The rejections of a PublishReply."""

    def test_one_error_for_many(self) -> None:
        """It is written for each, and others between."""
        full, empty = QueueFull(), QueueEmpty()
        message = pb.PublishReply()
        rejections = [Rejection(index, error) for index, error in enumerate((full, full, empty, full, full))]
        fill_publish_reply(PublishReply(rejections=rejections), message)
        self.assertEqual(
            [(each.index, each.error.reason) for each in message.rejections],
            [(0, "QUEUE_FULL"), (1, "QUEUE_FULL"), (2, "QUEUE_EMPTY"), (3, "QUEUE_FULL"), (4, "QUEUE_FULL")],
        )
        self.assertEqual(message.rejections[1].error, message.rejections[0].error)


class PullTests(SynchronousTestCase):
    """PullRequest."""

    def test_names(self) -> None:
        """Of pulls of several queues, which may wait together, each is there once."""
        message = pb.PullRequest(queues=["x" * 200, "y" * 200])
        first, second = read_pull(message), read_pull(pb.PullRequest.FromString(message.SerializeToString()))
        self.assertEqual(first.queues, list(message.queues))
        for mine, other in zip(first.queues, second.queues, strict=True):
            self.assertIs(mine, other)


class DefaultTests(SynchronousTestCase):
    """What zero means."""

    def test_pull(self) -> None:
        """Leased; what no messages mean is the broker's to say."""
        self.assertEqual(read_pull(pb.PullRequest(queues=["q"])), Pull(["q"], 0, delivery=Delivery.LEASED))

    def test_an_action_is_never_guessed(self) -> None:
        """A client that forgot it would lose messages."""
        for action in (0, 6, -1):
            error = self.assertRaises(InvalidArgument, read_settle, pb.SettleRequest(queue="q", action=action))
            self.assertEqual(str(error), f"action: {action} is none of 1, 2, 3, 4, 5")

    def test_more_ranges_than_receipts_may_be(self) -> None:
        """They are counted before they are read: each empty one is two bytes on the wire."""
        message = pb.SettleRequest.FromString(b"\x0a\x01q\x18\x01" + b"\x12\x00" * (MOST_ITEMS + 1))
        self.assertIn(str(MOST_ITEMS + 1), str(self.assertRaises(InvalidArgument, read_settle, message)))

    def test_a_delay_of_zero_is_one(self) -> None:
        """At once, in place of the queue's policy."""
        for delay_ms in (None, 0, 5):
            message = pb.SettleRequest()
            fill_settle(Settle("q", [], Action.NACK, delay_ms), message)
            self.assertEqual(message.HasField("delay_ms"), delay_ms is not None)
            self.assertEqual(read_settle(message).delay_ms, delay_ms)

    def test_a_delivery_that_is_not_known(self) -> None:
        """Neither in a pull nor in a subscription."""
        for read, message in (
            (read_pull, pb.PullRequest(delivery=3)),
            (read_subscribe, pb.SubscribeRequest(delivery=3)),
        ):
            self.assertIn("delivery: 3", str(self.assertRaises(InvalidArgument, read, message)))

    def test_an_end_that_was_asked_for(self) -> None:
        """It has no error."""
        self.assertIsNone(read_ended(pb.SubscriptionEnded()).error)
