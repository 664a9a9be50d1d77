"""MessageQueue beyond the contract: the default bound, bad bounds, threads, and a naive model as the judge."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.messages import Message, payload_of
from quickpulse.queues.memory import MessageQueue


class BoundTests(SynchronousTestCase):
    """The bounds that a queue is made with."""

    def test_a_million_by_default(self) -> None:
        """The 1,000,001st message is refused with the contract's text, and accepted after one was taken."""
        queue = MessageQueue()
        self.assertEqual(queue.capacity, 1_000_000)
        self.assertEqual(queue.enqueue_many([b"x"] * 999_999), 999_999)
        queue.enqueue(b"the millionth")
        error = self.assertRaises(QueueFull, queue.enqueue, b"one more")
        self.assertEqual(str(error), "queue is full")
        self.assertEqual(queue.depth, 1_000_000)
        self.assertEqual(queue.dequeue(), b"x")
        queue.enqueue(b"one more")
        self.assertRaises(QueueFull, queue.enqueue, b"and another")

    def test_bounds_that_make_no_sense(self) -> None:
        """Less than one message or one byte is refused, and the error says the least."""
        for bounds, text in (
            ((0,), "capacity is 0, the least is 1 message"),
            ((-1,), "capacity is -1, the least is 1 message"),
            ((1, 0), "capacity_bytes is 0, the least is 1 byte (None: no bound)"),
            ((1, -5), "capacity_bytes is -5, the least is 1 byte (None: no bound)"),
        ):
            self.assertEqual(str(self.assertRaises(ValueError, MessageQueue, *bounds)), text)

    def test_the_smallest_queue(self) -> None:
        """One message of one byte."""
        queue = MessageQueue(1, 1)
        queue.enqueue(b"x")
        self.assertEqual(queue.exchange_many([b"y", b"z", b"too long"]), [b"x", b"y"])
        self.assertEqual(queue.dequeue(), b"z")


