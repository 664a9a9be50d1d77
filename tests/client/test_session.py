"""A client's session: each call is answered once, nothing is done twice, and what is held stays leased."""

from __future__ import annotations

import gc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import session
from quickpulse.client.errors import ClientClosed, ConnectionLost, Timeout
from quickpulse.client.options import Options
from quickpulse.client.subscribing import Subscribing
from quickpulse.errors import Draining, InvalidArgument, NotFound, RequestTooLarge
from quickpulse.requests import (
    Action,
    Batch,
    Credit,
    Deliveries,
    Delivery,
    GetQueue,
    Publish,
    PublishReply,
    Pull,
    Purge,
    Settle,
    Subscribe,
)
from tests.client.worlds import World

PUBLISH = Publish("q", Batch((b"a", b"b", b"c")))

LOST = ConnectionLost("cut")


class SessionTestCase(SynchronousTestCase):
    """A session that is connected."""

    def setUp(self) -> None:
        """Connect."""
        self.world = World()
        self.session = self.world.session
        self.link = self.world.connect()

    def depth(self) -> int:
        """Messages in the queue, whatever their state."""
        (info,) = self.world.ask(GetQueue("q"))
        return info.ready + info.leased + info.delayed

    def pull(self, count: int = 10, lease_ms: int = 0) -> Deliveries:
        """What is there."""
        (deliveries,) = self.world.ask(Pull(("q",), count, lease_ms=lease_ms))
        return deliveries


class CallTests(SessionTestCase):
    """Requests and their replies."""

    def test_reply(self) -> None:
        """A request gets its own."""
        (reply,) = self.world.ask(PUBLISH)
        self.assertEqual(list(reply.sequences), [(1, 3)])

    def test_error(self) -> None:
        """What the server says instead is the reply."""
        (reply,) = self.world.ask(GetQueue("none"))
        self.assertIsInstance(reply, NotFound)

    def test_what_cannot_be_sent(self) -> None:
        """A value that is nothing of the kind is an error for who asked, at once or when there is a connection."""
        nothing: Any = None
        request = Publish("q", Batch(nothing))
        (reply,) = self.world.ask(request)
        self.assertIsInstance(reply, InvalidArgument)
        world = World()
        replies = world.ask(request)
        world.connect()
        self.assertIsInstance(replies[0], InvalidArgument)

    def test_before_there_is_a_connection(self) -> None:
        """It waits for one."""
        world = World()
        replies = world.ask(PUBLISH)
        self.assertEqual(replies, [])
        world.connect()
        self.assertIsInstance(replies[0], PublishReply)

    def test_time_is_up(self) -> None:
        """Without a reply there is an error in time; a late reply is no second one."""
        self.link.is_mute = True
        replies = self.world.ask(PUBLISH, 2.0)
        self.world.pass_time(3)
        self.assertIsInstance(replies[0], Timeout)
        self.link.is_mute = False
        self.world.read()
        self.assertEqual(len(replies), 1)

    def test_time_is_up_without_a_connection(self) -> None:
        """The error says why there is none."""
        self.world.lose(LOST)
        replies = self.world.ask(PUBLISH, 2.0)
        self.world.pass_time(3)
        self.assertIsInstance(replies[0], Timeout)
        self.assertIn("cut", str(replies[0]))

    def test_many_at_once(self) -> None:
        """No more are open on a connection than the server takes; all are answered, and none waits too long."""
        replies = [self.world.ask(Pull(("q",), 1, wait_ms=5000)) for _ in range(1500)]
        self.assertEqual(len(self.link.kinds(Pull)), 900)
        self.world.pass_time(6)
        self.assertTrue(all(isinstance(reply, Deliveries) for each in replies for reply in each))
        self.assertEqual(sum(map(len, replies)), 1500)

    def test_beside_many_that_wait(self) -> None:
        """Whatever waits for messages, there is a place for those who publish them."""
        replies = [self.world.ask(Pull(("q",), 1, wait_ms=5000)) for _ in range(1500)]
        for _ in range(5):
            self.assertIsInstance(self.world.ask(PUBLISH)[0], PublishReply)
        self.world.pass_time(1)
        self.assertEqual(sum(map(len, replies)), 15)
        self.link.is_mute = True
        published = [self.world.ask(PUBLISH) for _ in range(150)]
        self.assertEqual(len(self.link.sent) - 15 - 5 - 1, 1000)
        self.link.is_mute = False
        self.world.read()
        self.assertEqual(sum(map(len, published)), 150)

    def test_wait_that_goes_on(self) -> None:
        """On another connection only the rest of it is asked for."""
        waiting = self.world.ask(Pull(("q",), 1, wait_ms=5000))
        self.world.pass_time(2)
        self.world.lose(LOST)
        self.world.pass_time(1)
        (pull,) = self.world.connect().kinds(Pull)
        self.assertEqual((pull.wait_ms, waiting), (2000, []))
        self.world.pass_time(1)
        self.world.lose(LOST)
        self.world.pass_time(4)
        (pull,) = self.world.connect().kinds(Pull)
        self.assertEqual((pull.wait_ms, len(waiting)), (0, 1))

    def test_ids_begin_again(self) -> None:
        """After the highest request_id, with those that are not in use."""
        self.patch(session, "LAST_ID", 4)
        link = self.world.connect()  # the first id is the connection's own question
        subscribing = Subscribing(Subscribe("pushed", 1), lambda: None)
        self.session.subscribe(subscribing)
        waiting = self.world.ask(Pull(("other",), 1, wait_ms=5000))
        for _ in range(6):
            self.assertIsInstance(self.world.ask(PUBLISH)[0], PublishReply)
        self.assertEqual((subscribing.id, waiting, link.ids[:8]), (2, [], [1, 2, 3, 4, 1, 4, 1, 4]))

    def test_close(self) -> None:
        """Whoever waits is told, and whoever comes later."""
        replies = self.world.ask(Pull(("q",), 1, wait_ms=5000))
        self.session.close()
        self.assertIsInstance(replies[0], ClientClosed)
        self.assertIsInstance(self.world.ask(PUBLISH)[0], ClientClosed)


