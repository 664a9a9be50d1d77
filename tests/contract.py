"""What every provider of a port promises, as mixins: a provider's test class says how to make one, and inherits.

A queue answers now or later; `outcome` waits in the way of the provider under test, so that each story reads the same.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.interfaces import IMessageQueue, IMetricsCollector, QueueStatistics
from quickpulse.messages import Message

CAPACITY = 4
"""Messages; small, so that full is near."""

STRANGE = ("text", bytearray(b"may change"), memoryview(b"view"), None, 7)
"""What no queue takes."""


class QueueContract:
    """Of IMessageQueue, bounded in messages. A subclass makes the queue, and waits where it answers later."""

    def make_queue(self, capacity: int) -> Any:
        """An empty queue of this capacity."""
        raise NotImplementedError

    def wait(self, deferred: Deferred) -> None:
        """Let time pass until `deferred` has fired."""

    knows_size = True
    """Whether the statistics say how many bytes are held; an adapted object may not know."""

    def setUp(self) -> None:
        """A queue for four messages."""
        self.queue = self.make_queue(CAPACITY)

    def outcome(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What a call gives, now or later; raises what it fails with."""
        result = call(*arguments)
        if not isinstance(result, Deferred):
            return result
        self.wait(result)
        results: list[Any] = []
        errors: list[BaseException] = []
        result.addCallbacks(results.append, lambda failure: errors.append(failure.value))
        if errors:
            raise errors[0]
        return results[0]

    def put(self, *messages: Any) -> int:
        """enqueue_many."""
        return self.outcome(self.queue.enqueue_many, list(messages))

    def take(self, count: int) -> list[Any]:
        """dequeue_many."""
        return self.outcome(self.queue.dequeue_many, count)

    def exchange(self, *messages: Any) -> list[Any]:
        """exchange_many."""
        return self.outcome(self.queue.exchange_many, list(messages))

    def assert_counts(self, depth: int, enqueued: int, dequeued: int, refused: int) -> None:
        """The queue's own figures."""
        now = self.queue.statistics()
        self.assertEqual(
            (now.depth, now.enqueued, now.dequeued, now.refused), (depth, enqueued, dequeued, refused), now
        )
        self.assertEqual(self.queue.depth, depth)

    def test_provides_the_interface(self) -> None:
        """It has each method and attribute of IMessageQueue, with the right parameters."""
        self.assertTrue(verifyObject(IMessageQueue, self.queue))

    def test_first_in_first_out(self) -> None:
        """What went in first comes out first."""
        for payload in (b"a", b"b", b"c"):
            self.assertIsNone(self.outcome(self.queue.enqueue, payload))
        self.assertEqual([self.outcome(self.queue.dequeue) for _ in range(3)], [b"a", b"b", b"c"])

    def test_order_over_singles_and_batches(self) -> None:
        """Single calls and batches share one order."""
        self.outcome(self.queue.enqueue, b"a")
        self.put(b"b", b"c")
        self.assertEqual(self.take(2), [b"a", b"b"])
        self.outcome(self.queue.enqueue, b"d")
        self.assertEqual(self.take(9), [b"c", b"d"])

    def test_calls_take_effect_in_their_order(self) -> None:
        """Three calls without waiting in between do what they would have done one by one."""
        put = self.queue.enqueue_many([b"a", b"b"])
        first = self.queue.dequeue()
        self.outcome(self.queue.enqueue, b"c")
        if isinstance(put, Deferred):
            put, first = self.successResultOf(put), self.successResultOf(first)
        self.assertEqual((put, first, self.take(9)), (2, b"a", [b"b", b"c"]))

    def test_a_full_queue_refuses(self) -> None:
        """One message too many is QueueFull with the contract's text, and changes nothing."""
        self.put(b"a", b"b", b"c", b"d")
        error = self.assertRaises(QueueFull, self.outcome, self.queue.enqueue, b"e")
        self.assertEqual(str(error), "queue is full")
        self.assert_counts(4, 4, 0, 1)
        self.assertEqual(self.take(9), [b"a", b"b", b"c", b"d"])

    def test_room_again(self) -> None:
        """After one was taken, one fits again."""
        self.put(b"a", b"b", b"c", b"d")
        self.assertEqual(self.outcome(self.queue.dequeue), b"a")
        self.outcome(self.queue.enqueue, b"e")
        self.assertRaises(QueueFull, self.outcome, self.queue.enqueue, b"f")

    def test_an_empty_queue_says_so(self) -> None:
        """Taking one from nothing is QueueEmpty with the contract's text."""
        error = self.assertRaises(QueueEmpty, self.outcome, self.queue.dequeue)
        self.assertEqual(str(error), "queue is empty")
        self.assert_counts(0, 0, 0, 0)

    def test_the_part_of_a_batch_that_fits(self) -> None:
        """Of five messages the first four are accepted, in order; the number says so."""
        self.assertEqual(self.put(b"a", b"b", b"c", b"d", b"e"), 4)
        self.assert_counts(4, 4, 0, 1)
        self.assertEqual(self.put(b"f", b"g"), 0)
        self.assert_counts(4, 4, 0, 3)
        self.assertEqual(self.take(9), [b"a", b"b", b"c", b"d"])

    def test_taking_many(self) -> None:
        """Up to the number asked for, oldest first; an empty list is no error."""
        self.put(b"a", b"b", b"c")
        self.assertEqual(self.take(2), [b"a", b"b"])
        self.assertEqual(self.take(2), [b"c"])
        self.assertEqual(self.take(2), [])
        self.assert_counts(0, 3, 3, 0)

    def test_batches_of_nothing(self) -> None:
        """No messages in, none or less than none out: nothing changes, a full queue included."""
        self.put(b"a", b"b", b"c", b"d")
        self.assertEqual(self.put(), 0)
        self.assertEqual(self.exchange(), [])
        self.assertEqual(self.take(0), [])
        self.assertEqual(self.take(-1), [])
        self.assert_counts(4, 4, 0, 0)

    def test_a_message_comes_back_as_it_was_put_in(self) -> None:
        """A Message with its id, one without, and plain bytes of the same payload stay what they are."""
        items = [Message(b"x", "42"), Message(b"x"), b"x", Message(b"", "")]
        self.put(*items)
        taken = self.take(9)
        self.assertEqual(taken, items)
        self.assertEqual([type(item) for item in taken], [Message, Message, bytes, Message])

    def test_an_empty_payload_is_a_message(self) -> None:
        """It takes a place, and comes out."""
        self.assertEqual(self.put(b"", b"", b"", b"", b""), 4)
        self.assertEqual(self.outcome(self.queue.dequeue), b"")
        self.assertEqual(self.take(9), [b""] * 3)

    def test_bytes_come_back_exactly(self) -> None:
        """NUL, every byte value, invalid UTF-8, and a long one."""
        payloads = [b"\0", bytes(range(256)), b"\xff\xfe\x00\xc3", b"\x00long" * 20_000]
        self.put(*payloads)
        self.assertEqual(self.take(9), payloads)

    def test_other_types_are_refused(self) -> None:
        """A TypeError that names the type; nothing of the batch is put in."""
        for strange in STRANGE:
            for call, argument in (
                (self.queue.enqueue, strange),
                (self.queue.enqueue_many, [b"fine", strange]),
                (self.queue.exchange_many, [strange]),
                (self.queue.exchange_many, [b"fine", strange]),
            ):
                error = self.assertRaises(TypeError, self.outcome, call, argument)
                self.assertEqual(str(error), f"a queue takes bytes or Message, not {type(strange).__name__}")
        self.assert_counts(0, 0, 0, 0)

    def test_bytes_are_no_batch(self) -> None:
        """One payload given as a batch is a mistake, and not a batch of integers."""
        self.assertRaises(TypeError, self.outcome, self.queue.enqueue_many, b"payload")

    def test_exchange_in_an_empty_queue(self) -> None:
        """What was put in comes back at once, message by message."""
        self.assertEqual(self.exchange(b"a", Message(b"b", "2")), [b"a", Message(b"b", "2")])
        self.assert_counts(0, 2, 2, 0)

    def test_exchange_keeps_the_depth(self) -> None:
        """Half full: the oldest come out, the new ones stay, the depth is as before."""
        self.put(b"a", b"b")
        self.assertEqual(self.exchange(b"c", b"d", b"e"), [b"a", b"b", b"c"])
        self.assert_counts(2, 5, 3, 0)
        self.assertEqual(self.take(9), [b"d", b"e"])

    def test_exchange_one(self) -> None:
        """A batch of one at any depth."""
        for depth in range(CAPACITY + 1):
            queue = self.queue = self.make_queue(CAPACITY)
            items = [b"%d" % number for number in range(depth + 1)]
            self.put(*items[:depth])
            self.assertEqual(self.exchange(items[depth]), items[:1])
            self.assertEqual(queue.depth, depth)
            self.assertEqual(self.take(9), items[1:])

    def test_exchange_in_a_full_queue(self) -> None:
        """The oldest makes room first: nothing is refused, nothing is lost."""
        self.put(b"a", b"b", b"c", b"d")
        self.assertEqual(self.exchange(b"e"), [b"a"])
        self.assertEqual(self.exchange(b"f", b"g"), [b"b", b"c"])
        self.assert_counts(4, 7, 3, 0)
        self.assertEqual(self.take(9), [b"d", b"e", b"f", b"g"])

    def test_exchange_more_than_the_capacity(self) -> None:
        """A batch longer than the queue goes through it."""
        self.put(b"a")
        batch = [b"%d" % number for number in range(10)]
        self.assertEqual(self.exchange(*batch), [b"a", *batch[:-1]])
        self.assert_counts(1, 11, 10, 0)

    def test_statistics(self) -> None:
        """A frozen snapshot, at once: sizes are of the payloads, and later calls do not change it."""
        self.put(b"abc", Message(b"de", "ignored"), b"")
        before = self.queue.statistics()
        self.take(1)
        after = self.queue.statistics()
        self.assertIsInstance(before, QueueStatistics)
        self.assertEqual((before.depth, before.enqueued, before.dequeued), (3, 3, 0))
        self.assertEqual((after.depth, after.enqueued, after.dequeued), (2, 3, 1))
        self.assertEqual((before.size_bytes, after.size_bytes), (5, 2) if self.knows_size else (None, None))
        self.assertRaises(AttributeError, setattr, before, "depth", 7)

    def test_capacity(self) -> None:
        """The attribute, the statistics and what fits agree."""
        self.assertEqual(self.queue.capacity, CAPACITY)
        self.assertEqual(self.queue.statistics().capacity, CAPACITY)
        self.assertEqual(self.put(*[b"x"] * 9), CAPACITY)

    def test_depth_is_a_plain_int(self) -> None:
        """Also where answers come later."""
        self.put(b"a", b"b")
        self.assertIs(type(self.queue.depth), int)
        self.assertEqual(self.queue.depth, 2)


