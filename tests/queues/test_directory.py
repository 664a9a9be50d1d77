"""Queues by name: made, kept, forgotten, and the dead-letter queues among them."""

from __future__ import annotations

from quickpulse.errors import NotFound, TooManyQueues
from quickpulse.queues.broker import Broker
from quickpulse.queues.policies import Limits
from quickpulse.queues.runs import RUN_MESSAGES
from quickpulse.requests import Action, DeleteQueue, ListQueues, Policy, Pull, Settle
from tests.queues.brokers import BrokerTestCase


class DirectoryTests(BrokerTestCase):
    """Names."""

    limits = Limits(max_queues=3)

    def setUp(self) -> None:
        """No queue."""
        super().setUp()
        self.directory = self.broker._directory

    def test_open_and_get(self) -> None:
        """Made once; only opened ones are found. Names are case-sensitive."""
        queue = self.directory.open("q", self.now)
        self.assertIs(self.directory.open("q", self.now), queue)
        self.assertIs(self.directory.get("q"), queue)
        self.assertRaises(NotFound, self.directory.get, "Q")

    def test_an_empty_queue_is_there(self) -> None:
        """It is not made again because nothing is in it: its sequences go on."""
        queue = self.directory.make("q.dead", self.now)
        source = self.directory.make("q", self.now)
        self.assertIs(self.directory.dead_letter_queue(source, self.now), queue)

    def test_room_again(self) -> None:
        """A queue that is forgotten makes room for another."""
        for name in ("a", "b", "c"):
            self.directory.open(name, self.now)
        self.assertRaises(TooManyQueues, self.directory.open, "d", self.now)
        self.later(60_000)
        self.directory.open("d", self.now)

    def test_many_names_cost_little(self) -> None:
        """A hundred thousand pulls of new names leave as many queues as may be, and soon none."""
        refused = 0
        for number in range(10_000):
            try:
                self.broker.pull(Pull((f"name{number}",)), self.now)
            except TooManyQueues:
                refused += 1
        self.assertEqual(refused, 9_997)
        self.later(60_000)
        self.assertEqual((self.broker.list_queues(ListQueues(), self.now).queues, self.later(1)), ([], None))

    def test_dead_letter_queues_in_turn(self) -> None:
        """A policy names no new one where there is no place for it; one that it names already, or that is there."""
        for number in range(10):
            try:
                self.policy("q", dead_letter_queue=f"d{number}", max_deliveries=1, lease_ms=1)
            except TooManyQueues:
                self.assertEqual(number, 2)
                break
            self.publish(b"x")
            self.pull()
            self.later(1)
        self.assertEqual(set(self.directory.queues), {"q", "d0", "d1"})
        self.policy("q", dead_letter_queue="d0")
        self.broker.delete_queue(DeleteQueue("d0"), self.now)
        self.directory.open("other", self.now)
        self.policy("q", dead_letter_queue="d0", max_deliveries=2)

    def test_many_dead_letters(self) -> None:
        """Thousands at once, in order, and cut into runs that are not too long."""
        payloads = [b"%d" % each for each in range(3 * RUN_MESSAGES)]
        self.publish(*payloads, content_type="t")
        first = self.pull(len(payloads)).first_receipt
        ranges = [(first, first + len(payloads) - 1)]
        self.broker.settle(Settle("q", ranges, Action.DEAD_LETTER, reason="r"), self.now)
        got = self.pull(len(payloads), "q.dead")
        self.assertEqual((list(got.batch.payloads), got.batch.common.content_type), (payloads, "t"))
        self.assertEqual({letter.reason for letter in got.dead_letters.values()}, {"r"})
        self.assertEqual(len(got.dead_letters), len(payloads))
        self.assertEqual(self.named().extras, {})

    def test_the_servers_dead_letter_queue_has_none_itself(self) -> None:
        """Also before the first dead letter came."""
        self.broker = Broker(defaults=Policy(dead_letter_queue="graves", max_deliveries=1))
        self.publish(b"a", queue="graves")
        for _ in range(3):
            receipt = self.pull(queue="graves").first_receipt
            self.settle(receipt, action=Action.NACK, queue="graves", delay_ms=0)
        self.assert_where(ready=1, queue="graves")

    def test_one_queue_for_all_dead_letters(self) -> None:
        """Named by the policy of a queue: it has none for its own."""
        self.policy("q", dead_letter_queue="graves", max_deliveries=1, lease_ms=10)
        self.publish(b"a")
        self.pull()
        self.later(10)
        self.assert_where(ready=1, queue="graves")
        self.assertFalse(self.named("graves").has_dead_letters)
