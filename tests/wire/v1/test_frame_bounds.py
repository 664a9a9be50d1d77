"""What a broker hands out together fits into a frame: its measure is held against the codec's bytes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import InvalidArgument
from quickpulse.queues.broker import Broker
from quickpulse.queues.framing import REJECTION_BYTES
from quickpulse.queues.policies import LONGEST_MS, LONGEST_NAME, MOST_PUBLISHED, Limits
from quickpulse.requests import (
    Action,
    Batch,
    Deliveries,
    Delivery,
    GetQueue,
    Peek,
    Policy,
    Properties,
    Publish,
    Pull,
    SetPolicy,
    Settle,
)
from quickpulse.settings import BATCH_ROOM_BYTES
from quickpulse.wire.v1.frames import BINARY, read_reply, write_reply
from quickpulse.wire.v1.messages import MOST_WORDED

NOW_MS = 4_000_000_000_000
LEAST_BATCH_BYTES = BATCH_ROOM_BYTES + 1
MOST_REQUESTS = (1 << 32) - 1
QUEUE = "q" * (LONGEST_NAME - 5)
DEAD = f"{QUEUE}.dead"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(
    ["x" * 130, "é" * 70, "😀" * 40]
)

PROPERTIES = st.builds(
    Properties,
    TEXTS,
    st.dictionaries(TEXTS, TEXTS, max_size=4),
    TEXTS,
    st.integers(0, 9),
    st.just(0),
    st.sampled_from([0, LONGEST_MS]),
    TEXTS,
    TEXTS,
    TEXTS,
)

PAYLOADS = st.binary(max_size=3) | st.sampled_from([b"x" * 127, b"x" * 128, b"x" * 300])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Of short messages, many or few of which have properties."""
    payloads = draw(st.lists(PAYLOADS, min_size=1, max_size=12))
    own = draw(st.dictionaries(st.integers(0, len(payloads) - 1), PROPERTIES, max_size=len(payloads)))
    return Batch(payloads, draw(st.none() | PROPERTIES), own)


