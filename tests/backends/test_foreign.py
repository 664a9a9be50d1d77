"""Adaptation: which objects become an IMessageQueue, and what happens when the adapted object fails or is shared."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

from quickpulse import IMessageQueue, MessageQueue, QueueEmpty, QueueFull
from quickpulse.backends.foreign import DequeQueue, DuckQueue, StandardQueue


class IOther(Interface):
    """Somebody else's interface."""


class AdaptationTests(SynchronousTestCase):
    """IMessageQueue(value)."""

    def test_each_kind_has_its_adapter(self) -> None:
        """A deque, a queue.Queue, and subclasses of them."""

        class OwnDeque(deque):
            """A subclass."""

        self.assertIs(type(IMessageQueue(deque())), DequeQueue)
        self.assertIs(type(IMessageQueue(OwnDeque())), DequeQueue)
        self.assertIs(type(IMessageQueue(queue.Queue())), StandardQueue)

    def test_a_provider_stays_what_it_is(self) -> None:
        """What already is an IMessageQueue is not wrapped again."""
        ours = MessageQueue()
        self.assertIs(IMessageQueue(ours), ours)
        adapter = IMessageQueue(deque())
        self.assertIs(IMessageQueue(adapter), adapter)

    def test_what_is_no_queue(self) -> None:
        """Without both methods there is nothing to adapt, and zope says so."""

        class OnlyIn:
            """A place where things get lost."""

            def enqueue(self, message: bytes) -> None:
                """Take it."""

        for value in ([], object(), OnlyIn(), None):
            self.assertRaises(TypeError, IMessageQueue, value)
            self.assertIsNone(IMessageQueue(value, None))

    def test_other_interfaces_are_none_of_ours(self) -> None:
        """The adapters answer for IMessageQueue only."""
        self.assertIsNone(IOther(deque(), None))

    def test_the_original_is_used(self) -> None:
        """What goes in by the adapter is in the adapted object, and the other way round."""
        original: deque[bytes] = deque([b"there before"])
        adapted = IMessageQueue(original)
        adapted.enqueue(b"new")
        self.assertEqual(list(original), [b"there before", b"new"])
        self.assertEqual(adapted.dequeue(), b"there before")
        self.assertEqual(adapted.statistics().size_bytes, 3)

    def test_unbounded(self) -> None:
        """No maxlen, and maxsize 0, are no bound."""
        for original in (deque(), queue.Queue()):
            adapted = IMessageQueue(original)
            self.assertIsNone(adapted.capacity)
            self.assertEqual(adapted.enqueue_many([b"x"] * 10_000), 10_000)

    def test_a_deque_for_nothing(self) -> None:
        """With maxlen 0 every message is refused, in an exchange too."""
        adapted = IMessageQueue(deque(maxlen=0))
        self.assertRaises(QueueFull, adapted.enqueue, b"x")
        self.assertEqual(adapted.exchange_many([b"x"]), [])
        self.assertEqual(adapted.statistics().refused, 2)

    def test_a_full_deque_drops_nothing(self) -> None:
        """A deque with maxlen throws its oldest away by itself: no call gets that far, single, batch or exchange."""
        original: deque[bytes] = deque([b"a", b"b", b"c"], maxlen=3)
        adapted = IMessageQueue(original)
        self.assertRaises(QueueFull, adapted.enqueue, b"d")
        self.assertEqual(adapted.enqueue_many([b"d", b"e"]), 0)
        self.assertEqual(list(original), [b"a", b"b", b"c"])
        self.assertEqual(adapted.exchange_many([b"d", b"e"]), [b"a", b"b"])
        self.assertEqual(list(original), [b"c", b"d", b"e"])

    def test_calls_beside_the_adapter(self) -> None:
        """Whoever holds the original puts in and takes out as before; the adapter sees it at once."""
        for original, put, take in (
            (deque(maxlen=2), deque.append, deque.popleft),
            (queue.Queue(2), queue.Queue.put_nowait, queue.Queue.get_nowait),
        ):
            adapted = IMessageQueue(original)
            put(original, b"a")
            put(original, b"b")
            self.assertEqual((adapted.depth, adapted.statistics().size_bytes), (2, 2))
            self.assertRaises(QueueFull, adapted.enqueue, b"c")
            self.assertEqual(take(original), b"a")
            self.assertEqual(adapted.enqueue_many([b"c", b"d"]), 1)
            self.assertEqual(adapted.dequeue_many(9), [b"b", b"c"])
            self.assertRaises(QueueEmpty, adapted.dequeue)


