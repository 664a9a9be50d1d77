"""Waiting: who gets what, in which order, and what is left behind by those that leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import Draining, InvalidArgument, QuickPulseError, TooManyRequests
from quickpulse.queues import waiting
from quickpulse.queues.lines import LEAST_COMPACTED
from quickpulse.queues.waiting import (
    _ASKED_NOTHING,
    HELPING_MESSAGES,
    MOST_CREDIT,
    NOTHING,
    TURN_HELPINGS,
    Subscription,
    Waiting,
    _tell_nobody,
)
from quickpulse.requests import Batch, Deliveries, Pull, Subscribe


class Shelf:
    """As much of a broker as waiting needs: queues without leases, and who watches them."""

    def __init__(self) -> None:
        self.queues: dict[str, deque[bytes]] = {}
        self.watchers: dict[str, list[Callable[[], None]]] = {}
        self.holders: list[object] = []  # of what was taken

    def put(self, queue: str, *payloads: bytes) -> None:
        """Put messages in, and tell."""
        self.queues.setdefault(queue, deque()).extend(payloads)
        for woken in list(self.watchers.get(queue, ())):
            woken()

    def pull(self, request: Pull, now_ms: int) -> Deliveries:
        """Of the first queue that has something."""
        for name in request.queues:
            queue = self.queues.setdefault(name, deque())
            taken: list[bytes] = []
            room = request.max_bytes or 1 << 40
            while queue and len(taken) < request.max_messages and (len(queue[0]) <= room or not taken):
                taken.append(queue.popleft())
                room -= len(taken[-1])
            if taken:
                self.holders.append(request.holder)
                return Deliveries(name, Batch(taken))
        return NOTHING

    def watch(self, name: str, woken: Callable[[], None]) -> None:
        """Tell it."""
        if not name:
            raise InvalidArgument("queue is empty")
        self.watchers.setdefault(name, []).append(woken)

    def unwatch(self, name: str, woken: Callable[[], None]) -> None:
        """No more."""
        self.watchers[name].remove(woken)
        if not self.watchers[name]:
            del self.watchers[name]


class SlowReader:
    """A Reader that is held until the test says."""

    def __init__(self) -> None:
        self.is_held = True
        self.acts: dict[Callable[[], None], None] = {}
        self.forget = lambda act: self.acts.pop(act, None)

    def when_released(self, act: Callable[[], None]) -> None:
        """Noted."""
        self.acts[act] = None

    def release(self) -> None:
        """It reads."""
        self.is_held = False
        acts, self.acts = self.acts, {}
        for act in acts:
            act()


class WaitingTestCase(SynchronousTestCase):
    """Waiting over a shelf; what anybody gets is noted."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.shelf = Shelf()
        self.calls = 0
        self.waiting = Waiting(self.shelf, self.has_work)
        self.got: list[tuple[str, list[bytes]]] = []
        self.ended: list[tuple[str, QuickPulseError | None]] = []
        self.gave_back: list[Subscription] = []

    def has_work(self) -> None:
        """Noted."""
        self.calls += 1

    def pull(self, who: str, *queues: str, messages: int = 1, wait_ms: int = 1000, now_ms: int = 0, reader=None):
        """Somebody waits."""
        return self.waiting.pull(
            Pull(queues, messages, wait_ms=wait_ms, reader=reader),
            now_ms,
            lambda deliveries: self.got.append((who, list(deliveries.batch.payloads))),
        )

    def subscribe(self, who: str, queue: str, messages: int, size_bytes: int = 0, **options) -> Subscription:
        """Somebody subscribes."""
        return self.waiting.subscribe(
            Subscribe(queue, messages, size_bytes, **options),
            lambda deliveries: self.got.append((who, list(deliveries.batch.payloads))),
            lambda error: self.ended.append((who, error)),
            self.gave_back.append,
        )

    def put(self, queue: str, *payloads: bytes) -> None:
        """Put in, and serve."""
        self.shelf.put(queue, *payloads)
        self.waiting.serve(0)

    def assert_nothing_is_left(self) -> None:
        """No line, nobody watches."""
        self.assertEqual((self.waiting._lines, self.waiting._wakers, self.waiting._woken), ({}, {}, {}))
        self.assertEqual(self.shelf.watchers, {})


