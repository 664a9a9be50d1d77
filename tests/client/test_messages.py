"""Messages and batches as users have them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.errors import ClientClosed
from quickpulse.client.messages import DONE, Batch, Message
from quickpulse.client.settling import Leased, Settling
from quickpulse.errors import InvalidArgument
from quickpulse.requests import Action, Deliveries, Properties, Settle
from quickpulse.requests import Batch as Columns

DELIVERIES = Deliveries(
    "q",
    Columns([b"0", b"1", b"2"], Properties(content_type="text/plain"), {1: Properties(id="one", headers={"a": "b"})}),
    10,
    30_000,
    delivery_counts=[1, 2, 1],
    enqueued_at_ms=[5, 6, 7],
)


class MessageTests(SynchronousTestCase):
    """Three of them, leased together."""

    def setUp(self) -> None:
        """Lease them."""
        self.settling = Settling(lambda: None)
        self.confirmed: list[Any] = []
        self.leased = Leased(DELIVERIES, self.settling)
        self.batch = Batch(self.leased, self.confirm)

    def confirm(self, *what: Any) -> str:
        """Noted."""
        self.confirmed.append(what)
        return "confirmed"

    def test_sequence(self) -> None:
        """A batch is a sequence of its messages."""
        self.assertEqual((len(self.batch), self.batch.queue), (3, "q"))
        self.assertEqual([message.payload for message in self.batch], [b"0", b"1", b"2"])
        self.assertEqual(self.batch[-1].payload, b"2")
        self.assertRaises(IndexError, lambda: self.batch[3])
        self.assertIn("3", repr(self.batch))

    def test_what_a_message_has(self) -> None:
        """Its own, what is common, or nothing."""
        zero, one = self.batch[0], self.batch[1]
        self.assertEqual((zero.id, zero.headers, zero.properties.content_type), ("", {}, "text/plain"))
        self.assertEqual((one.id, one.headers), ("one", {"a": "b"}))
        self.assertEqual((zero.delivery_count, one.delivery_count, one.enqueued_at_ms), (1, 2, 6))
        self.assertIsNone(one.source)
        self.assertIn("'q'", repr(one))

    def test_columns_that_are_not_there(self) -> None:
        """The first delivery, and no time."""
        message = Batch(Leased(Deliveries("q", Columns([b"x"]), 1), self.settling), self.confirm)[0]
        self.assertEqual((message.delivery_count, message.enqueued_at_ms, message.id), (1, None, ""))

    def test_what_no_server_takes(self) -> None:
        """A reason that is too long is cut; times that are less than nothing are refused, and nothing was said."""
        for wrong in (-1, float("nan")):
            self.assertRaises(InvalidArgument, lambda seconds=wrong: self.batch[0].nack(delay_seconds=seconds))
            self.assertRaises(InvalidArgument, lambda seconds=wrong: self.batch[0].extend(seconds=seconds))
        self.batch[0].dead_letter("x" * 2000)
        self.assertEqual(self.settling.take(), [Settle("q", [(10, 10)], Action.DEAD_LETTER, reason="x" * 1024)])

    def test_left_when_the_client_is_closed(self) -> None:
        """After a failure that is what is raised; after success it is that the ack was in vain."""
        self.settling.close(ClientClosed())
        with self.assertRaises(ValueError), self.batch[0]:
            raise ValueError
        with self.assertRaises(KeyboardInterrupt), self.batch[1]:
            raise KeyboardInterrupt
        with self.assertRaises(ClientClosed), self.batch[2]:
            pass

    def test_verbs(self) -> None:
        """One by one, then the rest of the batch; extending settles nothing, and is said first."""
        self.batch[0].nack(delay_seconds=1.5)
        self.batch[1].extend(seconds=2)
        self.batch[1].release()
        self.batch.dead_letter("why")
        self.batch.ack()
        self.assertEqual(
            self.settling.take(),
            [
                Settle("q", [(11, 11)], Action.EXTEND, lease_ms=2000),
                Settle("q", [(10, 10)], Action.NACK, delay_ms=1500),
                Settle("q", [(11, 11)], Action.RELEASE),
                Settle("q", [(12, 12)], Action.DEAD_LETTER, reason="why"),
            ],
        )

    def test_extend(self) -> None:
        """How long is remembered, so that it is not shortened when the lease is extended by itself."""
        self.batch[1].extend(seconds=600)
        self.batch.extend(seconds=60, confirm=True)
        self.assertEqual(self.leased.longer_ms, 600_000)

    def test_confirm(self) -> None:
        """The face does it, and nothing is buffered."""
        self.assertEqual(self.batch[1].ack(confirm=True), "confirmed")
        self.assertEqual(self.batch.nack(confirm=True), "confirmed")
        self.assertEqual([each[1] for each in self.confirmed], [[(11, 11)], [(10, 10), (12, 12)]])
        self.assertEqual(self.settling.take(), [])

    def test_leaving(self) -> None:
        """Success acks, an exception nacks, an interruption puts back; what was settled before stays so."""
        with self.batch[0]:
            pass
        with self.assertRaises(ValueError), self.batch[1]:
            raise ValueError
        with self.assertRaises(KeyboardInterrupt), self.batch[2]:
            raise KeyboardInterrupt
        with self.batch:
            pass
        self.assertEqual([each.action for each in self.settling.take()], [Action.ACK, Action.NACK, Action.RELEASE])

    def test_what_was_buffered_can_be_awaited(self) -> None:
        """So that asyncio's users need not care."""

        async def story() -> Any:
            return await self.batch[0].ack()

        with self.assertRaises(StopIteration) as caught:
            story().send(None)
        self.assertIsNone(caught.exception.value)
        self.assertIs(self.batch[1].ack(), DONE)

    def test_slots(self) -> None:
        """A message costs little."""
        self.assertFalse(hasattr(Message(b"", self.batch, 0), "__dict__"))