class ByteBoundContract(QueueContract):
    """Of IMessageQueue with a bound in bytes beside the one in messages."""

    def make_queue(self, capacity: int, capacity_bytes: int | None = None) -> Any:
        """An empty queue of these bounds."""
        raise NotImplementedError

    def bounded(self, capacity_bytes: int, *messages: Any, capacity: int = 100) -> None:
        """A queue of so many bytes, with these messages in it."""
        self.queue = self.make_queue(capacity, capacity_bytes)
        self.assertEqual(self.put(*messages), len(messages))

    def assert_size(self, size_bytes: int) -> None:
        """The sum of the payloads."""
        self.assertEqual(self.queue.statistics().size_bytes, size_bytes)

    def test_exactly_fits(self) -> None:
        """The last byte of the bound is used; one byte more is refused, an empty message is not."""
        self.bounded(10, b"12345")
        self.outcome(self.queue.enqueue, b"67890")
        self.assert_size(10)
        self.assertRaises(QueueFull, self.outcome, self.queue.enqueue, b"!")
        self.outcome(self.queue.enqueue, b"")
        self.assert_size(10)
        self.assertEqual(self.queue.statistics().capacity_bytes, 10)

    def test_a_message_over_the_bound(self) -> None:
        """One byte longer than the whole bound never fits, and leaves the queue as it was."""
        self.bounded(10)
        error = self.assertRaises(QueueFull, self.outcome, self.queue.enqueue, Message(b"12345678901", "id"))
        self.assertEqual(str(error), "queue is full")
        self.assertEqual(self.exchange(b"12345678901"), [])
        self.assert_counts(0, 0, 0, 2)

    def test_the_prefix_that_fits_in_bytes(self) -> None:
        """The first that does not fit ends the batch, even if a later one would fit."""
        self.bounded(10)
        self.assertEqual(self.put(b"1234", b"5678", b"too long", b"9"), 2)
        self.assert_counts(2, 2, 0, 2)
        self.assert_size(8)

    def test_the_prefix_by_whichever_bound_is_nearer(self) -> None:
        """Messages or bytes: the nearer one decides."""
        self.bounded(10, capacity=2)
        self.assertEqual(self.put(b"1", b"2", b"3"), 2)
        self.bounded(2, capacity=9)
        self.assertEqual(self.put(b"1", b"2", b"3"), 2)

    def test_taking_gives_bytes_back(self) -> None:
        """Room in bytes is there again after a take."""
        self.bounded(10, b"1234567890")
        self.assertEqual(self.outcome(self.queue.dequeue), b"1234567890")
        self.assert_size(0)
        self.outcome(self.queue.enqueue, b"0987654321")

    def test_an_exchange_needs_the_room_that_the_oldest_leaves(self) -> None:
        """Full in bytes: as long as the oldest passes, one byte more does not, and nothing is taken for it."""
        self.bounded(10, b"12345", b"67890")
        self.assertEqual(self.exchange(b"abcde"), [b"12345"])
        self.assertEqual(self.exchange(b"abcdef"), [])
        self.assert_counts(2, 3, 1, 1)
        self.assertEqual(self.take(9), [b"67890", b"abcde"])

    def test_the_bound_stops_an_exchange_in_the_middle(self) -> None:
        """What was exchanged before it is answered; from it on nothing was put in or taken."""
        self.bounded(10, b"12345", b"67890")
        self.assertEqual(self.exchange(b"a", b"1234567890", b"b"), [b"12345"])
        self.assert_counts(2, 3, 1, 1)
        self.assert_size(6)
        self.assertEqual(self.take(9), [b"67890", b"a"])

    def test_an_exchange_in_a_queue_full_both_ways(self) -> None:
        """At both bounds, an exchange of the same length works."""
        self.bounded(4, b"12", b"34", capacity=2)
        self.assertEqual(self.exchange(b"56", b"78", b"90"), [b"12", b"34", b"56"])
        self.assert_size(4)