class PullTests(WaitingTestCase):
    """Long polls."""

    def test_first_come_first_served(self) -> None:
        """Each once, with all that it asked for."""
        self.pull("a", "q", messages=2)
        self.pull("b", "q")
        self.pull("c", "q")
        self.assertEqual(self.calls, 0)
        self.put("q", b"1", b"2", b"3")
        self.assertEqual(self.got, [("a", [b"1", b"2"]), ("b", [b"3"])])
        self.assertEqual(self.waiting.waiters("q"), 1)
        self.put("q", b"4", b"5")
        self.assertEqual(self.got[2:], [("c", [b"4"])])
        self.assertEqual(self.shelf.queues["q"], deque([b"5"]))
        self.assert_nothing_is_left()

    def test_several_queues(self) -> None:
        """Whichever has one first; the others are left."""
        self.pull("a", "one", "two", "one")
        self.put("two", b"x")
        self.put("one", b"y")
        self.assertEqual(self.got, [("a", [b"x"])])
        self.assert_nothing_is_left()

    def test_time_is_up(self) -> None:
        """An empty answer; the next deadline is told."""
        self.pull("a", "q", wait_ms=100)
        self.pull("b", "q", wait_ms=50, now_ms=20)
        self.waiting.tick(69)
        self.assertEqual((self.waiting.next_deadline(), self.got), (70, []))
        self.waiting.tick(70)
        self.assertEqual((self.waiting.next_deadline(), self.got), (100, [("b", [])]))
        self.waiting.tick(1000)
        self.assertIsNone(self.waiting.next_deadline())
        self.assertEqual(self.got, [("b", []), ("a", [])])
        self.assert_nothing_is_left()

    def test_a_reader_that_is_held(self) -> None:
        """Its pulls are passed over, and others have the messages; they stand at the end again when it reads."""
        reader = SlowReader()
        for who in ("a", "b"):
            self.pull(who, "q", "other", reader=reader)
        self.pull("c", "q")
        self.put("q", b"1", b"2", b"3")
        self.assertEqual((self.got, list(self.shelf.queues["q"])), ([("c", [b"1"])], [b"2", b"3"]))
        self.pull("d", "q")
        calls = self.calls
        reader.release()
        self.assertGreater(self.calls, calls)
        self.waiting.serve(0)
        self.assertEqual(self.got[1:], [("d", [b"2"]), ("a", [b"3"])])
        self.put("other", b"4")
        self.assertEqual(self.got[3:], [("b", [b"4"])])
        self.assert_nothing_is_left()

    def test_held_to_its_end(self) -> None:
        """Its time runs on, and nothing of it is left with the reader; nor of one that leaves."""
        reader = SlowReader()
        self.pull("a", "q", reader=reader, wait_ms=100)
        leaving = self.pull("b", "q", reader=reader)
        self.put("q", b"1")
        self.assertEqual(len(reader.acts), 2)
        self.waiting.tick(100)
        leaving.leave()
        self.assertEqual((self.got, reader.acts), ([("a", [])], {}))
        self.assert_nothing_is_left()

    def test_one_that_left(self) -> None:
        """Nothing is taken out for it, and it is not answered."""
        first = self.pull("a", "q", "r")
        self.pull("b", "q")
        first.leave()
        first.leave()
        self.put("q", b"1")
        self.put("r", b"2")
        self.assertEqual(self.got, [("b", [b"1"])])
        self.assertEqual(self.shelf.queues["r"], deque([b"2"]))
        self.waiting.tick(5000)
        self.assertIsNone(self.waiting.next_deadline())
        self.assert_nothing_is_left()

    def test_one_that_leaves_when_it_is_answered(self) -> None:
        """It is gone already."""
        waiting = []
        waiting.append(self.waiting.pull(Pull(("q",), 1, wait_ms=9), 0, lambda _: waiting[0].leave()))
        self.put("q", b"1")
        self.assert_nothing_is_left()

    def test_ten_thousand_that_vanish(self) -> None:
        """Their places go with them."""
        self.pull("stays", "q", wait_ms=10_000_000)
        for _ in range(10_000):
            self.pull("goes", "q").leave()
        self.assertLess(len(self.waiting._lines["q"]._parties), 3 * LEAST_COMPACTED)
        self.assertLess(len(self.waiting._deadlines), 3 * LEAST_COMPACTED)
        crowd = [self.pull("goes", "q") for _ in range(10_000)]
        for party in crowd:
            party.leave()
        self.assertLess(len(self.waiting._lines["q"]._parties), 3 * LEAST_COMPACTED)
        self.put("q", b"1")
        self.assertEqual(self.got, [("stays", [b"1"])])

    def test_what_is_kept_of_one_that_left(self) -> None:
        """Not what it asked for, nor whom to answer, however long it would have waited."""
        parties = [self.pull("left", "q", wait_ms=1 << 63), self.pull("served", "q", wait_ms=1 << 63)]
        parties[0].leave()
        self.put("q", b"1")
        parties.append(self.pull("ended", "q", wait_ms=1 << 63))
        parties[-1].end()
        self.assertEqual(self.got, [("served", [b"1"]), ("ended", [])])
        self.assertEqual({(party._request, party._answer) for party in parties}, {(_ASKED_NOTHING, _tell_nobody)})

    def test_too_many(self) -> None:
        """Places in all lines together are bounded; who leaves makes room."""
        self.patch(waiting, "MOST_PLACES", 5)
        first = self.pull("a", "one", "two", "one")
        self.pull("b", "one", "two", "three")
        self.assertRaises(TooManyRequests, self.pull, "c", "one")
        self.assertEqual(self.waiting.waiters("one"), 2)
        first.leave()
        self.pull("c", "one", "four")
        self.put("four", b"1")
        self.put("one", b"2")
        self.assertEqual((self.got, self.waiting._places), ([("c", [b"1"]), ("b", [b"2"])], 0))
        self.assert_nothing_is_left()

    def test_a_name_that_is_none(self) -> None:
        """The broker's error, and nothing is kept."""
        self.assertRaises(InvalidArgument, self.pull, "a", "")
        self.assertRaises(InvalidArgument, self.subscribe, "a", "", 1)
        self.assert_nothing_is_left()


