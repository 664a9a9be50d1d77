"""Batches as columns."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument
from quickpulse.requests import Batch, Deliveries, Properties
from quickpulse.wire.v1.batches import as_texts, fill_batch, fill_deliveries, read_batch, read_deliveries
from quickpulse.wire.v1.forms import MOST_ITEMS


class BatchTests(SynchronousTestCase):
    """read_batch and fill_batch."""

    def test_without_properties(self) -> None:
        """Payloads and nothing else."""
        batch = read_batch(pb.Batch(payloads=[b"a", b""]))
        self.assertEqual(batch, Batch([b"a", b""]))
        self.assertIs(type(batch.payloads), list)

    def test_empty_properties_are_none(self) -> None:
        """A field that is there and says nothing costs nothing later."""
        message = pb.Batch(payloads=[b"a"], common=pb.Properties(), properties={0: pb.Properties()})
        self.assertEqual(read_batch(message), Batch([b"a"]))

    def test_properties(self) -> None:
        """By index, beside those of all."""
        message = pb.Batch(payloads=[b"a", b"b"], common={"id": "c"}, properties={1: pb.Properties(priority=9)})
        self.assertEqual(read_batch(message), Batch([b"a", b"b"], Properties(id="c"), {1: Properties(priority=9)}))

    def test_more_properties_than_messages(self) -> None:
        """Some are of no message; they are refused before each of them becomes an object."""
        message = pb.Batch(payloads=[b"a"], properties={0: pb.Properties(id="x"), 9: pb.Properties(id="x")})
        error = self.assertRaises(InvalidArgument, read_batch, message)
        self.assertEqual(str(error), "batch.properties: 2 of them, and 1 messages")

    def test_an_index_twice(self) -> None:
        """The last one counts, as in protobuf every last one does."""
        entries = b"\x1a\x07\x08\x00\x12\x03\x0a\x01a" + b"\x1a\x07\x08\x00\x12\x03\x0a\x01b"
        message = pb.Batch.FromString(b"\x0a\x01x" + entries)
        self.assertEqual(read_batch(message), Batch([b"x"], None, {0: Properties(id="b")}))

    def test_texts(self) -> None:
        """Their UTF-8."""
        self.assertEqual(read_batch(pb.Batch(texts=["ä", ""])), Batch(["ä".encode(), b""]))

    def test_more_texts_than_messages_may_be(self) -> None:
        """They are counted before they are encoded."""
        error = self.assertRaises(InvalidArgument, read_batch, pb.Batch(texts=[""] * (MOST_ITEMS + 1)))
        self.assertIn(str(MOST_ITEMS + 1), str(error))

    def test_texts_and_payloads(self) -> None:
        """Which of them comes first nobody can say."""
        error = self.assertRaises(InvalidArgument, read_batch, pb.Batch(texts=["a"], payloads=[b"b"]))
        self.assertIn("payloads and texts", str(error))

    def test_no_messages(self) -> None:
        """An empty batch is one."""
        self.assertEqual(read_batch(pb.Batch()), Batch([]))

    def test_written_without_properties(self) -> None:
        """Nothing is written for what is not there."""
        message = pb.Batch()
        fill_batch(Batch([b"a"]), message)
        self.assertEqual(message.SerializeToString(), b"\x0a\x01a")

    def test_the_message_may_go(self) -> None:
        """What was read does not hang on the message."""
        message = pb.Batch(payloads=[b"a"])
        batch = read_batch(message)
        message.Clear()
        self.assertEqual(batch, Batch([b"a"]))


class DeliveriesTests(SynchronousTestCase):
    """read_deliveries and fill_deliveries."""

    def test_columns_that_are_not_there(self) -> None:
        """They cost no byte, and are None again."""
        message = pb.Deliveries()
        deliveries = Deliveries("q", Batch([b"a"]), 5, 30_000)
        fill_deliveries(deliveries, message)
        self.assertEqual(read_deliveries(message), deliveries)
        self.assertEqual(
            [field.name for field, _ in message.ListFields()], ["queue", "batch", "first_receipt", "lease_ms"]
        )

    def test_nothing_came(self) -> None:
        """The empty answer is an empty message."""
        message = pb.Deliveries()
        fill_deliveries(Deliveries(""), message)
        self.assertEqual(message.SerializeToString(), b"")
        self.assertEqual(read_deliveries(message), Deliveries("", Batch([])))


class TextsTests(SynchronousTestCase):
    """as_texts."""

    def test_all_or_none(self) -> None:
        """One payload that is no UTF-8 keeps all of them payloads."""
        for payloads, texts in (([b"a", b"\xc3\xa4"], ["a", "ä"]), ([b"a", b"\xff"], []), ([], [])):
            message = pb.Batch(payloads=payloads)
            as_texts(message)
            self.assertEqual(list(message.texts), texts)
            self.assertEqual(list(message.payloads), [] if texts else payloads)