class AgainTests(SessionTestCase):
    """What becomes of requests when the connection ends."""

    def test_publish_whose_reply_was_lost(self) -> None:
        """It is sent again, and stored once."""
        self.link.is_mute = True
        request = Publish("q", PUBLISH.batch, self.session.new_key())
        replies = self.world.ask(request)
        self.world.lose(LOST)
        self.world.connect()
        self.assertEqual(list(replies[0].sequences), [(1, 3)])
        self.assertEqual(self.depth(), 3)

    def test_publish_that_never_arrived(self) -> None:
        """It is sent again, before what was asked later."""
        self.link.is_deaf = True
        first = self.world.ask(Publish("q", Batch((b"first",)), self.session.new_key()))
        self.world.lose(LOST)
        second = self.world.ask(Publish("q", Batch((b"second",)), self.session.new_key()))
        self.world.connect()
        self.assertEqual((len(first), len(second)), (1, 1))
        self.assertEqual(list(self.pull().batch.payloads), [b"first", b"second"])

    def test_what_must_not_be_done_twice(self) -> None:
        """A purge that may have been done is not asked again; nor is a pull that takes."""
        self.link.is_mute = True
        for request in (Purge("q"), Pull(("q",), 1, delivery=Delivery.TAKEN)):
            replies = self.world.ask(request)
            self.world.lose(LOST)
            self.assertEqual(replies, [LOST])
            self.world.connect().is_mute = True

    def test_purge_that_was_not_sent(self) -> None:
        """It waits for the connection like everything else."""
        self.world.ask(PUBLISH)
        self.world.lose(LOST)
        replies = self.world.ask(Purge("q"))
        self.world.connect()
        self.assertEqual(replies[0].messages, 3)

    def test_request_that_ended_the_connection(self) -> None:
        """It is not sent again, as it would end the next one too."""
        self.link.is_mute = True
        replies = self.world.ask(PUBLISH)
        error = RequestTooLarge("too long")
        self.world.lose(error)
        self.assertEqual(replies, [error])

    def test_request_that_ended_the_connection_for_others(self) -> None:
        """Which it was is not known: none is told that it was refused, as it may have taken effect."""
        self.link.is_mute = True
        replies = [self.world.ask(PUBLISH) for _ in range(2)]
        self.world.lose(RequestTooLarge("too long"))
        for (told,) in replies:
            self.assertIsInstance(told, ConnectionLost)
            self.assertIn("too long", str(told))

    def test_server_that_drains(self) -> None:
        """What it refuses is asked of the next one."""
        self.world.broker.drain()
        replies = self.world.ask(PUBLISH)
        self.assertEqual(replies, [])
        self.world.lose(Draining())
        self.world.broker = World().broker
        self.world.connect()
        self.assertIsInstance(replies[0], PublishReply)

    def test_server_that_drains_for_long(self) -> None:
        """When the time of what it refused is up, that is the reason, and nothing is waited for any more."""
        self.world.broker.drain()
        replies = self.world.ask(PUBLISH, 1.0)
        self.assertFalse(self.world.session.is_quiet)
        self.world.pass_time(2.0)
        self.assertIsInstance(replies[0], Timeout)
        self.assertIn("draining", str(replies[0]))
        self.assertTrue(self.world.session.is_quiet)

    def test_refused_and_given_up(self) -> None:
        """The next server is not asked."""
        self.world.broker.drain()
        call = self.world.session.ask(PUBLISH, self.fail, self.world.clock.seconds())
        self.world.read()
        self.world.session.abandon(call)
        self.assertTrue(self.world.session.is_quiet)
        self.world.lose(Draining())
        self.world.broker = World().broker
        self.assertEqual(self.world.connect().kinds(Publish), [])


