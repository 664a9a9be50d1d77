"""The columns of a reply."""

from __future__ import annotations

from quickpulse.requests import Action, Batch, Properties, Publish
from tests.queues.brokers import START_MS, BrokerTestCase


class DeliverTests(BrokerTestCase):
    """Pulls over messages of several kinds."""

    def test_several_kinds(self) -> None:
        """Each column has its value at each message's place."""
        self.publish(b"again", b"first")
        self.settle(self.pull().first_receipt, action=Action.NACK, delay_ms=0)
        self.later(3)
        self.publish_each((b"own", Properties(id="o")), (b"none", Properties()))
        self.publish(b"common", correlation_id="c")
        got = self.pull(9, with_enqueued_at=True)
        self.assertEqual(got.batch.payloads, [b"again", b"first", b"own", b"none", b"common"])
        self.assertEqual(got.delivery_counts, [2, 1, 1, 1, 1])
        self.assertEqual(got.enqueued_at_ms, [START_MS, START_MS, START_MS + 3, START_MS + 3, START_MS + 3])
        have = [got.batch.properties.get(index, Properties()) for index in range(5)]
        self.assertEqual([each.id for each in have], ["", "", "o", "", ""])
        self.assertEqual(have[4].correlation_id, "c")

    def test_own_ones_over_common_ones(self) -> None:
        """What has properties of its own has all of them; the others share theirs."""
        batch = Batch([b"a", b"b"], Properties(id="c", content_type="t"), {1: Properties(id="o")})
        self.broker.publish(Publish("q", batch), self.now)
        got = self.pull(2).batch
        self.assertEqual(got.common, Properties(id="c", content_type="t"))
        self.assertEqual(got.properties, {1: Properties(id="o", content_type="t")})

    def test_receipts_over_pieces(self) -> None:
        """Are consecutive, however many runs a pull took from."""
        self.publish(b"a")
        self.publish(b"b", priority=1)
        self.publish(b"c", priority=2)
        first = self.pull(3).first_receipt
        for receipt, left in ((first, 2), (first + 1, 1), (first + 2, 0)):
            self.assertEqual(self.settle(receipt).settled, 1)
            self.assertEqual(self.info().leased, left)
