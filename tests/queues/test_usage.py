"""What messages take of the server beside payloads and texts."""

from __future__ import annotations

from dataclasses import replace

from quickpulse.queues.named import MESSAGE_BYTES
from quickpulse.queues.usage import HEADER_BYTES, LETTER_BYTES, PROPERTIES_BYTES, RUN_BYTES
from quickpulse.requests import Action, DeleteQueue, Delivery, Properties, Purge, Redrive, Settle
from tests.queues.brokers import BrokerTestCase


class UsageTests(BrokerTestCase):
    """Bytes, as they come and go."""

    def used(self) -> int:
        """So much, without what is counted for each message."""
        return self.broker._directory.usage.used - MESSAGE_BYTES * self.broker.depth

    def test_plain(self) -> None:
        """Nothing."""
        self.publish(b"a", b"bc")
        self.assertEqual(self.used(), 3)

    def test_common_properties(self) -> None:
        """Are kept once for a batch; headers take more."""
        self.publish(*[b""] * 10, id="x")
        self.assertEqual(self.used(), 10 + PROPERTIES_BYTES)
        self.publish(b"", headers={"a": "b", "c": "d"})
        self.assertEqual(self.used(), 10 + 4 + 2 * (PROPERTIES_BYTES + HEADER_BYTES))

    def test_own_properties(self) -> None:
        """Each has its own; all that are due at the same time are one run."""
        self.publish_each(*[(b"", Properties(correlation_id=str(each), delay_ms=100)) for each in range(9)])
        self.assertEqual(self.used(), 9 + 9 * PROPERTIES_BYTES + RUN_BYTES)
        self.publish_each(*[(b"", Properties(ttl_ms=each)) for each in range(1, 4)])
        self.assertEqual(self.used(), 9 + 12 * PROPERTIES_BYTES + 4 * RUN_BYTES)

    def test_it_is_free_again(self) -> None:
        """Whichever way they leave, one by one or together."""
        for properties in ({"id": "x"}, {"id": "x", "ttl_ms": 500}, {"delay_ms": 10}, {"dedup_key": "k"}):
            for leave in ("ack", "each", "taken", "purge", "delete", "expire", "plain"):
                self.setUp()
                plain = self.broker.queue("q", lambda: self.now / 1000)
                self.publish(b"a", b"bc", **properties)
                own = Properties(**properties)
                self.publish_each((b"d", own), (b"e", replace(own, id="y")), (b"f", Properties()))
                self.later(10)
                if leave == "taken":
                    self.pull(9, delivery=Delivery.TAKEN)
                elif leave == "plain":
                    plain.dequeue_many(9)
                elif leave == "purge":
                    self.broker.purge(Purge("q"), self.now)
                elif leave != "expire":
                    receipts = [self.pull().first_receipt for _ in range(self.broker.depth)]
                    if leave == "ack":
                        self.broker.settle(Settle("q", ((receipts[0], receipts[-1]),)), self.now)
                    elif leave == "each":
                        for receipt in receipts:
                            self.settle(receipt)
                if leave == "delete" or (leave == "expire" and not own.ttl_ms):
                    self.broker.delete_queue(DeleteQueue("q"), self.now)
                self.later(200_000)
                stays = leave == "expire" and own.ttl_ms  # the one without properties; its batch had one run to share
                left = MESSAGE_BYTES + 1 + RUN_BYTES // 3 if stays else 0
                self.assertEqual((leave, self.broker._directory.usage.used), (leave, left))

    def test_dead_letters(self) -> None:
        """That they are takes some; and what they had goes with them, and back."""
        self.publish(b"a", b"b")
        self.publish(b"c", id="x")
        used = self.used()
        first = self.pull(3).first_receipt
        self.settle(*range(first, first + 3), action=Action.DEAD_LETTER)
        self.assertEqual(self.used(), used + 3 * LETTER_BYTES)
        self.broker.redrive(Redrive("q.dead"), self.now)
        self.assertEqual(self.used(), used)