class SubscriptionTests(WaitingTestCase):
    """Pushing, as far as there is credit."""

    def test_what_is_there_already(self) -> None:
        """It comes with the next serving."""
        self.shelf.put("q", b"1", b"2")
        self.subscribe("a", "q", 10)
        self.assertEqual((self.got, self.calls), ([], 1))
        self.waiting.serve(0)
        self.assertEqual(self.got, [("a", [b"1", b"2"])])
        self.put("q", b"3")
        self.assertEqual(self.got[1:], [("a", [b"3"])])

    def test_credit_in_messages(self) -> None:
        """Spent by delivery; more of it brings more."""
        it = self.subscribe("a", "q", 2)
        self.put("q", b"1", b"2", b"3")
        self.assertEqual(self.got, [("a", [b"1", b"2"])])
        self.put("q", b"4")
        self.assertEqual(len(self.got), 1)
        it.add_credit(1)
        self.waiting.serve(0)
        self.assertEqual(self.got[1:], [("a", [b"3"])])
        self.assertEqual(self.waiting.waiters("q"), 1)

    def test_credit_in_bytes(self) -> None:
        """It goes below zero by one message at most, and must come back above."""
        it = self.subscribe("a", "q", 100, 5)
        self.put("q", b"1234", b"5678", b"9")
        self.assertEqual(self.got, [("a", [b"1234"]), ("a", [b"5678"])])
        it.add_credit(0, 3)
        self.waiting.serve(0)
        self.assertEqual(len(self.got), 2)
        it.add_credit(0, 1)
        self.waiting.serve(0)
        self.assertEqual(self.got[2:], [("a", [b"9"])])

    def test_no_bound_in_bytes(self) -> None:
        """Then credit in bytes is nothing to it."""
        it = self.subscribe("a", "q", 2)
        it.add_credit(0, 1)
        self.put("q", b"x" * 1000, b"y")
        self.assertEqual(len(self.got[0][1]), 2)

    def test_a_lease_of_no_length(self) -> None:
        """Refused at once, and not only when there is a message."""
        self.assertRaises(InvalidArgument, self.subscribe, "a", "q", 1, lease_ms=(1 << 62) + 1)
        self.assertRaises(InvalidArgument, self.subscribe, "a", "q", 1, lease_ms=-1)
        self.assert_nothing_is_left()

    def test_too_much_credit(self) -> None:
        """Refused, and what there was is still there."""
        self.assertRaises(InvalidArgument, self.subscribe, "a", "q", MOST_CREDIT + 1)
        self.assertRaises(InvalidArgument, self.subscribe, "a", "q", 1, MOST_CREDIT + 1)
        self.assert_nothing_is_left()
        it = self.subscribe("a", "q", 1, 10)
        self.assertRaises(InvalidArgument, it.add_credit, MOST_CREDIT)
        self.assertRaises(InvalidArgument, it.add_credit, 5, MOST_CREDIT)
        self.put("q", b"1", b"2", b"3")
        self.assertEqual(self.got, [("a", [b"1"])])

    def test_fair(self) -> None:
        """One helping after the other, each in its turn."""
        for who in "abc":
            self.subscribe(who, "q", 10_000)
        self.put("q", *[b"x"] * (4 * HELPING_MESSAGES))
        self.assertEqual([who for who, _ in self.got], ["a", "b", "c", "a"])
        self.put("q", b"1")
        self.put("q", b"2")
        self.assertEqual([who for who, _ in self.got[4:]], ["b", "c"])

    def test_a_pull_between_subscriptions(self) -> None:
        """It stands in the same line."""
        self.subscribe("s", "q", 100)
        self.pull("p", "q")
        self.put("q", b"1")
        self.put("q", b"2")
        self.put("q", b"3")
        self.assertEqual([who for who, _ in self.got], ["s", "p", "s"])

    def test_one_that_does_not_keep_up(self) -> None:
        """While it is held others get all; then it goes on."""
        slow = self.subscribe("slow", "q", 100)
        slow.hold()
        self.subscribe("quick", "q", 100)
        self.put("q", b"1")
        self.put("q", b"2")
        self.assertEqual([who for who, _ in self.got], ["quick", "quick"])
        slow.release()
        self.put("q", b"3")
        self.put("q", b"4")
        self.assertEqual(sorted(who for who, _ in self.got[2:]), ["quick", "slow"])

    def test_end(self) -> None:
        """Told once; nothing is taken for it any more."""
        it = self.subscribe("a", "q", 100)
        it.end()
        it.end(Draining())
        it.add_credit(5)
        self.put("q", b"1")
        self.assertEqual((self.got, self.ended), ([], [("a", None)]))
        self.assert_nothing_is_left()

    def test_whose_subscriber_is_gone(self) -> None:
        """Nobody is told; what it holds goes back where that was asked for."""
        keeps = self.subscribe("a", "q", 1)
        returns = self.subscribe("b", "q", 1, release_on_disconnect=True)
        self.put("q", b"1", b"2")
        for it in (keeps, returns, returns):
            it.lost()
        self.assertEqual((self.gave_back, self.ended), ([returns], []))
        self.assertEqual(self.shelf.holders, [None, returns])
        self.assert_nothing_is_left()

    def test_one_that_ends_when_it_is_served(self) -> None:
        """Nothing follows."""
        it = self.waiting.subscribe(
            Subscribe("q", 1000), lambda deliveries: it.end(), self.ended.append, self.gave_back.append
        )
        self.put("q", *[b"x"] * (2 * HELPING_MESSAGES))
        self.assertEqual(len(self.shelf.queues["q"]), HELPING_MESSAGES)
        self.assert_nothing_is_left()

    def test_credit_given_as_fast_as_it_is_spent(self) -> None:
        """Others have their turn: the rest waits for the next one."""
        helpings = []

        def deliver(deliveries: Deliveries) -> None:
            helpings.append(len(deliveries.batch.payloads))
            it.add_credit(1)

        it = self.waiting.subscribe(Subscribe("q", 1), deliver, self.ended.append, self.gave_back.append)
        self.shelf.put("q", *[b"x"] * 200)
        before = self.calls
        self.waiting.serve(0)
        self.assertEqual(len(helpings), TURN_HELPINGS)
        self.assertEqual(self.calls, before + 1)
        for _ in range(3):
            self.waiting.serve(0)
        self.assertEqual(sum(helpings), 200)

    def test_publishing_when_served(self) -> None:
        """It is not served from within, and nothing is forgotten."""

        def deliver(deliveries: Deliveries) -> None:
            self.got.append(("a", list(deliveries.batch.payloads)))
            if len(self.got) < 5:
                self.shelf.put("q", b"again")
                self.waiting.serve(0)

        self.waiting.subscribe(Subscribe("q", 100), deliver, self.ended.append, self.gave_back.append)
        self.put("q", b"first")
        self.assertEqual([payloads for _, payloads in self.got], [[b"first"], *[[b"again"]] * 4])