class ThreadTests(SynchronousTestCase):
    """Any number of threads share a queue, switching as often as the interpreter can."""

    def setUp(self) -> None:
        """Switch threads every microsecond; as before afterwards."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)

    def run_threads(self, *works: Callable[[], None]) -> None:
        """Run each in a thread of its own, until all are done."""
        failures: list[BaseException] = []

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(failures, [])
        self.assertFalse(any(thread.is_alive() for thread in threads), "a thread did not end")

    def share(self, producers: int, consumers: int, count: int, queue: MessageQueue) -> None:
        """Each producer puts in `count` payloads of its own, by all three ways; the consumers take all of them."""
        total = producers * count
        taken: list[list[bytes]] = [[] for _ in range(producers + consumers)]
        remaining = threading.Semaphore(total)

        def produce(number: int) -> None:
            ours = [b"%d:%d" % (number, index) for index in range(count)]
            while ours:
                way = len(ours) % 3
                if way == 0:
                    accepted = queue.enqueue_many(ours[:5])
                    del ours[:accepted]
                elif way == 1 and remaining.acquire(blocking=False):
                    taken[number] += queue.exchange_many(ours[:1])
                    del ours[0]
                else:
                    try:
                        queue.enqueue(ours[0])
                        del ours[0]
                    except QueueFull:
                        pass

        def consume(number: int) -> None:
            while remaining.acquire(blocking=False):
                while True:
                    try:
                        taken[number].append(queue.dequeue())
                        break
                    except QueueEmpty:
                        pass

        self.run_threads(
            *(lambda number=number: produce(number) for number in range(producers)),
            *(lambda number=number: consume(number) for number in range(producers, producers + consumers)),
        )
        self.check(taken, producers, count, queue)

    def check(self, taken: list[list[bytes]], producers: int, count: int, queue: MessageQueue) -> None:
        """All of them once, each reader's in the order of each producer, and the counts say the same."""
        expected = sorted(b"%d:%d" % (number, index) for number in range(producers) for index in range(count))
        self.assertEqual(sorted(payload for one in taken for payload in one), expected)
        for one in taken:
            last = [-1] * producers
            for payload in one:
                producer, index = map(int, payload.split(b":"))
                self.assertGreater(index, last[producer])
                last[producer] = index
        now = queue.statistics()
        self.assertEqual((now.depth, now.size_bytes), (0, 0))
        self.assertEqual((now.enqueued, now.dequeued), (producers * count,) * 2)

    def test_four_and_four(self) -> None:
        """Eight threads, room for all: none lost, none doubled, none out of order."""
        self.share(4, 4, 1500, MessageQueue())

    def test_eight_and_eight_in_a_small_queue(self) -> None:
        """Sixteen threads that meet full and empty all the time."""
        self.share(8, 8, 300, MessageQueue(capacity=7))

    def test_single_calls_keep_the_figures(self) -> None:
        """Sixteen threads, one message a call, nothing between the calls: counts and bytes add up to the last one.

        The length of a Message is asked for in Python, where threads may switch: in the middle of a sum.
        """
        queue = MessageQueue()
        calls = 2000
        queue.enqueue_many([Message(b"12345")] * (8 * calls))

        def produce() -> None:
            for _ in range(calls):
                queue.enqueue(Message(b"123"))

        def consume() -> None:
            for _ in range(calls):
                queue.dequeue()

        def exchange() -> None:
            for _ in range(calls):
                queue.exchange_many((Message(b"1"),))

        self.run_threads(*[produce] * 4, *[consume] * 8, *[exchange] * 4)
        now = queue.statistics()
        self.assertEqual((now.depth, now.enqueued, now.dequeued), (4 * calls, 16 * calls, 12 * calls))
        self.assertEqual(now.size_bytes, sum(map(len, queue.dequeue_many(16 * calls))))

    def test_batches_keep_the_figures(self) -> None:
        """The same by batches, in and out."""
        queue = MessageQueue()
        batch = [Message(b"123")] * 10
        queue.enqueue_many(batch * 800)

        def produce() -> None:
            for _ in range(200):
                queue.enqueue_many(batch)

        def consume() -> None:
            for _ in range(200):
                queue.dequeue_many(10)

        self.run_threads(*[produce] * 4, *[consume] * 4)
        now = queue.statistics()
        self.assertEqual((now.depth, now.enqueued, now.dequeued), (8000, 16_000, 8000))
        self.assertEqual(now.size_bytes, 24_000)

    def test_batches_stay_together(self) -> None:
        """Nothing of another caller comes between the messages of one batch."""
        queue = MessageQueue()
        batches = 200

        def produce(number: int) -> None:
            for index in range(batches):
                queue.enqueue_many([b"%d:%d:%d" % (number, index, place) for place in range(5)])

        self.run_threads(*(lambda number=number: produce(number) for number in range(8)))
        taken = queue.dequeue_many(8 * batches * 5)
        for start in range(0, len(taken), 5):
            batch = taken[start : start + 5]
            name = batch[0].rpartition(b":")[0]
            self.assertEqual(batch, [b"%b:%d" % (name, place) for place in range(5)])


ITEMS = st.one_of(
    st.binary(max_size=6), st.builds(Message, st.binary(max_size=6), st.none() | st.text(alphabet="ab", max_size=2))
)


