"""Which messages are accepted, and why others are not."""

from __future__ import annotations

from quickpulse.errors import InvalidArgument, QueuePaused, TooManyQueues
from quickpulse.queues.admission import resolved
from quickpulse.queues.broker import Broker
from quickpulse.queues.framing import REJECTION_BYTES
from quickpulse.queues.named import MESSAGE_BYTES
from quickpulse.queues.policies import LONGEST_KEY, MOST_PUBLISHED, Limits
from quickpulse.requests import Batch, Delivery, Overflow, Pause, Properties, Publish, PublishReply, Resume
from tests.queues.brokers import BrokerTestCase

PLAIN = Properties()


def rejected(reply: PublishReply) -> list[tuple[int, str]]:
    """Index and reason of each."""
    return [(each.index, each.error.code) for each in reply.rejections]


class PublishTests(BrokerTestCase):
    """Batches into one queue."""

    limits = Limits(max_message_bytes=10)

    def batch(self, *payloads: bytes, atomic: bool = False, key: bytes = b"", **own: Properties) -> PublishReply:
        """Messages; `m1=...` are the properties of the second."""
        properties = {int(name[1:]): each for name, each in own.items()}
        return self.broker.publish(Publish("q", Batch(payloads, None, properties), key, atomic), self.now)

    def test_sequences(self) -> None:
        """Consecutive over all that is stored, whatever it has."""
        self.assertEqual(self.publish(b"a", b"b").sequences, ((1, 2),))
        self.assertEqual(self.publish(b"c", priority=3).sequences, ((3, 3),))
        self.assertEqual(self.batch(b"d", b"e", m1=Properties(delay_ms=5)).sequences, ((4, 5),))
        self.assertEqual(self.publish().sequences, ())

    def test_the_callers_list_is_the_callers(self) -> None:
        """What is done to it afterwards changes no message."""
        payloads = [b"a", b"b"]
        self.broker.publish(Publish("q", Batch(payloads)), self.now)
        payloads[0] = b"changed"
        got = self.pull(2)
        got.batch.payloads[1] = b"changed"
        self.later(60_000)
        self.assertEqual(self.payloads(), [b"a", b"b"])

    def test_too_many(self) -> None:
        """A batch is bounded, so that what is said of each of them when the queue is full fits into a frame."""
        self.policy(capacity=1)
        reply = self.broker.publish(Publish("q", Batch([b""] * MOST_PUBLISHED)), self.now)
        self.assertEqual((reply.sequences, len(reply.rejections)), (((1, 1),), MOST_PUBLISHED - 1))
        request = Publish("q", Batch([b""] * (MOST_PUBLISHED + 1)))
        self.assertRaises(InvalidArgument, self.broker.publish, request, self.now)

    def test_too_many_for_short_frames(self) -> None:
        """A batch has fewer messages there; one it may always have."""
        for bound, most in ((10 * REJECTION_BYTES, 10), (1, 1)):
            self.broker = Broker(limits=Limits(max_batch_bytes=bound))
            self.assertEqual(len(self.publish(*[b"x"] * most).sequences), 1)
            self.assertRaises(InvalidArgument, self.publish, *[b"x"] * (most + 1))
            self.assert_where(ready=most)

    def test_other_types(self) -> None:
        """A payload that is not bytes is the caller's mistake; nothing is stored."""
        for strange in ("text", bytearray(b"x"), None):
            self.assertRaises(TypeError, self.publish, b"a", strange)
        self.assert_where()

    def test_too_large(self) -> None:
        """One byte more than the limit is rejected, the others are stored."""
        reply = self.publish(b"0123456789", b"0123456789!", b"c")
        self.assertEqual((reply.sequences, rejected(reply)), (((1, 2),), [(1, "MESSAGE_TOO_LARGE")]))
        self.assert_counts(published=2, **{"rejected:MESSAGE_TOO_LARGE": 1})

    def test_properties_out_of_bounds(self) -> None:
        """Are the message's fault, or of all that have them in common."""
        reply = self.batch(b"a", b"b", b"c", m1=Properties(priority=10), m2=Properties(delay_ms=-1))
        self.assertEqual(rejected(reply), [(1, "INVALID_ARGUMENT"), (2, "INVALID_ARGUMENT")])
        self.assertEqual(
            rejected(self.publish(b"a", b"b", ttl_ms=-1)), [(0, "INVALID_ARGUMENT"), (1, "INVALID_ARGUMENT")]
        )
        long = Properties(dedup_key="k" * (LONGEST_KEY + 1))
        self.assertEqual(rejected(self.batch(b"a", m0=long)), [(0, "INVALID_ARGUMENT")])
        self.assertRaises(InvalidArgument, self.batch, b"a", m1=PLAIN)
        self.assertRaises(InvalidArgument, self.batch, b"a", key=b"k" * (LONGEST_KEY + 1))

    def test_resolved(self) -> None:
        """Own properties where they are not zero or empty, common ones else."""
        common = Properties(id="c", priority=3, headers={"a": "b"}, ttl_ms=5)
        self.assertEqual(
            resolved(common, Properties(id="o", headers={"x": "y"})),
            Properties(id="o", priority=3, headers={"x": "y"}, ttl_ms=5),
        )
        self.assertEqual(resolved(None, common), common)

    def test_full(self) -> None:
        """The part that fits is stored; from the first that does not on, all are rejected."""
        self.policy(capacity=3)
        reply = self.publish(b"a", b"b", b"c", b"d", b"e")
        self.assertEqual((reply.sequences, rejected(reply)), (((1, 3),), [(3, "QUEUE_FULL"), (4, "QUEUE_FULL")]))
        self.assertEqual(self.publish(b"f").sequences, ())

    def test_full_in_bytes(self) -> None:
        """Properties count; a later one that would fit is rejected, too."""
        self.policy(capacity_bytes=10)
        reply = self.batch(b"12345", b"12345", b"", m1=Properties(id="x"))
        self.assertEqual((reply.sequences, rejected(reply)), (((1, 1),), [(1, "QUEUE_FULL"), (2, "QUEUE_FULL")]))
        self.assertEqual(self.publish(b"12345").sequences, ((2, 2),))

    def test_leased_and_delayed_count(self) -> None:
        """Capacity is of all that is held."""
        self.policy(capacity=2)
        self.publish(b"a")
        self.pull()
        self.publish(b"b", delay_ms=10)
        self.assertEqual(rejected(self.publish(b"c")), [(0, "QUEUE_FULL")])

    def test_atomic(self) -> None:
        """All, or none with the reason of each."""
        self.policy(capacity=3)
        self.assertEqual(self.batch(b"a", b"b", atomic=True).sequences, ((1, 2),))
        self.assertEqual(rejected(self.batch(b"c", b"d", atomic=True)), [(0, "QUEUE_FULL"), (1, "QUEUE_FULL")])
        reply = self.batch(b"c", b"12345678901", atomic=True)
        self.assertEqual(rejected(reply), [(0, "BATCH_REJECTED"), (1, "MESSAGE_TOO_LARGE")])
        self.assertEqual(self.info().ready, 2)
        self.assertEqual(self.batch(b"c", atomic=True).sequences, ((3, 3),))

    def test_drop_oldest(self) -> None:
        """The oldest ready ones make room, also those of the same batch."""
        self.policy(capacity=3, overflow=Overflow.DROP_OLDEST)
        self.publish(b"a", b"b", b"c")
        self.assertEqual(self.publish(b"d").sequences, ((4, 4),))
        self.assertEqual(self.publish(*[b"%d" % each for each in range(5)]).sequences, ((5, 9),))
        self.assertEqual(self.payloads(), [b"2", b"3", b"4"])
        self.assert_counts(published=9, dropped=6, delivered=3)

    def test_drop_oldest_takes_ready_ones_only(self) -> None:
        """What is leased or delayed stays, so the queue can still be full; nothing is dropped in vain."""
        self.policy(capacity=3, capacity_bytes=20, overflow=Overflow.DROP_OLDEST)
        self.publish(b"held")
        self.pull()
        self.publish(b"late", delay_ms=1000)
        self.publish(b"a")
        self.assertEqual(rejected(self.publish(b"b", b"c", delay_ms=1000)), [(1, "QUEUE_FULL")])
        self.assert_where(leased=1, delayed=2)
        self.assertEqual(rejected(self.publish(b"d")), [(0, "QUEUE_FULL")])

    def test_dedup_key(self) -> None:
        """A second one within the window is a duplicate, also after the first was acked; then it is new."""
        self.publish(b"a", dedup_key="k")
        self.settle(self.pull().first_receipt)
        for ms in (0, 119_999):  # the queue is empty, but not forgotten as long as it remembers keys
            self.later(ms)
            reply = self.publish(b"b", dedup_key="k")
            self.assertEqual((reply.sequences, reply.duplicates), ((), (0,)))
        self.later(1)
        self.assertEqual(self.publish(b"c", dedup_key="k").sequences, ((2, 2),))

    def test_dedup_within_a_batch(self) -> None:
        """The first is stored; when it is rejected, so are the others, and the key is free."""
        key = Properties(dedup_key="k")
        self.policy(capacity=2)
        reply = self.batch(b"a", b"b", b"c", m0=key, m1=key)
        self.assertEqual((reply.sequences, reply.duplicates), (((1, 2),), (1,)))
        other = Properties(dedup_key="o")
        self.assertEqual(rejected(self.batch(b"a", b"b", m0=other, m1=other)), [(0, "QUEUE_FULL"), (1, "QUEUE_FULL")])
        self.payloads(delivery=Delivery.TAKEN)
        self.assertEqual(self.batch(b"a", m0=other).sequences, ((3, 3),))

    def test_batch_key(self) -> None:
        """A repeat stores nothing and gets the first reply, also while publishing is paused."""
        self.policy(capacity=2)
        first = self.batch(b"a", b"b", b"c", key=b"k")
        self.broker.pause(Pause("q", publishes=True), self.now)
        self.assertEqual(self.batch(b"a", b"b", b"c", key=b"k"), first)
        self.assert_where(ready=2)
        self.broker.resume(Resume("q"), self.now)
        self.later(120_000)
        self.assertEqual(rejected(self.batch(b"a", key=b"k")), [(0, "QUEUE_FULL")])

    def test_a_batch_that_was_rejected_is_not_remembered(self) -> None:
        """Its repeat may be accepted."""
        self.policy(capacity=1)
        self.publish(b"full")
        self.batch(b"a", key=b"k")
        self.settle(self.pull().first_receipt)
        self.assertEqual(self.batch(b"a", key=b"k").sequences, ((2, 2),))

    def test_paused(self) -> None:
        """Only when it was asked for."""
        self.publish(b"a")
        self.broker.pause(Pause("q"), self.now)
        self.publish(b"b")
        self.broker.pause(Pause("q", publishes=True), self.now)
        self.assertRaises(QueuePaused, self.publish, b"c")

    def test_what_a_pause_keeps_out_is_counted(self) -> None:
        """Each message of the batch, as if it were refused by itself."""
        self.publish(b"a")
        self.broker.pause(Pause("q", publishes=True), self.now)
        self.assertRaises(QueuePaused, self.publish, b"b", b"c")
        self.assert_counts(published=1, **{"rejected:PAUSED": 2})

    def test_long_batches(self) -> None:
        """Of thousands, with and without properties, in order."""
        payloads = [b"%d" % each for each in range(5000)]
        self.publish(*payloads, content_type="t")
        self.publish(*payloads)
        self.assertEqual(self.payloads(10_000), payloads + payloads)