class BoundTests(SynchronousTestCase):
    """Pulls and peeks in binary frames."""

    def broker(self, max_batch_bytes: int) -> Broker:
        """A broker whose queues keep dead letters."""
        broker = Broker(limits=Limits(max_batch_bytes=max_batch_bytes), first_receipt=(1 << 62) - 1)
        broker.set_policy(SetPolicy(QUEUE, Policy(dedup_window_ms=0)), NOW_MS)
        return broker

    def assert_fits(self, deliveries: Deliveries, max_batch_bytes: int) -> None:
        """Unless it is a single message."""
        size = len(write_reply(MOST_REQUESTS, deliveries, BINARY))
        if len(deliveries.batch.payloads) > 1:
            self.assertLessEqual(size, max_batch_bytes)

    def use_up(self, broker: Broker, queue: str, bound: int, **more: Any) -> int:
        """Take everything that is ready; the messages of the fullest pull."""
        fullest = 0
        while broker.get_queue(GetQueue(queue), NOW_MS).ready:
            self.assert_fits(broker.peek(Peek(queue, 1000), NOW_MS), bound)
            got = broker.pull(Pull((queue,), 1000, with_enqueued_at=True, **more), NOW_MS)
            self.assert_fits(got, bound)
            fullest = max(fullest, len(got.batch.payloads))
        return fullest

    @given(st.lists(batches(), min_size=1, max_size=4), st.integers(12 * REJECTION_BYTES, 3000), st.booleans())
    @settings(deadline=None, max_examples=150)
    def test_any_messages(self, published: list[Batch], bound: int, is_buried: bool) -> None:
        """New ones, those that were delivered before, and dead letters, with whatever properties they have."""
        broker = self.broker(bound)
        for batch in published:
            broker.publish(Publish(QUEUE, batch), NOW_MS)
        first = broker.pull(Pull((QUEUE,), 7), NOW_MS)
        held = (first.first_receipt, first.first_receipt + len(first.batch.payloads) - 1)
        broker.settle(Settle(QUEUE, [held], Action.NACK, 0), NOW_MS)
        if is_buried:
            got = broker.pull(Pull((QUEUE,), 9), NOW_MS)
            held = (got.first_receipt, got.first_receipt + len(got.batch.payloads) - 1)
            broker.settle(Settle(QUEUE, [held], Action.DEAD_LETTER, reason="é" * 30), NOW_MS)
            self.use_up(broker, DEAD, bound)
        self.use_up(broker, QUEUE, bound)

    def test_short_messages_with_many_headers(self) -> None:
        """As a queue of them is under the bound that there really is: each frame is nearly full, and none too long."""
        bound = Limits().max_batch_bytes
        headers = {f"{each}": "" for each in range(40)}
        batch = Batch([b""] * 20_000, None, {index: Properties(headers=headers) for index in range(20_000)})
        broker = self.broker(bound)
        broker.publish(Publish(QUEUE, batch), NOW_MS)
        got = broker.pull(Pull((QUEUE,), 20_000, delivery=Delivery.TAKEN, with_enqueued_at=True), NOW_MS)
        size = len(write_reply(MOST_REQUESTS, got, BINARY))
        self.assertLess(len(got.batch.payloads), 20_000)
        self.assertLessEqual(size, bound)
        self.assertGreater(size, bound // 3)

    def test_a_batch_that_is_refused(self) -> None:
        """As many messages as there may be, for whatever reason: a reply that says so of each, in short frames too."""
        late = Properties(delay_ms=(1 << 64) - 1)
        for bound in (Limits().max_batch_bytes, LEAST_BATCH_BYTES):
            broker = self.broker(bound)
            count = min(MOST_PUBLISHED, bound // REJECTION_BYTES)
            broker.set_policy(SetPolicy(QUEUE, Policy(capacity=1)), NOW_MS)
            each = {index: Properties(delay_ms=(1 << 63) + index) for index in range(count)}
            long = Batch([b"xx"] * count)
            for batch, is_atomic in (
                (Batch([b""] * count), False),
                (Batch([b""] * count, late), False),
                (Batch([b""] * count, late, {count - 1: Properties(delay_ms=1)}), True),
                (Batch([b""] * count, None, each), False),
                (long, False),
            ):
                broker._directory.limits = Limits(max_batch_bytes=bound, max_message_bytes=1 if batch is long else 9)
                reply = broker.publish(Publish(QUEUE, batch, b"", is_atomic), NOW_MS)
                self.assertGreaterEqual(len(reply.rejections), count - 1)
                self.assertLessEqual(len(write_reply(MOST_REQUESTS, reply, BINARY)), bound)

    def test_words(self) -> None:
        """The first hundred that are refused are told in words; of each the rest is there."""
        many = {index: Properties(priority=10 + index) for index in range(200)}
        reply = self.broker(1 << 20).publish(Publish(QUEUE, Batch([b""] * 200, None, many)), NOW_MS)
        _, told = read_reply(write_reply(1, reply, BINARY), BINARY)
        self.assertEqual([each.index for each in told.rejections], list(range(200)))
        self.assertEqual({type(each.error) for each in told.rejections}, {InvalidArgument})
        self.assertEqual(str(told.rejections[MOST_WORDED - 1].error), "priority is 109, expected 0 to 9")
        self.assertEqual(str(told.rejections[MOST_WORDED].error), "INVALID_ARGUMENT")

    def test_very_many_empty_messages(self) -> None:
        """Which came back, so that each has a count."""
        bound = 20_000
        broker = self.broker(bound)
        for _ in range(10):
            broker.publish(Publish(QUEUE, Batch([b""] * (bound // REJECTION_BYTES))), NOW_MS)
        for _ in range(300):
            got = broker.pull(Pull((QUEUE,), 5000, with_enqueued_at=True), NOW_MS)
            held = (got.first_receipt, got.first_receipt + len(got.batch.payloads) - 1)
            broker.settle(Settle(QUEUE, [held], Action.NACK, 0), NOW_MS)
        self.assertGreater(max(got.delivery_counts or ()), 127)
        self.assert_fits(got, bound)
        self.assertGreater(len(got.batch.payloads), 500)
