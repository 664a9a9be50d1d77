"""The memory broker as a provider: time goes by, and those who wait get what comes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends import memory_broker
from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.errors import Draining, InvalidArgument, NotFound, QueueUnavailable
from quickpulse.interfaces import IMessageQueue
from quickpulse.queues.broker import Broker
from quickpulse.queues.waiting import HELPING_MESSAGES
from quickpulse.requests import (
    Action,
    Batch,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    Pull,
    Purge,
    Redrive,
    Resume,
    SetPolicy,
    Settle,
    Subscribe,
)

WALL_SECONDS = 1_800_000_000.0


class BrokerTestCase(SynchronousTestCase):
    """A broker on a clock."""

    def setUp(self) -> None:
        """It is empty."""
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock, Broker(), lambda: WALL_SECONDS)
        self.got: list[list[bytes]] = []
        self.deliveries: list[Deliveries] = []
        self.ended: list[Any] = []

    def publish(self, *payloads: bytes, queue: str = "q", **properties: Any) -> None:
        """Put in, and let a turn go by."""
        common = Properties(**properties) if properties else None
        self.broker.publish(Publish(queue, Batch(payloads, common)))
        self.clock.advance(0)

    def pull(self, *queues: str, **options: Any) -> Any:
        """Take out, or wait."""
        return self.broker.pull(Pull(queues or ("q",), **options))

    def subscribe(self, messages: int = 100, **options: Any) -> Any:
        """Have it pushed."""

        def deliver(deliveries: Deliveries) -> None:
            self.deliveries.append(deliveries)
            self.got.append(list(deliveries.batch.payloads))

        return self.broker.subscribe(Subscribe("q", messages, **options), deliver, self.ended.append)

    def payloads(self, result: Any) -> list[bytes]:
        """Of deliveries that are there."""
        if isinstance(result, Deferred):
            result = self.successResultOf(result)
        return list(result.batch.payloads)


class LoopClock(Clock):
    """As a reactor that runs on an event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._asyncioEventloop = asyncio.new_event_loop()

    def run(self) -> None:
        """One turn of the loop."""
        self._asyncioEventloop.call_soon(self._asyncioEventloop.stop)
        self._asyncioEventloop.run_forever()


class TurnTests(SynchronousTestCase):
    """Those who wait are served in a turn of the event loop, where there is one."""

    def setUp(self) -> None:
        """One waits, and something comes."""
        self.clock = LoopClock()
        self.addCleanup(self.clock._asyncioEventloop.close)
        self.broker = MemoryBroker(self.clock, Broker())
        self.waiting = self.broker.pull(Pull(("q",), wait_ms=1000))
        self.broker.publish(Publish("q", Batch([b"a"])))

    def test_the_next_turn(self) -> None:
        """Not before, and without a timer."""
        self.assertNoResult(self.waiting)
        self.clock.run()
        self.assertEqual(list(self.successResultOf(self.waiting).batch.payloads), [b"a"])

    def test_close(self) -> None:
        """Nobody is served any more."""
        self.broker.close()
        self.clock.run()
        self.assertNoResult(self.waiting)

    def test_one_that_fails(self) -> None:
        """It is told to Twisted's log and not to the loop's; who comes after it is served in another turn."""
        told: list[Any] = []
        self.clock._asyncioEventloop.set_exception_handler(lambda _, context: told.append(context))
        ended: list[Any] = []
        self.broker.subscribe(Subscribe("p", 9), lambda _: 1 / 0, ended.append)
        second = self.broker.pull(Pull(("p",), wait_ms=1000))
        self.broker.publish(Publish("p", Batch([b"b"])))
        self.clock.run()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([type(error) for error in ended], [QueueUnavailable])
        self.broker.publish(Publish("p", Batch([b"c"])))
        self.clock.run()
        self.assertEqual(list(self.successResultOf(second).batch.payloads), [b"c"])
        self.assertEqual(told, [])