class ServerBoundTests(BrokerTestCase):
    """What all queues share."""

    limits = Limits(max_queues=2, total_bytes=3 * (MESSAGE_BYTES + 5))

    def test_total_bytes(self) -> None:
        """Of all queues, with what a message takes beside its bytes."""
        self.publish(b"12345", queue="a")
        reply = self.publish(b"12345", b"12345", b"12345", queue="b")
        self.assertEqual((reply.sequences, rejected(reply)), (((1, 2),), [(2, "SERVER_FULL")]))
        self.settle(self.pull(queue="a").first_receipt, queue="a")
        self.assertEqual(self.publish(b"1234", queue="b").sequences, ((3, 3),))

    def test_what_properties_take(self) -> None:
        """Counts when they are in: so much may be too much, and then nothing else comes in."""
        self.publish(b"1", correlation_id="2")
        self.assertEqual(rejected(self.publish(b"", queue="b")), [(0, "SERVER_FULL")])
        self.settle(self.pull().first_receipt)
        self.assertEqual(rejected(self.publish(b"", queue="b")), [])

    def test_max_queues(self) -> None:
        """One more is not made, except v0's; dead letters have theirs all the same."""
        self.publish(b"x", queue="a")
        self.pull(queue="b")
        self.assertRaises(TooManyQueues, self.publish, b"x", queue="c")
        self.assertRaises(TooManyQueues, self.pull, queue="c")
        self.publish(b"x", queue="default")
        self.policy("a", max_deliveries=1, lease_ms=10)
        self.pull(queue="a")
        self.later(10)
        self.assert_where(ready=1, queue="a.dead")