class Contested(deque):
    """A deque whose owner puts something in behind the adapter's back, each time when a place has become free."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.theirs: list[bytes] = []

    def popleft(self) -> bytes:
        """Take, and lose the place."""
        item = super().popleft()
        if self.theirs:
            self.append(self.theirs.pop(0))
        return item


class ContestedStandard(queue.Queue):
    """The same as a queue.Queue."""

    theirs: tuple[bytes, ...] = ()

    def get_nowait(self) -> Any:
        """Take, and lose the place."""
        item = super().get_nowait()
        for payload in self.theirs:
            self.put_nowait(payload)
        self.theirs = ()
        return item


class ContestedTests(SynchronousTestCase):
    """An exchange in a full queue took the oldest to make room, and somebody else used the room first."""

    def setUp(self) -> None:
        """A full deque; its owner is about to put one message in."""
        self.original = Contested([b"a", b"b"], 2)
        self.original.theirs = [b"theirs"]
        self.adapted = IMessageQueue(self.original)

    def test_nothing_is_lost(self) -> None:
        """The exchange ends there, refused; what it took comes first, and everything else in order after it."""
        self.assertEqual(self.adapted.exchange_many([b"c"]), [])
        now = self.adapted.statistics()
        self.assertEqual((now.depth, now.size_bytes), (3, 8))
        self.assertEqual((now.enqueued, now.dequeued, now.refused), (0, 0, 1))
        self.assertEqual(self.adapted.dequeue_many(9), [b"a", b"b", b"theirs"])
        self.assertEqual((self.adapted.depth, self.adapted.statistics().dequeued), (0, 3))

    def test_a_standard_queue_loses_nothing_either(self) -> None:
        """What waits aside counts in its depth and bytes too."""
        original = ContestedStandard(1)
        adapted = IMessageQueue(original)
        adapted.enqueue(b"a")
        original.theirs = (b"theirs",)
        self.assertEqual(adapted.exchange_many([b"c"]), [])
        now = adapted.statistics()
        self.assertEqual((now.depth, now.size_bytes, now.refused), (2, 7, 1))
        self.assertEqual(adapted.dequeue_many(9), [b"a", b"theirs"])

    def test_what_was_exchanged_before_is_answered(self) -> None:
        """The first of three loses no race; the second does, and neither it nor the third is put in."""
        self.original.theirs = []
        self.assertEqual(self.adapted.exchange_many([b"c"]), [b"a"])
        self.original.theirs = [b"theirs"]
        self.assertEqual(self.adapted.exchange_many([b"d", b"e"]), [])
        self.assertEqual(self.adapted.dequeue_many(9), [b"b", b"c", b"theirs"])

    def test_single_takes_see_it_first(self) -> None:
        """A dequeue gives what waits aside, and then there is room for an exchange again."""
        self.adapted.exchange_many([b"c"])
        self.assertEqual(self.adapted.dequeue(), b"a")
        self.assertEqual(self.adapted.exchange_many([b"d"]), [b"b"])
        self.assertEqual(self.adapted.dequeue_many(9), [b"theirs", b"d"])

    def test_a_put_does_not_go_before_it(self) -> None:
        """What is put in later comes later."""
        self.adapted.exchange_many([b"c"])
        self.original.clear()
        self.adapted.enqueue(b"d")
        self.assertEqual(self.adapted.dequeue_many(9), [b"a", b"d"])


class Scripted:
    """A user's queue that does what a script says: before each call, the next step of it."""

    def __init__(self, *steps: Callable[[], Any] | None) -> None:
        self.items: list[bytes] = []
        self.steps = list(steps)

    def enqueue(self, message: bytes) -> Any:
        """Put in, after the next step."""
        self._step()
        self.items.append(message)

    def dequeue(self) -> Any:
        """Take, after the next step."""
        self._step()
        if not self.items:
            raise QueueEmpty
        return self.items.pop(0)

    def _step(self) -> None:
        if self.steps and (step := self.steps.pop(0)) is not None:
            step()


def fail() -> None:
    """The store is gone."""
    raise OSError("disk on fire")


def full() -> None:
    """There is no room."""
    raise QueueFull


class FailingTests(SynchronousTestCase):
    """The adapted object fails in the middle of a batch: nothing that was taken out is lost."""

    def test_a_failed_take_keeps_what_was_taken(self) -> None:
        """The second of two takes fails; the first message is not gone but comes next, before all others."""
        original = Scripted(None, fail)
        original.items = [b"a", b"b", b"c"]
        adapted = DuckQueue(original)
        self.assertRaises(OSError, adapted.dequeue_many, 3)
        self.assertEqual(original.items, [b"b", b"c"])
        self.assertEqual(adapted.statistics().dequeued, 0)
        self.assertEqual(adapted.dequeue_many(9), [b"a", b"b", b"c"])

    def test_a_failed_put_counts_what_went_in(self) -> None:
        """The third put fails with an error of the store's; the two before are there and counted."""
        adapted = DuckQueue(Scripted(None, None, fail))
        self.assertRaises(OSError, adapted.enqueue_many, [b"a", b"b", b"c"])
        now = adapted.statistics()
        self.assertEqual((now.depth, now.enqueued, now.refused), (2, 2, 0))

    def test_a_failed_exchange_keeps_what_was_taken(self) -> None:
        """Two exchanges were done when the third fails; what they took comes next, in order."""
        original = Scripted(None, None, None, None, fail)
        original.items = [b"a", b"b", b"c"]
        adapted = DuckQueue(original)
        self.assertRaises(OSError, adapted.exchange_many, [b"d", b"e", b"f"])
        self.assertEqual(adapted.dequeue_many(9), [b"a", b"b", b"c", b"d", b"e"])

    def test_room_that_somebody_else_used_up(self) -> None:
        """Full, then taken from, then full again by a neighbour: the oldest waits aside and is not lost."""
        original = Scripted(full, None, full)
        original.items = [b"a", b"b"]
        adapted = DuckQueue(original)
        self.assertEqual(adapted.exchange_many([b"c"]), [])
        now = adapted.statistics()
        self.assertEqual((now.enqueued, now.dequeued, now.refused), (0, 0, 1))
        self.assertEqual(adapted.exchange_many([b"d"]), [b"a"])
        self.assertEqual(adapted.dequeue_many(9), [b"b", b"d"])

    def test_a_message_that_never_fits(self) -> None:
        """Refused by an empty queue: the exchange ends there, and what was exchanged before is answered."""
        adapted = DuckQueue(Scripted(None, None, full))
        self.assertEqual(adapted.exchange_many([b"a", b"enormous", b"b"]), [b"a"])
        self.assertEqual(adapted.statistics().refused, 1)


