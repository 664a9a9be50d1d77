"""Requests that are too long for a frame, in parts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import batching
from quickpulse.client.batching import MOST_IN_PART, MOST_ON_THEIR_WAY, REJECTION_BYTES, Parts, split
from quickpulse.client.errors import ConnectionLost, Timeout
from quickpulse.errors import NotFound, QueueFull, RequestTooLarge
from quickpulse.requests import (
    Action,
    Batch,
    GetQueue,
    Properties,
    Publish,
    PublishReply,
    Pull,
    Rejection,
    Settle,
    SettleReply,
)
from quickpulse.wire.v1.frames import BINARY, write_request
from tests.client.worlds import World

MOST_BYTES = 2_000

TEXTS = st.text(max_size=50)
PROPERTIES = st.builds(
    Properties,
    TEXTS,
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    TEXTS,
    st.integers(0, 9),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    TEXTS,
    TEXTS,
    TEXTS,
)
MESSAGES = st.lists(st.tuples(st.binary(max_size=300), st.none() | PROPERTIES), min_size=1, max_size=40)


class PublishTests(SynchronousTestCase):
    """Batches."""

    @settings(deadline=None)
    @given(MESSAGES, st.none() | PROPERTIES, st.integers(1_000, 6_000))
    def test_all_of_it(self, messages: list[tuple[bytes, Properties | None]], common: Any, max_bytes: int) -> None:
        """Each message is in one part, in its order and with what it has; each part of many fits into a frame."""
        own = {index: each for index, (_, each) in enumerate(messages) if each is not None}
        payloads = [payload for payload, _ in messages]
        parts = split(Publish("q", Batch(payloads, common, own), b"key"), max_bytes)
        self.assertEqual([payload for part in parts for payload in part.batch.payloads], payloads)
        found = [part.batch.properties.get(at) for part in parts for at in range(len(part.batch.payloads))]
        self.assertEqual(found, [each for _, each in messages])
        for part in parts:
            self.assertEqual(part.batch.common, common)
            if len(part.batch.payloads) > 1:
                self.assertLessEqual(len(write_request(1 << 31, part, BINARY)), max_bytes)

    def test_keys(self) -> None:
        """The same for the same part each time, and no other; without one there is none."""
        request = Publish("q", Batch([bytes(1_000)] * 10), b"key")
        keys = [part.batch_key for part in split(request, 3_000)]
        self.assertEqual(keys, [part.batch_key for part in split(request, 3_000)])
        self.assertGreater(len(keys), 1)
        self.assertEqual(len(set(keys)), len(keys))
        self.assertTrue(all(key.startswith(b"key") for key in keys))
        self.assertEqual({part.batch_key for part in split(Publish("q", request.batch), 3_000)}, {b""})

    def test_no_part_has_too_many(self) -> None:
        """However short its messages are."""
        parts = split(Publish("q", Batch([b""] * (2 * MOST_IN_PART + 1))), 1 << 30)
        self.assertEqual([len(part.batch.payloads) for part in parts], [MOST_IN_PART, MOST_IN_PART, 1])

    def test_short_frames(self) -> None:
        """A server takes no more messages than it could refuse in one frame."""
        parts = split(Publish("q", Batch([b""] * 250)), 100 * REJECTION_BYTES)
        self.assertEqual([len(part.batch.payloads) for part in parts], [100, 100, 50])

    def test_few_parts(self) -> None:
        """A frame is filled before the next one begins."""
        parts = split(Publish("q", Batch([bytes(100)] * 10_000), b"key"), 100_000)
        self.assertLess(len(parts), 13)

    def test_whole_only(self) -> None:
        """What cannot be split is not."""
        self.assertEqual(split(Publish("q", Batch([bytes(1_000)] * 10), b"key", True), 3_000), [])
        self.assertEqual(split(GetQueue("q"), 10), [])
        self.assertEqual(len(split(Publish("q", Batch([bytes(10_000)])), 3_000)), 1)


class SettleTests(SynchronousTestCase):
    """Many ranges."""

    def test_ranges(self) -> None:
        """Each is in one part, and each part fits."""
        ranges = [((1 << 62) + 2 * each, (1 << 62) + 2 * each) for each in range(1_000)]
        parts = split(Settle("q", ranges, Action.NACK, 7, 8, "why"), 5_000)
        self.assertEqual([each for part in parts for each in part.receipts], ranges)
        for part in parts:
            self.assertEqual(
                (part.queue, part.action, part.delay_ms, part.lease_ms, part.reason), ("q", Action.NACK, 7, 8, "why")
            )
            self.assertLessEqual(len(write_request(1 << 31, part, BINARY)), 5_000)
        self.assertEqual(split(Settle("q", ranges), 10), [])


class PartsTests(SynchronousTestCase):
    """One reply for all."""

    def setUp(self) -> None:
        """Ten parts with two messages each."""
        self.whole: Any = Publish("q", Batch([b"x"] * 20))
        self.requests: list[Any] = [Publish("q", Batch([b"x"] * 2)) for _ in range(10)]
        self.asked: list[Any] = []
        self.replies: list[Any] = []

    def send(self, at_once: Any = None) -> None:
        """Begin; `at_once` is the reply that each part gets before `ask` returns."""

        def ask(_request: Any, done: Any) -> None:
            if at_once is None:
                self.asked.append(done)
            else:
                self.asked.append(None)
                done(at_once)

        Parts(self.whole, self.requests, ask, self.replies.append).send()

    def test_all_accepted(self) -> None:
        """A few are on their way at a time; sequences that follow each other are one range."""
        self.send()
        self.assertEqual(len(self.asked), MOST_ON_THEIR_WAY)
        for at in range(10):
            self.assertEqual(self.replies, [])
            self.asked[at](PublishReply([(2 * at + 1, 2 * at + 2)]))
            self.assertEqual(len(self.asked), min(at + 1 + MOST_ON_THEIR_WAY, 10))
        self.assertEqual(self.replies, [PublishReply([(1, 20)], [], [])])

    def test_places(self) -> None:
        """Those of the whole, in order whatever came first."""
        self.requests = self.requests[:3]
        self.send()
        self.asked[2](PublishReply([(9, 9)], [0]))
        self.asked[1](PublishReply([(3, 3)], [], [Rejection(1, QueueFull())]))
        self.asked[0](PublishReply([(1, 2)]))
        (reply,) = self.replies
        self.assertEqual((reply.sequences, reply.duplicates), ([(1, 3), (9, 9)], [4]))
        self.assertEqual([(each.index, type(each.error)) for each in reply.rejections], [(3, QueueFull)])

    def test_failure(self) -> None:
        """The rest is not sent, and all of it has the same reason; what was on its way is waited for."""
        self.send()
        self.asked[0](PublishReply([(1, 2)]))
        self.asked[1](Timeout("late"))
        self.assertEqual((len(self.asked), self.replies), (5, []))
        for done in self.asked[2:]:
            done(PublishReply([(3, 4)]))
        (reply,) = self.replies
        self.assertEqual([each.index for each in reply.rejections], [2, 3, *range(10, 20)])
        self.assertEqual({type(each.error) for each in reply.rejections}, {Timeout})

    def test_nothing_but_failures(self) -> None:
        """It is the first one's."""
        self.send(Timeout("late"))
        self.assertEqual((len(self.asked), str(self.replies[0]), len(self.replies)), (1, "late", 1))

    def test_message_that_is_too_long(self) -> None:
        """It does not keep the others back; many of them neither."""
        self.requests *= 1_000
        self.send(RequestTooLarge("too long"))
        self.assertEqual((len(self.asked), len(self.replies)), (10_000, 1))
        self.assertIsInstance(self.replies[0], RequestTooLarge)
        self.setUp()
        self.requests = self.requests[:2]
        self.send()
        self.asked[0](RequestTooLarge("too long"))
        self.asked[1](PublishReply([(1, 2)]))
        self.assertEqual([each.index for each in self.replies[0].rejections], [0, 1])

    def test_settle(self) -> None:
        """Numbers are added up; a failure is one of the whole."""
        self.whole = Settle("q", [(1, 9)])
        self.requests = [Settle("q", [(1, 3)]), Settle("q", [(4, 9)])]
        self.send()
        self.asked[0](SettleReply(3))
        self.asked[1](SettleReply(4, [(8, 9)]))
        self.assertEqual(self.replies, [SettleReply(7, [(8, 9)])])
        self.setUp()
        self.whole = Settle("q", [(1, 9)])
        self.send(NotFound("q"))
        self.assertIsInstance(self.replies[0], NotFound)