class FailureTests(WaitingTestCase):
    """The turn of one fails."""

    def serve(self) -> None:
        """As whoever holds the clock: the exception is the test's own."""
        self.assertRaises(ZeroDivisionError, self.waiting.serve, 0)

    def test_a_subscription(self) -> None:
        """It ends; the others behind it have their turn next, of the same queue and of others."""
        self.waiting.subscribe(
            Subscribe("q", 9), lambda _: 1 / 0, lambda error: self.ended.append(("s", error)), self.gave_back.append
        )
        self.subscribe("t", "q", 1)
        self.pull("p", "q")
        self.pull("o", "other")
        self.waiting.serve(0)
        self.shelf.put("q", b"1")
        self.shelf.put("other", b"2")
        self.calls = 0
        self.serve()
        self.assertEqual([(who, error.code) for who, error in self.ended], [("s", "QUEUE_UNAVAILABLE")])
        self.assertEqual(self.calls, 1)
        self.shelf.put("q", b"3", b"4")
        self.waiting.serve(0)
        self.assertEqual(sorted(self.got), [("o", [b"2"]), ("p", [b"4"]), ("t", [b"3"])])

    def test_a_pull(self) -> None:
        """It gets nothing, before its time is up; the next one is served."""
        self.pull("a", "q")
        self.pull("b", "q")
        self.shelf.put("q", b"1")
        pull, self.shelf.pull = self.shelf.pull, lambda *_: 1 / 0
        self.serve()
        self.shelf.pull = pull
        self.waiting.serve(0)
        self.assertEqual(self.got, [("a", []), ("b", [b"1"])])
        self.assert_nothing_is_left()


class EndTests(WaitingTestCase):
    """A queue goes, or the server does."""

    def test_a_queue_that_is_deleted(self) -> None:
        """Subscriptions hear why, pulls get nothing; other queues go on."""
        self.pull("p", "q", "other")
        self.subscribe("s", "q", 5)
        self.subscribe("t", "other", 5)
        self.waiting.queue_deleted("q")
        self.waiting.queue_deleted("unknown")
        self.assertEqual(self.got, [("p", [])])
        self.assertEqual([(who, error.code) for who, error in self.ended], [("s", "NOT_FOUND")])
        self.put("other", b"1")
        self.assertEqual(self.got[1:], [("t", [b"1"])])

    def test_the_server_drains(self) -> None:
        """All hear of it."""
        self.pull("p", "q", "other")
        self.subscribe("s", "q", 5)
        self.waiting.end_all(Draining())
        self.assertEqual(self.got, [("p", [])])
        self.assertEqual([(who, error.code) for who, error in self.ended], [("s", "DRAINING")])
        self.assert_nothing_is_left()