class MetricsContract:
    """Of IMetricsCollector. A subclass makes a provider on a clock."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """A provider that has counted nothing, and takes its time from `clock`."""
        raise NotImplementedError

    def setUp(self) -> None:
        """A provider and its clock."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.metrics = self.make_metrics(self.clock.seconds)

    def throughputs(self) -> tuple[float, float]:
        """In and out."""
        return self.metrics.enqueue_throughput(), self.metrics.dequeue_throughput()

    def test_provides_the_interface(self) -> None:
        """It has each method of IMetricsCollector, with the right parameters, and its class says so."""
        self.assertTrue(verifyObject(IMetricsCollector, self.metrics))
        self.assertTrue(verifyClass(IMetricsCollector, type(self.metrics)))

    def test_nothing_yet(self) -> None:
        """Before the first message both throughputs are 0."""
        self.assertEqual(self.throughputs(), (0.0, 0.0))

    def test_one_or_many(self) -> None:
        """A call without a count is one message; both ways are counted apart."""
        self.metrics.increment_enqueue()
        self.metrics.increment_enqueue(4)
        self.metrics.increment_dequeue()
        self.metrics.increment_dequeue(2)
        self.assertEqual(self.throughputs(), (5.0, 3.0))

    def test_a_second_later_it_is_forgotten(self) -> None:
        """Throughput is of the last second only."""
        self.metrics.increment_enqueue(10)
        self.metrics.increment_dequeue(10)
        self.clock.advance(0.5)
        self.metrics.increment_enqueue(1)
        self.assertEqual(self.throughputs(), (11.0, 10.0))
        self.clock.advance(0.6)
        self.assertEqual(self.throughputs(), (1.0, 0.0))
        self.clock.advance(1.0)
        self.assertEqual(self.throughputs(), (0.0, 0.0))

    def test_what_is_told_beside_the_counts(self) -> None:
        """Latency and depth are taken at any value, and change no throughput."""
        for seconds in (0.0, 1e-9, 0.5, 3600.0):
            self.metrics.observe_enqueue_latency(seconds)
            self.metrics.observe_enqueue_latency(seconds, 1000)
        for depth in (0, 1_000_000, 0):
            self.metrics.set_queue_depth(depth)
        self.assertEqual(self.throughputs(), (0.0, 0.0))