class SessionTests(SynchronousTestCase):
    """A client's session splits what the server's frames do not hold."""

    def setUp(self) -> None:
        """A server whose frames hold 2,000 bytes, and a link that looks at them."""
        self.world = World()
        link = self.link = self.world.connect()
        link.max_batch_bytes = MOST_BYTES
        plain = link.send

        def send(request_id: int, request: Any) -> None:
            size = len(write_request(request_id, request, BINARY))
            if size > MOST_BYTES:
                raise RequestTooLarge(f"{size} bytes")
            plain(request_id, request)

        link.send = send

    def test_publish(self) -> None:
        """All of it is there in its order; a second time nothing more is, as the parts are known."""
        payloads = [b"%03d" % number * 50 for number in range(100)]
        request = Publish("q", Batch(payloads), b"key")
        for _ in range(2):
            (reply,) = self.world.ask(request)
            self.assertEqual((list(reply.sequences), list(reply.rejections)), ([(1, 100)], []))
        self.assertGreater(len(self.link.kinds(Publish)), 10)
        (deliveries,) = self.world.ask(Pull(("q",), 1_000))
        self.assertEqual(list(deliveries.batch.payloads), payloads)

    def test_very_many(self) -> None:
        """More than a server takes in one batch, though a frame would hold them; all or none of them it cannot be."""
        self.patch(batching, "MOST_IN_PART", 40)
        (reply,) = self.world.ask(Publish("q", Batch([b""] * 100), b"key"))
        self.assertEqual(list(reply.sequences), [(1, 100)])
        self.assertEqual([len(each.batch.payloads) for each in self.link.sent if type(each) is Publish], [40, 40, 20])
        (error,) = self.world.ask(Publish("q", Batch([b""] * 100), b"other", True))
        self.assertIsInstance(error, RequestTooLarge)

    def test_one_message_is_too_long(self) -> None:
        """The others are accepted."""
        (reply,) = self.world.ask(Publish("q", Batch([b"a", bytes(3_000), b"b"]), b"key"))
        self.assertEqual([(each.index, type(each.error)) for each in reply.rejections], [(1, RequestTooLarge)])
        (deliveries,) = self.world.ask(Pull(("q",), 1_000))
        self.assertEqual(list(deliveries.batch.payloads), [b"a", b"b"])

    def test_atomic(self) -> None:
        """It is refused: in parts it would not be."""
        (error,) = self.world.ask(Publish("q", Batch([bytes(1_000)] * 10), b"key", True))
        self.assertIsInstance(error, RequestTooLarge)
        self.assertIn("atomic", str(error))
        self.assertEqual(self.link.kinds(Publish), [])

    def test_acks(self) -> None:
        """Every other one of many: more ranges than a frame holds."""
        self.world.ask(Publish("q", Batch([b"x"] * 1_000), b"key"))
        (deliveries,) = self.world.ask(Pull(("q",), 1_000))
        first = deliveries.first_receipt
        (reply,) = self.world.ask(Settle("q", [(first + at, first + at) for at in range(0, 1_000, 2)]))
        self.assertEqual(reply, SettleReply(500, []))
        self.assertGreater(len(self.link.kinds(Settle)), 1)

    def test_given_up(self) -> None:
        """Of messages only what is on its way is stored; what was said of them is said to the end."""
        self.link.is_mute = True
        now, session = self.world.clock.seconds(), self.world.session
        payloads = [b"%03d" % number * 50 for number in range(100)]
        session.abandon(session.ask(Publish("q", Batch(payloads), b"key"), self.fail, now))
        self.link.is_mute = False
        self.world.read()
        self.assertEqual(len(self.link.kinds(Publish)), MOST_ON_THEIR_WAY)
        self.world.ask(Publish("q", Batch([b"x"] * 500), b"other"))
        (deliveries,) = self.world.ask(Pull(("q",), 1_000))
        first = deliveries.first_receipt
        ranges = [(first + at, first + at) for at in range(0, 500, 2)]
        session.abandon(session.ask(Settle("q", ranges), self.fail, now))
        self.world.read()
        (info,) = self.world.ask(GetQueue("q"))
        self.assertEqual(info.counts["acked"], 250)

    def test_without_a_connection(self) -> None:
        """Time that is up is told, also when a connection comes in that moment, before the timer."""
        self.world.lose(ConnectionLost("x"))
        replies = self.world.ask(GetQueue("q"), 1.0)
        self.world.clock.advance(1.5)
        self.world.connect()
        self.assertIsInstance(replies[0], Timeout)