class Model(RuleBasedStateMachine):
    """A list, message by message, as the contract's words say it; no batches and no shortcuts."""

    @initialize(capacity=st.integers(1, 5), capacity_bytes=st.none() | st.integers(1, 16))
    def make(self, capacity: int, capacity_bytes: int | None) -> None:
        """Both, with the same bounds."""
        self.capacity, self.capacity_bytes = capacity, capacity_bytes
        self.queue = MessageQueue(capacity, capacity_bytes)
        self.held: list[Any] = []
        self.counts = [0, 0, 0]

    def fits(self, held: list[Any]) -> bool:
        """Whether the bounds allow these."""
        size = sum(len(payload_of(item)) for item in held)
        return len(held) <= self.capacity and (self.capacity_bytes is None or size <= self.capacity_bytes)

    @rule(item=ITEMS)
    def enqueue(self, item: Any) -> None:
        """One in."""
        if self.fits([*self.held, item]):
            self.queue.enqueue(item)
            self.held.append(item)
            self.counts[0] += 1
        else:
            self.counts[2] += 1
            try:
                self.queue.enqueue(item)
            except QueueFull:
                return
            raise AssertionError("accepted over a bound")

    @rule(items=st.lists(ITEMS, max_size=7))
    def enqueue_many(self, items: list[Any]) -> None:
        """A batch in: one after the other, up to the first that does not fit."""
        accepted = 0
        while accepted < len(items) and self.fits([*self.held, items[accepted]]):
            self.held.append(items[accepted])
            accepted += 1
        self.counts[0] += accepted
        self.counts[2] += len(items) - accepted
        assert self.queue.enqueue_many(items) == accepted

    @rule()
    def dequeue(self) -> None:
        """One out."""
        if self.held:
            assert self.queue.dequeue() == self.held.pop(0)
            self.counts[1] += 1
        else:
            try:
                self.queue.dequeue()
            except QueueEmpty:
                return
            raise AssertionError("something out of nothing")

    @rule(count=st.integers(-1, 8))
    def dequeue_many(self, count: int) -> None:
        """A batch out."""
        expected = [self.held.pop(0) for _ in range(min(max(count, 0), len(self.held)))]
        self.counts[1] += len(expected)
        assert self.queue.dequeue_many(count) == expected

    @rule(items=st.lists(ITEMS, max_size=7))
    def exchange_many(self, items: list[Any]) -> None:
        """The oldest first, then the new one, if what is then held is within the bounds."""
        expected = []
        for item in items:
            if not self.fits([*self.held[1:], item]):
                self.counts[2] += 1
                break
            self.held.append(item)
            expected.append(self.held.pop(0))
        self.counts[0] += len(expected)
        self.counts[1] += len(expected)
        assert self.queue.exchange_many(items) == expected

    @invariant()
    def agrees(self) -> None:
        """Every figure."""
        if not hasattr(self, "queue"):
            return
        now = self.queue.statistics()
        assert (now.depth, self.queue.depth) == (len(self.held), len(self.held))
        assert now.size_bytes == sum(len(payload_of(item)) for item in self.held)
        assert [now.enqueued, now.dequeued, now.refused] == self.counts


CALLS = st.lists(st.one_of(st.just(None), ITEMS, st.tuples(ITEMS)), max_size=25)
"""Take one; put one in; exchange one."""


def outcome_of(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives, or the text of its refusal."""
    try:
        return call(*arguments)
    except (QueueFull, QueueEmpty) as error:
        return str(error)


class ModelTests(SynchronousTestCase):
    """The queue against the model."""

    def test_one_is_a_batch_of_one(self) -> None:
        """Single calls, which have code of their own, do what batches of one do, and count the same."""

        @settings(max_examples=150, deadline=None)
        @given(capacity=st.integers(1, 4), capacity_bytes=st.none() | st.integers(1, 12), calls=CALLS)
        def check(capacity: int, capacity_bytes: int | None, calls: list[Any]) -> None:
            single, batch = MessageQueue(capacity, capacity_bytes), MessageQueue(capacity, capacity_bytes)
            for call in calls:
                if call is None:
                    taken = batch.dequeue_many(1)
                    assert outcome_of(single.dequeue) == (taken[0] if taken else "queue is empty")
                elif isinstance(call, tuple):
                    assert single.exchange_many(call) == batch.exchange_many(list(call))
                else:
                    accepted = batch.enqueue_many([call])
                    assert outcome_of(single.enqueue, call) == (None if accepted else "queue is full")
                assert single.statistics() == batch.statistics()

        check()

    def test_whatever_is_asked(self) -> None:
        """Any sequence of calls, at any bounds, gives what the model gives."""
        run_state_machine_as_test(Model, settings=settings(max_examples=150, stateful_step_count=30, deadline=None))