@implementer(IMessageQueue)
class LateQueue:
    """An IMessageQueue around another one: does what is asked, and answers, one second later."""

    def __init__(self, original: Any, clock: Clock) -> None:
        self.original = original
        self.clock = clock

    @property
    def depth(self) -> int:
        return self.original.depth

    @property
    def capacity(self) -> int | None:
        return self.original.capacity

    def statistics(self) -> QueueStatistics:
        return self.original.statistics()

    def enqueue(self, message: Any) -> Deferred:
        return deferLater(self.clock, 1, self.original.enqueue, message)

    def dequeue(self) -> Deferred:
        return deferLater(self.clock, 1, self.original.dequeue)

    def enqueue_many(self, messages: Any) -> Deferred:
        return deferLater(self.clock, 1, self.original.enqueue_many, messages)

    def dequeue_many(self, count: int) -> Deferred:
        return deferLater(self.clock, 1, self.original.dequeue_many, count)

    def exchange_many(self, messages: Any) -> Deferred:
        return deferLater(self.clock, 1, self.original.exchange_many, messages)


class ThreadsReactor:
    """As much of a reactor as a thread needs to hand back a result; the test's thread picks the results up."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], Any]] = queue.Queue()

    def callFromThread(self, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
        """Keep a call for `run_until`."""
        self._calls.put(lambda: call(*arguments, **keywords))

    def run_until(self, deferred: Deferred) -> None:
        """Run what threads hand over until `deferred` has fired; queue.Empty if nothing comes in 30 s."""
        while not deferred.called:
            self._calls.get(timeout=30)()