class DuckTests(SynchronousTestCase):
    """What an adapted object says of itself."""

    def test_depth_by_what_it_offers(self) -> None:
        """Its `depth`, else its length, else what went through the adapter."""

        class WithLength(Scripted):
            """Knows its length."""

            def __len__(self) -> int:
                return len(self.items)

        class WithDepth(WithLength):
            """Knows its depth."""

            depth = 7

        for kind, depth in ((Scripted, 1), (WithLength, 2), (WithDepth, 7)):
            original = kind()
            original.items = [b"there before"]
            adapted = DuckQueue(original)
            adapted.enqueue(b"x")
            self.assertEqual((adapted.depth, adapted.statistics().depth), (depth, depth), kind)

    def test_depth_is_never_negative(self) -> None:
        """Messages that were there before are not counted in, and do not make it less than nothing."""
        original = Scripted()
        original.items = [b"there", b"before"]
        adapted = DuckQueue(original)
        self.assertEqual(adapted.dequeue_many(2), [b"there", b"before"])
        self.assertEqual((adapted.depth, adapted.statistics().depth), (0, 0))

    def test_depth_counts_itself(self) -> None:
        """In by single calls and batches, out by both, refused ones not, exchanges neutral."""
        adapted = DuckQueue(Scripted())
        depths = []
        for call, argument in (
            (adapted.enqueue, b"a"),
            (adapted.enqueue_many, [b"b", b"c"]),
            (adapted.exchange_many, [b"d", b"e"]),
            (adapted.dequeue_many, 2),
            (adapted.dequeue_many, 9),
        ):
            call(argument)
            depths.append(adapted.depth)
        self.assertEqual(depths, [1, 3, 3, 1, 0])

    def test_a_coroutine_is_told_the_same(self) -> None:
        """An async def cannot be adapted."""
        asked = []

        class Asynchronous:
            """Answers when awaited."""

            def enqueue(self, message: bytes) -> Any:
                """Later."""
                asked.append(self._later())
                return asked[-1]

            dequeue = enqueue

            async def _later(self) -> None:
                """Nothing."""

        error = self.assertRaises(TypeError, IMessageQueue(Asynchronous()).enqueue, b"x")
        self.assertIn("Asynchronous answers later; declare it @implementer(IMessageQueue)", str(error))
        asked[0].close()

    def test_a_method_named_depth_is_no_number(self) -> None:
        """Only an int is taken for the depth."""

        class Odd(Scripted):
            """Has a method of that name."""

            def depth(self) -> int:
                """Not what is meant."""
                return 99

        adapted = DuckQueue(Odd())
        adapted.enqueue(b"x")
        self.assertEqual(adapted.depth, 1)

    def test_no_bound_that_is_known(self) -> None:
        """Without a `capacity` it is unbounded as far as we can say."""
        adapted = DuckQueue(Scripted())
        self.assertIsNone(adapted.capacity)
        self.assertIsNone(adapted.statistics().capacity)

    def test_who_answers_later_is_told_what_to_do(self) -> None:
        """A Deferred or a coroutine cannot be adapted; the error names the class and the way out."""

        class Twisty:
            """Answers with Deferreds."""

            def enqueue(self, message: bytes) -> Deferred:
                """Later."""
                return succeed(None)

            def dequeue(self) -> Deferred:
                """Later."""
                return succeed(b"x")

        class Awaited:
            """Stands for a coroutine."""

            def __await__(self) -> Any:
                return iter(())

        adapted = DuckQueue(Twisty())
        for call in (lambda: adapted.enqueue(b"x"), adapted.dequeue):
            error = self.assertRaises(TypeError, call)
            self.assertIn("Twisty answers later; declare it @implementer(IMessageQueue)", str(error))
        asynchronous = Twisty()
        asynchronous.dequeue = Awaited
        self.assertRaises(TypeError, DuckQueue(asynchronous).dequeue)