class TimeOfDayTests(SynchronousTestCase):
    """A reactor's seconds may be those of the clock on the wall, which is set now and then."""

    def test_a_clock_that_is_set(self) -> None:
        """A lease lasts as long as it was to, whatever the clock on the wall says meanwhile."""
        times = {"wall": WALL_SECONDS, "passed": 7.0}
        faked = SimpleNamespace(time=lambda: times["wall"], monotonic=lambda: times["passed"])
        self.patch(memory_broker, "time", faked)
        clock: Any = Clock()
        clock.seconds = faked.time
        broker = MemoryBroker(clock, Broker(), faked.time)
        plain = broker.queue("default")
        broker.publish(Publish("q", Batch([b"a"])))
        leased: Any = broker.pull(Pull(("q",), lease_ms=1000, with_enqueued_at=True))
        self.assertEqual(leased.enqueued_at_ms, [WALL_SECONDS * 1000])
        times["wall"] += 3600
        plain.enqueue(b"b")
        self.assertEqual(broker.get_queue(GetQueue("q")).leased, 1)
        times.update(wall=WALL_SECONDS - 3600, passed=8.0)
        self.assertEqual(broker.get_queue(GetQueue("q")).leased, 0)


class PullTests(BrokerTestCase):
    """Waiting, and not."""

    def test_what_is_there(self) -> None:
        """At once, whether it would wait or not."""
        self.publish(b"a", b"b")
        self.assertEqual(self.payloads(self.pull()), [b"a"])
        self.assertEqual(self.payloads(self.pull(wait_ms=1000)), [b"b"])
        self.assertEqual(self.payloads(self.pull()), [])

    def test_a_message_comes(self) -> None:
        """To the first that waits."""
        first, second = self.pull(wait_ms=1000), self.pull(wait_ms=1000)
        self.publish(b"a")
        self.assertEqual(self.payloads(first), [b"a"])
        self.assertNoResult(second)
        self.publish(b"b")
        self.assertEqual(self.payloads(second), [b"b"])

    def test_first_come_first_served(self) -> None:
        """A pull that comes with the message, or right behind it, does not overtake one that waits."""
        first, second = self.pull(wait_ms=1000), self.pull("p", "q", wait_ms=1000)
        for _ in range(2):
            self.broker.publish(Publish("q", Batch([b"a"])))
            self.assertEqual(self.payloads(self.pull()), [])
        self.assertEqual([self.payloads(each) for each in (first, second)], [[b"a"], [b"a"]])
        self.broker.publish(Publish("q", Batch([b"b"])))
        self.assertEqual(self.payloads(self.pull()), [b"b"])

    def test_a_subscription_is_not_overtaken(self) -> None:
        """It has one helping before who asks."""
        self.subscribe(1000)
        self.broker.publish(Publish("q", Batch([b"a"] * (HELPING_MESSAGES + 1))))
        self.assertEqual(self.payloads(self.pull()), [b"a"])
        self.assertEqual([len(each) for each in self.got], [HELPING_MESSAGES])

    def test_one_before_that_fails(self) -> None:
        """Is told to the log, and not to who asks."""
        self.broker.subscribe(Subscribe("q", 1), lambda _: 1 / 0, self.ended.append)
        self.broker.publish(Publish("q", Batch([b"a", b"b"])))
        self.assertEqual(self.payloads(self.pull()), [b"b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([type(error) for error in self.ended], [QueueUnavailable])

    def test_none_comes(self) -> None:
        """Empty, when the time is up and not before."""
        waiting = self.pull(wait_ms=1000)
        self.clock.advance(0.999)
        self.assertNoResult(waiting)
        self.clock.advance(0.002)
        self.assertEqual(self.payloads(waiting), [])

    def test_one_that_gives_up(self) -> None:
        """Nothing is leased for it."""
        waiting = self.pull(wait_ms=1000)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.publish(b"a")
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 0)
        self.assertEqual(self.payloads(self.pull()), [b"a"])

    def test_a_lease_that_ends(self) -> None:
        """What was held comes to the next, by itself."""
        self.publish(b"a")
        self.pull(lease_ms=500)
        waiting = self.pull(wait_ms=10_000)
        self.clock.advance(0.499)
        self.assertNoResult(waiting)
        self.clock.advance(0.002)
        self.clock.advance(0)
        self.assertEqual(list(self.successResultOf(waiting).delivery_counts), [2])

    def test_a_moment_that_fails(self) -> None:
        """What goes wrong is the reactor's to log; whose time is up later is still answered."""
        soon, late = self.pull(wait_ms=1000), self.pull(wait_ms=2000)
        patch = self.patch(self.broker._waiting, "tick", lambda _: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.clock.advance, 1.001)
        patch.restore()
        self.clock.advance(1)
        self.assertEqual((self.payloads(soon), self.payloads(late)), ([], []))

    def test_the_next_deadline_of_several(self) -> None:
        """A timer that is further ahead does not keep what is due before it."""
        self.publish(b"a")
        self.pull(lease_ms=5000)
        late, soon = self.pull(wait_ms=9000), self.pull(wait_ms=1000)
        self.clock.advance(1.001)
        self.assertEqual(self.payloads(soon), [])
        self.assertNoResult(late)

    def test_a_delayed_message(self) -> None:
        """When it is due."""
        waiting = self.pull(wait_ms=10_000)
        self.publish(b"a", delay_ms=2000)
        self.assertNoResult(waiting)
        self.clock.advance(2.001)
        self.clock.advance(0)
        self.assertEqual(self.payloads(waiting), [b"a"])

    def test_what_v0_puts_in(self) -> None:
        """Wakes those who wait, too; and v0 takes what v1 put in."""
        queue = self.broker.queue("q")
        self.assertTrue(IMessageQueue.providedBy(queue))
        waiting = self.pull(wait_ms=1000)
        queue.enqueue(b"old")
        self.clock.advance(0)
        self.assertEqual(self.payloads(waiting), [b"old"])
        self.publish(b"new")
        self.assertEqual(queue.dequeue_many(5), [b"new"])


class SubscriptionTests(BrokerTestCase):
    """Pushing."""

    def test_pushed(self) -> None:
        """What is there, and what comes; never from within the call that subscribes or publishes."""
        self.broker.publish(Publish("q", Batch((b"a",))))
        self.subscribe()
        self.assertEqual(self.got, [])
        self.clock.advance(0)
        self.broker.publish(Publish("q", Batch((b"b",))))
        self.broker.publish(Publish("q", Batch((b"c",))))
        self.assertEqual(self.got, [[b"a"]])
        self.clock.advance(0)
        self.assertEqual(self.got, [[b"a"], [b"b", b"c"]])

    def test_a_subscriber_that_is_gone(self) -> None:
        """What it holds comes back at once where it asked for that, and is counted as delivered; else in time."""
        for returns in (True, False):
            it = self.subscribe(release_on_disconnect=returns)
            self.publish(b"a")
            it.lost()
            info = self.broker.get_queue(GetQueue("q"))
            self.assertEqual((info.ready, info.leased), (1, 0) if returns else (0, 1))
            if returns:
                again = self.pull()
                self.assertEqual(list(again.delivery_counts), [2])
                self.settle(again)
        self.assertEqual(self.ended, [])

    def test_a_subscription_that_has_ended(self) -> None:
        """What it holds still comes back when its subscriber goes, and not before."""
        it = self.subscribe(release_on_disconnect=True)
        self.publish(b"a")
        it.end()
        self.assertEqual(self.broker.get_queue(GetQueue("q")).leased, 1)
        self.assertTrue(it.holds())
        it.lost()
        self.assertFalse(it.holds())
        self.assertEqual(self.payloads(self.pull()), [b"a"])

    def test_a_subscription_that_gives_nothing_back(self) -> None:
        """Its leases are its subscriber's until they end."""
        it = self.subscribe()
        self.publish(b"a")
        self.assertFalse(it.holds())

    def test_only_its_own_comes_back(self) -> None:
        """What others hold, and what it settled, does not."""
        it = self.subscribe(messages=3, release_on_disconnect=True)
        self.publish(b"a")
        self.publish(b"b")
        self.settle(self.deliveries[0])
        it.add_credit(1)
        it.hold()
        self.publish(b"other")
        self.assertEqual(self.payloads(self.pull()), [b"other"])
        it.lost()
        info = self.broker.get_queue(GetQueue("q"))
        self.assertEqual((info.ready, info.leased), (1, 1))
        self.assertEqual(self.payloads(self.pull()), [b"b"])

    def settle(self, deliveries: Deliveries) -> None:
        """All of it is done."""
        first, count = deliveries.first_receipt, len(deliveries.batch.payloads)
        reply = self.broker.settle(Settle("q", ((first, first + count - 1),), Action.ACK))
        self.assertEqual((reply.settled, reply.unknown), (count, ()))

    def test_a_queue_that_is_deleted(self) -> None:
        """Its subscriptions end, and its pulls get nothing."""
        self.subscribe()
        waiting = self.pull(wait_ms=1000)
        self.broker.delete_queue(DeleteQueue("q"))
        self.assertIsInstance(self.ended[0], NotFound)
        self.assertEqual(self.payloads(waiting), [])


class DeletionTests(BrokerTestCase):
    """A queue is deleted, and who waited for it waits again at once."""

    def test_waiting_again(self) -> None:
        """It is served by the new queue, and so is who comes later."""
        got: list[str] = []

        def again(_: Any) -> None:
            self.pull(wait_ms=1000).addCallback(lambda _: got.append("again"))

        self.pull(wait_ms=1000).addCallback(again)
        ended = self.pull(wait_ms=1000)
        self.broker.delete_queue(DeleteQueue("q"))
        self.assertEqual((self.payloads(ended), self.broker.read_queues()[0].waiters), ([], 1))
        self.pull(wait_ms=1000).addCallback(lambda _: got.append("later"))
        self.publish(b"a", b"b")
        self.assertEqual(got, ["again", "later"])


class AdministrationTests(BrokerTestCase):
    """Each request reaches the domain."""

    def test_requests(self) -> None:
        """And its reply comes back."""
        broker = self.broker
        broker.set_policy(SetPolicy("q", Policy(max_deliveries=1)))
        self.publish(b"a", b"b")
        self.assertEqual([info.name for info in broker.list_queues(ListQueues()).queues], ["q"])
        self.assertEqual(list(broker.peek(Peek("q")).batch.payloads), [b"a"])
        self.assertTrue(broker.pause(Pause("q")).paused)
        self.assertEqual(self.payloads(self.pull()), [])
        self.assertFalse(broker.resume(Resume("q")).paused)
        taken = self.pull()
        broker.settle(Settle("q", ((taken.first_receipt, taken.first_receipt),), Action.NACK, delay_ms=0))
        self.assertEqual(broker.get_queue(GetQueue("q.dead")).ready, 1)
        self.assertEqual(broker.redrive(Redrive("q.dead")).messages, 1)
        self.assertEqual(broker.purge(Purge("q")).messages, 2)
        self.assertTrue(broker.get_server_info(GetServerInfo()).capabilities)
        self.assertRaises(NotFound, broker.get_queue, GetQueue("nowhere"))
        self.assertRaises(InvalidArgument, self.pull, "no name")

    def test_who_waits(self) -> None:
        """Pulls and subscriptions are counted, those without credit too."""
        self.subscribe(messages=0)
        waiting = self.pull(wait_ms=1000)
        self.assertEqual(self.broker.get_queue(GetQueue("q")).waiters, 2)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual([info.waiters for info in self.broker.list_queues(ListQueues()).queues], [1])

    def test_a_pause_that_ends(self) -> None:
        """Those who waited through it get what is there."""
        self.publish(b"a")
        self.broker.pause(Pause("q"))
        waiting = self.pull(wait_ms=1000, delivery=Delivery.TAKEN)
        self.clock.advance(0.1)
        self.assertNoResult(waiting)
        self.broker.resume(Resume("q"))
        self.clock.advance(0)
        self.assertEqual(self.payloads(waiting), [b"a"])


class EndTests(BrokerTestCase):
    """The server ends."""

    def test_drain(self) -> None:
        """No new work; what is held may still be settled."""
        self.publish(b"a")
        held = self.pull()
        waiting = self.pull(wait_ms=1000)
        self.subscribe()
        self.broker.drain()
        self.broker.drain()
        self.assertEqual(self.payloads(waiting), [])
        self.assertIsInstance(self.ended[0], Draining)
        self.assertRaises(Draining, self.pull)
        self.assertRaises(Draining, self.publish, b"x")
        self.assertRaises(Draining, self.subscribe)
        self.assertEqual(self.broker.settle(Settle("q", ((held.first_receipt,) * 2,))).settled, 1)

    def test_close(self) -> None:
        """No call is left on the clock, and none is made."""
        self.publish(b"a")
        self.pull(lease_ms=100)
        self.pull(wait_ms=1000)
        self.subscribe()
        self.broker.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.broker.queue("q").enqueue(b"b")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_idle_broker_needs_no_clock(self) -> None:
        """Nothing is due where nothing was asked."""
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReadingsTests(BrokerTestCase):
    """What metrics are told."""

    def test_who_waits(self) -> None:
        """Pulls and subscriptions, those without credit included; a pull waits for each of its queues."""
        self.pull("q", "p", wait_ms=1000)
        self.subscribe(messages=0)
        self.assertEqual({each.name: each.waiters for each in self.broker.read_queues()}, {"q": 2, "p": 1, "$other": 0})

    def test_it_is_of_now(self) -> None:
        """By the broker's clock."""
        self.publish(b"a")
        self.clock.advance(2)
        self.assertEqual(self.broker.read_queues()[0].oldest_ms, 2000)