class LeaseTests(SessionTestCase):
    """What was delivered and not settled."""

    def test_what_is_held_stays_leased(self) -> None:
        """Far beyond its lease; acked then, it is gone."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(lease_ms=4000), self.world.clock.seconds())
        leased.ack(1)
        self.world.pass_time(60)
        self.assertEqual(self.depth(), 2)
        self.assertEqual(len(self.pull().batch.payloads), 0)
        leased.ack(0)
        leased.ack(2)
        self.world.flush()
        self.assertEqual(self.depth(), 0)
        self.assertEqual(self.session.lost_leases, 0)

    def test_what_nobody_holds(self) -> None:
        """Its lease runs out, as its user has forgotten it."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(lease_ms=4000), self.world.clock.seconds())
        del leased
        gc.collect()
        self.world.pass_time(6)
        self.assertEqual(len(self.pull().batch.payloads), 3)

    def test_not_for_ever(self) -> None:
        """A user that hangs holds nothing longer than the options allow."""
        self.world = World(Options(max_lease_seconds=10))
        self.session = self.world.session
        self.world.connect()
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(lease_ms=4000), self.world.clock.seconds())
        self.world.pass_time(20)
        self.assertEqual(len(self.pull().batch.payloads), 3)
        leased.ack(0)
        self.world.flush()
        self.assertEqual(self.session.lost_leases, 1)

    def test_acks_travel_as_ranges(self) -> None:
        """Whatever their order, and once."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(), self.world.clock.seconds())
        for index in (2, 0, 1, 1):
            leased.ack(index)
        self.world.flush()
        (settle,) = self.link.kinds(Settle)
        first = leased.deliveries.first_receipt
        self.assertEqual((settle.action, list(settle.receipts)), (Action.ACK, [(first, first + 2)]))

    def test_ack_while_there_is_no_connection(self) -> None:
        """It is sent on the next one: receipts outlive connections."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(), self.world.clock.seconds())
        self.world.lose(LOST)
        for index in range(3):
            leased.ack(index)
        self.world.flush()
        self.world.connect()
        self.assertEqual(self.depth(), 0)

    def test_ack_whose_reply_was_lost(self) -> None:
        """It is sent again; that its receipts are unknown then does not mean that they were lost."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(), self.world.clock.seconds())
        self.link.is_mute = True
        leased.ack(0)
        self.world.flush()
        confirmed = self.world.ask(Settle("q", leased.claim(1, 2)))
        self.world.lose(LOST)
        self.world.connect()
        self.assertIsInstance(confirmed[0], ConnectionLost)
        self.assertEqual((self.depth(), self.session.lost_leases), (0, 0))

    def test_verb_that_is_refused(self) -> None:
        """It is counted and logged; that it was put back, or extended, is no loss."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(), self.world.clock.seconds())
        with self.assertLogs("quickpulse.client", "WARNING") as logs:
            for action in (Action.NACK, Action.EXTEND, Action.RELEASE):
                self.session.settling.add("q", leased.open_ranges, action, delay_ms=-1)
                self.world.flush()
        self.assertEqual(self.session.lost_leases, 3)
        self.assertEqual([record.args[:3] for record in logs.records], [("nack", 3, "q"), ("extend", 3, "q")])

    def test_ack_while_there_is_no_connection_for_long(self) -> None:
        """It is not given up before the lease is."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(lease_ms=600_000), self.world.clock.seconds())
        self.world.lose(LOST)
        leased.ack(0)
        self.world.flush()
        self.world.pass_time(500, 10)
        self.world.connect()
        self.assertEqual((self.depth(), self.session.lost_leases), (2, 0))
        self.world.lose(LOST)
        leased.ack(1)
        self.world.flush()
        with self.assertLogs("quickpulse.client", "WARNING"):
            self.world.pass_time(610, 10)
        self.assertEqual(self.session.lost_leases, 1)

    def test_said_when_it_was_closed(self) -> None:
        """What was not sent is counted; what is said later is told why it is in vain, each time."""
        self.world.ask(PUBLISH)
        leased = self.session.lease(self.pull(), self.world.clock.seconds())
        leased.ack(0)
        self.session.close()
        self.assertEqual(self.session.lost_leases, 1)
        self.assertRaises(ClientClosed, leased.ack, 1)
        self.assertRaises(ClientClosed, leased.ack, 2)
        leased = self.session.lease(leased.deliveries, self.world.clock.seconds())
        self.assertRaises(ClientClosed, self.session.settling.add, "q", leased.open_ranges, Action.NACK)
        self.session.settling.add("q", leased.open_ranges, Action.RELEASE)
        self.session.release(leased.deliveries)
        self.world.flush()

    def test_pull_that_is_given_up(self) -> None:
        """The server is told: nothing is taken for it any more."""
        pull = Pull(("q",), 10, wait_ms=5000, delivery=Delivery.TAKEN)
        self.session.abandon(self.session.ask(pull, self.fail, self.world.clock.seconds()))
        self.world.ask(PUBLISH)
        self.assertEqual(self.depth(), 3)

    def test_reply_that_nobody_waits_for(self) -> None:
        """Its messages are put back at once, and the delivery does not count."""
        self.world.ask(PUBLISH)
        call = self.session.ask(Pull(("q",), 10), self.fail, self.world.clock.seconds())
        self.session.abandon(call)  # the reply is on its way
        self.world.read()
        self.world.flush()
        deliveries = self.pull()
        self.assertEqual(len(deliveries.batch.payloads), 3)
        self.assertIsNone(deliveries.delivery_counts)


class SubscriptionTests(SessionTestCase):
    """Messages that are pushed."""

    def subscribe(self, credit: int = 4) -> Subscribing:
        """One that has begun."""
        subscribing = Subscribing(Subscribe("q", credit), lambda: None)
        self.session.subscribe(subscribing)
        self.world.read()
        return subscribing

    def publish(self, count: int) -> None:
        """So many messages."""
        self.world.ask(Publish("q", Batch([b"%d" % number for number in range(count)])))
        self.world.pass_time(0.1, 0.1)

    def test_no_more_than_credit(self) -> None:
        """What is not handed on is bounded; handing on brings more."""
        subscribing = self.subscribe(4)
        self.publish(10)
        self.assertEqual(sum(len(each.deliveries.batch.payloads) for each in subscribing.helpings), 4)
        while subscribing.helpings:
            if subscribing.handed_on(subscribing.helpings.popleft()):
                self.session.add_credit(subscribing)
        self.world.pass_time(0.1, 0.1)
        self.assertEqual([each.add_messages for each in self.link.kinds(Credit)], [4])
        self.assertEqual(sum(len(each.deliveries.batch.payloads) for each in subscribing.helpings), 4)

    def test_next_connection(self) -> None:
        """It goes on there, with room for what is not here already."""
        subscribing = self.subscribe(4)
        self.publish(3)
        self.world.lose(LOST)
        link = self.world.connect()
        self.assertEqual([each.credit_messages for each in link.kinds(Subscribe)], [1])
        self.publish(3)
        self.assertEqual(sum(len(each.deliveries.batch.payloads) for each in subscribing.helpings), 4)
        self.assertFalse(subscribing.is_ended)

    def test_server_that_drains(self) -> None:
        """It goes on with the next one."""
        subscribing = self.subscribe()
        self.world.broker.drain()
        self.world.read()
        self.assertFalse(subscribing.is_ended)
        self.world.lose(Draining())
        self.world.broker = World().broker
        self.assertEqual(len(self.world.connect().kinds(Subscribe)), 1)

    def test_next_connection_without_room(self) -> None:
        """Nothing is asked for while as much is here as there may be; then as usual."""
        subscribing = self.subscribe(4)
        self.publish(10)
        self.world.lose(LOST)
        (again,) = self.world.connect().kinds(Subscribe)
        self.assertEqual((again.credit_messages, len(subscribing.helpings)), (0, 1))
        self.assertTrue(subscribing.handed_on(subscribing.helpings.popleft()))
        self.session.add_credit(subscribing)
        self.world.pass_time(1)
        self.assertEqual([len(each.deliveries.batch.payloads) for each in subscribing.helpings], [4])

    def test_little_room_in_bytes(self) -> None:
        """There is room for the next one when one was handed on."""
        subscribing = Subscribing(Subscribe("q", 100, 1), lambda: None)
        self.session.subscribe(subscribing)
        self.publish(3)
        for _ in range(3):
            self.world.pass_time(1)
            (leased,) = subscribing.helpings
            subscribing.helpings.clear()
            self.assertTrue(subscribing.handed_on(leased))
            self.session.add_credit(subscribing)

    def test_taken_back(self) -> None:
        """What the server takes back at the end of a connection is not handed on, and there is room for it again."""
        taken_back: list[int] = []
        for is_taken, handed_on, held in ((False, 3, 1), (True, 0, 4)):
            subscribing = Subscribing(Subscribe("q", 4, release_on_disconnect=is_taken), lambda: None)
            subscribing.taken_back = lambda each=subscribing: taken_back.append(len(each.helpings))
            self.session.subscribe(subscribing)
            self.publish(3)
            self.world.lose(LOST)
            self.assertEqual(sum(len(each.deliveries.batch.payloads) for each in subscribing.helpings), handed_on)
            (*_, request) = self.world.connect().kinds(Subscribe)
            self.assertEqual(request.credit_messages, held)
            self.session.unsubscribe(subscribing)
            self.world.read()
        self.assertEqual(taken_back, [1])

    def test_unsubscribe(self) -> None:
        """Its end is told, with and without a connection."""
        subscribing = self.subscribe()
        self.session.unsubscribe(subscribing)
        self.world.read()
        self.assertTrue(subscribing.is_ended)
        subscribing = self.subscribe()
        self.world.lose(LOST)
        self.session.unsubscribe(subscribing)
        self.assertTrue(subscribing.is_ended)
        self.assertEqual(self.world.connect().kinds(Subscribe), [])

    def test_pushed_while_it_ends(self) -> None:
        """What was on its way is put back at once, and the delivery does not count."""
        subscribing = self.subscribe()
        self.link.is_mute = True
        self.publish(3)
        self.session.unsubscribe(subscribing)
        self.link.is_mute = False
        self.world.read()
        self.assertEqual((len(subscribing.helpings), subscribing.is_ended), (0, True))
        self.world.flush()
        deliveries = self.pull()
        self.assertEqual(len(deliveries.batch.payloads), 3)
        self.assertIsNone(deliveries.delivery_counts)

    def test_cut_while_it_ends(self) -> None:
        """It has ended, and does not come back."""
        subscribing = self.subscribe()
        self.link.is_mute = True
        self.session.unsubscribe(subscribing)
        self.world.read()
        self.assertFalse(subscribing.is_ended)
        self.world.lose(LOST)
        self.assertTrue(subscribing.is_ended)
        self.assertEqual(self.world.connect().kinds(Subscribe), [])

    def test_refused(self) -> None:
        """The error is its end."""
        subscribing = Subscribing(Subscribe("not a name!", 1), lambda: None)
        self.session.subscribe(subscribing)
        self.world.read()
        self.assertTrue(subscribing.is_ended)
        self.assertIsNotNone(subscribing.error)


class LifeTests(SessionTestCase):
    """Whether the server is there."""

    def test_silence(self) -> None:
        """A silent connection is asked for a sign of life, and given up without one."""
        self.world.pass_time(20)
        self.assertEqual((self.link.pings, self.world.cuts), (1, 0))
        self.world.pass_time(15)
        self.assertEqual((self.link.pings, self.world.cuts), (1, 1))

    def test_sign_of_life(self) -> None:
        """With one it lives on."""
        for _ in range(4):
            self.world.pass_time(16)
            self.session.receive(b"", self.world.clock.seconds())
        self.assertEqual(self.world.cuts, 0)

    def test_server_that_does_not_introduce_itself(self) -> None:
        """A connection on which nobody answers is no connection."""
        self.world.lose(LOST)
        self.world.link = link = type(self.link)(self.world.broker)
        link.is_mute = True
        self.session.connected(link, self.world.clock.seconds())
        self.world.pass_time(6)
        self.assertEqual(self.world.cuts, 1)
        self.assertFalse(self.session.is_ready)
