"""v1 as its users see it, story by story, over anything that carries its requests.

A test class inherits `BrokerScenario` for the requests, `SubscriptionScenario` for what is pushed, says in `open_peer`
how a fresh server is reached, and every story is one of its tests. Times are real and short; none is asserted: what
must not come meanwhile is a minute away, what must come is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from quickpulse.errors import QuickPulseError
from quickpulse.requests import (
    Action,
    Batch,
    Credit,
    DeadLetter,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Overflow,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    PublishReply,
    Pull,
    Purge,
    QueueInfo,
    Redrive,
    Resume,
    SetPolicy,
    Settle,
    SettleReply,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
    Unsubscribe,
)
from quickpulse.wire.v1.errors import retry_after_ms
from tests.serving import in_loop

SOON_MS = 30
"""Waited for."""

FAR_MS = 60_000
"""Not reached in a test."""

STORY_SECONDS = 30


class Peer(Protocol):
    """How a story reaches the server."""

    async def ask(self, request: Any) -> Any:
        """The reply to a request; raises the QuickPulseError that it is answered with. May be cancelled."""

    async def close(self) -> None:
        """The story is over."""


class Conversation(Protocol):
    """Frames both ways."""

    async def send(self, request_id: int, request: Any) -> None:
        """A request."""

    async def receive(self) -> tuple[int, Any]:
        """The next reply, error, or what is pushed."""

    async def close(self) -> None:
        """Leave."""


def story(method: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Deferred]:
    """A test that is played in the reactor's loop, with a peer of its own."""

    @wraps(method)
    def play(self: Any) -> Deferred:
        async def run() -> None:
            self.peer = await self.open_peer()
            try:
                await method(self)
            finally:
                await self.peer.close()

        return in_loop(asyncio.wait_for(run(), STORY_SECONDS))

    return play


def payloads(deliveries: Deliveries) -> list[bytes]:
    """Of what was handed out."""
    return list(deliveries.batch.payloads)


def counts(deliveries: Deliveries) -> list[int]:
    """How often each was delivered."""
    return list(deliveries.delivery_counts or [1] * len(deliveries.batch.payloads))


class Asking:
    """What the stories say to the server, in short."""

    peer: Peer

    async def open_peer(self) -> Peer:
        """A way to a server without queues."""
        raise NotImplementedError

    async def publish(self, *messages: bytes, queue: str = "q", key: bytes = b"", **properties: Any) -> PublishReply:
        """Put in."""
        common = Properties(**properties) if properties else None
        return await self.peer.ask(Publish(queue, Batch(messages, common), key))

    async def pull(self, *queues: str, **options: Any) -> Deliveries:
        """Take out, or wait."""
        return await self.peer.ask(Pull(queues or ("q",), **options))

    async def settle(
        self, deliveries: Deliveries, action: Action = Action.ACK, *, queue: str = "q", **options: Any
    ) -> SettleReply:
        """Say what became of all of them."""
        last = deliveries.first_receipt + len(deliveries.batch.payloads) - 1
        return await self.peer.ask(Settle(queue, ((deliveries.first_receipt, last),), action, **options))

    async def info(self, queue: str = "q") -> QueueInfo:
        """The queue now."""
        return await self.peer.ask(GetQueue(queue))

    async def error(self, request: Any) -> QuickPulseError:
        """What a request is refused with."""
        try:
            reply = await self.peer.ask(request)
        except QuickPulseError as error:
            return error
        raise AssertionError(f"answered with {reply}")

    async def until(self, holds: Callable[[QueueInfo], bool], queue: str = "q") -> None:
        """Look at the queue until it is so."""
        for _ in range(1000):
            if holds(await self.info(queue)):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it did not come to pass: {await self.info(queue)}")

    async def assert_holds(self, ready: int, leased: int, delayed: int = 0, queue: str = "q") -> None:
        """How many messages are where."""
        info = await self.info(queue)
        self.assertEqual((info.ready, info.leased, info.delayed), (ready, leased, delayed))  # type: ignore[attr-defined]


class MessageStories(Asking):
    """Messages go in, are held, and end."""

    @story
    async def test_publish_pull_ack(self) -> None:
        """In order, a batch with consecutive receipts; gone after the ack."""
        reply = await self.publish(b"a", b"", b"\xff" * 1000)
        self.assertEqual([tuple(each) for each in reply.sequences], [(1, 3)])
        self.assertEqual((list(reply.duplicates), list(reply.rejections)), ([], []))
        held = await self.pull(max_messages=10)
        self.assertEqual((held.queue, payloads(held), counts(held)), ("q", [b"a", b"", b"\xff" * 1000], [1, 1, 1]))
        self.assertGreater(held.first_receipt, 0)
        self.assertEqual(held.lease_ms, 30_000)
        await self.assert_holds(0, 3)
        self.assertEqual((await self.settle(held)).settled, 3)
        await self.assert_holds(0, 0)

    @story
    async def test_nothing_there(self) -> None:
        """Empty, at once; and when the time to wait is up."""
        self.assertEqual(payloads(await self.pull()), [])
        nothing = await self.pull(wait_ms=SOON_MS)
        self.assertEqual((payloads(nothing), nothing.first_receipt), ([], 0))

    @story
    async def test_properties(self) -> None:
        """They travel with their message, its own over those of all."""
        own = Properties(id="7", headers={"a": "b", "ü": "ö"}, content_type="text/plain", priority=3)
        common = Properties(reply_to="answers", correlation_id="c", priority=3)
        await self.peer.ask(Publish("q", Batch((b"x", b"y"), common, {1: own})))
        held = await self.pull(max_messages=2, with_enqueued_at=True)
        self.assertEqual(payloads(held), [b"x", b"y"])
        first, second = (held.batch.properties.get(index) or held.batch.common for index in (0, 1))
        self.assertEqual((first.reply_to, first.correlation_id, first.id), ("answers", "c", ""))
        self.assertEqual((second.id, dict(second.headers), second.content_type), ("7", own.headers, "text/plain"))
        self.assertEqual((second.reply_to or held.batch.common.reply_to), "answers")
        self.assertEqual(len(held.enqueued_at_ms), 2)

    @story
    async def test_taken(self) -> None:
        """At most once: no receipt, and gone."""
        await self.publish(b"a")
        taken = await self.pull(delivery=Delivery.TAKEN)
        self.assertEqual((payloads(taken), taken.first_receipt), ([b"a"], 0))
        await self.assert_holds(0, 0)

    @story
    async def test_several_queues(self) -> None:
        """The first that has a message."""
        await self.publish(b"b", queue="second")
        held = await self.pull("first", "second")
        self.assertEqual((held.queue, payloads(held)), ("second", [b"b"]))

    @story
    async def test_nack(self) -> None:
        """Again, after the delay that it asks for, and counted."""
        await self.publish(b"a")
        self.assertEqual((await self.settle(await self.pull(), Action.NACK, delay_ms=SOON_MS)).settled, 1)
        again = await self.pull(wait_ms=FAR_MS)
        self.assertEqual((payloads(again), counts(again)), ([b"a"], [2]))
        await self.settle(again, Action.NACK, delay_ms=FAR_MS)
        self.assertEqual(payloads(await self.pull()), [])
        await self.assert_holds(0, 0, 1)

    @story
    async def test_nack_by_policy(self) -> None:
        """Without a delay of its own, as the queue has it."""
        await self.peer.ask(SetPolicy("q", Policy(retry_delays_ms=(0, FAR_MS))))
        await self.publish(b"a")
        await self.settle(await self.pull(), Action.NACK)
        await self.settle(await self.pull(), Action.NACK)
        await self.assert_holds(0, 0, 1)

    @story
    async def test_release(self) -> None:
        """Back to its place, and not counted."""
        await self.publish(b"a", b"b")
        await self.settle(await self.pull(), Action.RELEASE)
        again = await self.pull()
        self.assertEqual((payloads(again), counts(again)), ([b"a"], [1]))

    @story
    async def test_extend(self) -> None:
        """More time: it does not come back when the first lease would have ended."""
        await self.publish(b"a")
        held = await self.pull(lease_ms=500)
        self.assertEqual(held.lease_ms, 500)
        self.assertEqual((await self.settle(held, Action.EXTEND, lease_ms=FAR_MS)).settled, 1)
        self.assertEqual(payloads(await self.pull(wait_ms=700)), [])
        self.assertEqual((await self.settle(held)).settled, 1)

    @story
    async def test_expiry(self) -> None:
        """A lease that ends by itself: somebody else has the message, and a late ack removes nothing."""
        await self.publish(b"a")
        late = await self.pull(lease_ms=SOON_MS)
        again = await self.pull(wait_ms=FAR_MS)
        self.assertEqual((payloads(again), counts(again)), ([b"a"], [2]))
        reply = await self.settle(late)
        self.assertEqual((reply.settled, [tuple(each) for each in reply.unknown]), (0, [(late.first_receipt,) * 2]))
        await self.assert_holds(0, 1)
        self.assertEqual((await self.settle(again)).settled, 1)

    @story
    async def test_some_receipts_are_unknown(self) -> None:
        """Each range means exactly what was given; twice is unknown, and no error."""
        await self.publish(b"a", b"b", b"c")
        first = (await self.pull(max_messages=3)).first_receipt
        await self.peer.ask(Settle("q", ((first + 1, first + 1),)))
        reply = await self.peer.ask(Settle("q", ((first, first + 2), (first + 100, first + 101))))
        self.assertEqual(reply.settled, 2)
        self.assertEqual([tuple(each) for each in reply.unknown], [(first + 1, first + 1), (first + 100, first + 101)])

    @story
    async def test_dead_letter(self) -> None:
        """Told to be hopeless, or delivered too often: in the dead-letter queue, with where from and why."""
        await self.peer.ask(SetPolicy("q", Policy(max_deliveries=1)))
        await self.publish(b"hopeless", b"often")
        await self.settle(await self.pull(), Action.DEAD_LETTER, reason="cannot be read")
        await self.settle(await self.pull(), Action.NACK, delay_ms=0)
        await self.assert_holds(0, 0)
        dead = await self.pull("q.dead", max_messages=5)
        self.assertEqual(payloads(dead), [b"hopeless", b"often"])
        self.assertEqual(dead.dead_letters[0], DeadLetter("q", "cannot be read", 1))
        self.assertEqual((dead.dead_letters[1].source, dead.dead_letters[1].deliveries), ("q", 1))

    @story
    async def test_redrive(self) -> None:
        """Dead letters go back to where they came from, as new messages, or elsewhere."""
        await self.publish(b"a", b"b")
        await self.settle(await self.pull(max_messages=2), Action.DEAD_LETTER, reason="no")
        self.assertEqual((await self.peer.ask(Redrive("q.dead", max_messages=1))).messages, 1)
        again = await self.pull()
        self.assertEqual((payloads(again), counts(again)), ([b"a"], [1]))
        self.assertEqual((await self.peer.ask(Redrive("q.dead", "elsewhere"))).messages, 1)
        self.assertEqual(payloads(await self.pull("elsewhere")), [b"b"])
        await self.assert_holds(0, 0, queue="q.dead")


class PublishingStories(Asking):
    """What messages ask for, and what a queue accepts."""

    @story
    async def test_delay(self) -> None:
        """Ready when it is due; whoever waits gets it then."""
        await self.publish(b"far", delay_ms=FAR_MS)
        await self.publish(b"soon", delay_ms=SOON_MS)
        self.assertEqual(payloads(await self.pull(wait_ms=FAR_MS)), [b"soon"])
        await self.assert_holds(0, 1, 1)

    @story
    async def test_time_to_live(self) -> None:
        """Void when it is over."""
        await self.publish(b"brief", ttl_ms=SOON_MS)
        await self.publish(b"lasting", ttl_ms=FAR_MS)
        await self.until(lambda info: info.ready == 1)
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"lasting"])
        self.assertEqual((await self.info()).counts["void"], 1)

    @story
    async def test_time_to_live_of_what_is_held(self) -> None:
        """It is not void while somebody holds it."""
        await self.publish(b"a", ttl_ms=500)
        held = await self.pull()
        self.assertEqual(payloads(await self.pull(wait_ms=600)), [])
        self.assertEqual((await self.settle(held)).settled, 1)

    @story
    async def test_priority(self) -> None:
        """The higher first; in one priority in order."""
        for payload, priority in ((b"low", 0), (b"high 1", 9), (b"middle", 5), (b"high 2", 9)):
            await self.publish(payload, priority=priority)
        self.assertEqual(payloads(await self.pull(max_messages=10)), [b"high 1", b"high 2", b"middle", b"low"])

    @story
    async def test_dedup_key(self) -> None:
        """A second one with the key is not stored; it outlives the ack."""
        await self.publish(b"a", dedup_key="k")
        await self.settle(await self.pull())
        keys = {0: Properties(dedup_key="k"), 1: Properties(dedup_key="other")}
        reply = await self.peer.ask(Publish("q", Batch((b"b", b"c"), None, keys)))
        self.assertEqual((list(reply.duplicates), [tuple(each) for each in reply.sequences]), ([0], [(2, 2)]))
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"c"])

    @story
    async def test_batch_key(self) -> None:
        """A repeat stores nothing and gets the first reply."""
        first = await self.publish(b"a", b"b", key=b"batch 1")
        self.assertEqual(await self.publish(b"a", b"b", key=b"batch 1"), first)
        await self.assert_holds(2, 0)

    @story
    async def test_overflow(self) -> None:
        """A full queue refuses the rest of a batch, each with the reason; all or none stores none."""
        await self.peer.ask(SetPolicy("q", Policy(capacity=2)))
        reply = await self.publish(b"a", b"b", b"c", b"d")
        self.assertEqual([tuple(each) for each in reply.sequences], [(1, 2)])
        self.assertEqual([each.index for each in reply.rejections], [2, 3])
        self.assertEqual({each.error.code for each in reply.rejections}, {"QUEUE_FULL"})
        await self.settle(await self.pull())
        reply = await self.peer.ask(Publish("q", Batch((b"e", b"f")), atomic=True))
        self.assertEqual((list(reply.sequences), [each.index for each in reply.rejections]), ([], [0, 1]))
        await self.assert_holds(1, 0)
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"b"])

    @story
    async def test_drop_oldest(self) -> None:
        """Where the policy says so, the oldest ready ones go, counted."""
        await self.peer.ask(SetPolicy("q", Policy(capacity=2, overflow=Overflow.DROP_OLDEST)))
        reply = await self.publish(b"a", b"b", b"c")
        self.assertEqual(list(reply.rejections), [])
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"b", b"c"])
        self.assertEqual((await self.info()).counts["dropped"], 1)

    @story
    async def test_partial_rejection(self) -> None:
        """What is wrong is refused by its index, the others are there, in order."""
        wrong = {1: Properties(priority=10)}
        reply = await self.peer.ask(Publish("q", Batch((b"a", b"b", b"c"), None, wrong)))
        self.assertEqual([(each.index, each.error.code) for each in reply.rejections], [(1, "INVALID_ARGUMENT")])
        self.assertEqual([tuple(each) for each in reply.sequences], [(1, 2)])
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"a", b"c"])

    @story
    async def test_too_large(self) -> None:
        """A message over the limit is refused alone."""
        limits = (await self.peer.ask(GetServerInfo())).limits
        reply = await self.publish(b"a", bytes(limits["max_message_bytes"] + 1), b"b")
        self.assertEqual([(each.index, each.error.code) for each in reply.rejections], [(1, "MESSAGE_TOO_LARGE")])
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"a", b"b"])


class WaitingStories(Asking):
    """Long polls."""

    async def wait_for_message(self, *queues: str, **options: Any) -> asyncio.Task[Deliveries]:
        """A pull that waits; the server knows of it."""
        name = (queues or ("q",))[0]
        waiting = asyncio.ensure_future(self.pull(*queues, wait_ms=FAR_MS, **options))
        while not [each for each in (await self.peer.ask(ListQueues(name))).queues if each.waiters]:
            await asyncio.sleep(0.005)
        return waiting

    @story
    async def test_a_message_comes(self) -> None:
        """To the one that waits."""
        waiting = await self.wait_for_message(max_messages=5)
        await self.publish(b"a", b"b")
        self.assertEqual(payloads(await waiting), [b"a", b"b"])

    @story
    async def test_it_waits_for_any_of_several(self) -> None:
        """Whichever has one."""
        waiting = await self.wait_for_message("q", "other")
        await self.publish(b"a", queue="other")
        held = await waiting
        self.assertEqual((held.queue, payloads(held)), ("other", [b"a"]))

    @story
    async def test_one_that_goes_away(self) -> None:
        """Nothing is leased or taken for it."""
        for delivery in Delivery:
            waiting = await self.wait_for_message(delivery=delivery)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await self.until(lambda info: not info.waiters)
        await self.publish(b"a")
        await self.assert_holds(1, 0)
        held = await self.pull()
        self.assertEqual((payloads(held), counts(held)), ([b"a"], [1]))

    @story
    async def test_a_queue_that_is_deleted(self) -> None:
        """Who waits gets nothing."""
        waiting = await self.wait_for_message()
        await self.peer.ask(DeleteQueue("q"))
        self.assertEqual(payloads(await waiting), [])


class AdministrationStories(Asking):
    """Queues are looked at and told how to behave."""

    @story
    async def test_pause(self) -> None:
        """As if it were empty; publishes too only where asked for; all goes on after it."""
        await self.publish(b"a")
        info = await self.peer.ask(Pause("q"))
        self.assertEqual((info.paused, info.publish_paused), (True, False))
        self.assertEqual(payloads(await self.pull(wait_ms=SOON_MS)), [])
        await self.publish(b"b")
        self.assertTrue((await self.peer.ask(Pause("q", publishes=True))).publish_paused)
        error = await self.error(Publish("q", Batch((b"c",))))
        self.assertEqual(error.code, "PAUSED")
        self.assertGreater(retry_after_ms(error), 0)
        info = await self.peer.ask(Resume("q"))
        self.assertEqual((info.paused, info.publish_paused), (False, False))
        self.assertEqual(payloads(await self.pull(max_messages=5)), [b"a", b"b"])

    @story
    async def test_peek(self) -> None:
        """A look that changes nothing."""
        await self.publish(b"a", b"b", b"c")
        seen = await self.peer.ask(Peek("q", max_messages=2))
        self.assertEqual((payloads(seen), list(seen.sequences), seen.first_receipt), ([b"a", b"b"], [1, 2], 0))
        await self.assert_holds(3, 0)

    @story
    async def test_purge(self) -> None:
        """What is ready or delayed goes; what is held is somebody's."""
        await self.publish(b"held", b"ready")
        held = await self.pull()
        await self.publish(b"delayed", delay_ms=FAR_MS)
        self.assertEqual((await self.peer.ask(Purge("q"))).messages, 2)
        await self.assert_holds(0, 1)
        self.assertEqual((await self.settle(held)).settled, 1)

    @story
    async def test_delete(self) -> None:
        """With all that is in it, leases included."""
        await self.publish(b"a", b"b")
        held = await self.pull()
        self.assertEqual((await self.peer.ask(DeleteQueue("q"))).messages, 2)
        self.assertEqual((await self.error(GetQueue("q"))).code, "NOT_FOUND")
        await self.publish(b"new")
        self.assertEqual((await self.settle(held)).settled, 0)

    @story
    async def test_policies_and_lists(self) -> None:
        """What is set is told, in full; queues are listed by name."""
        for name in ("jobs.b", "jobs.a", "else"):
            await self.publish(b"x", queue=name)
        policy = Policy(lease_ms=5000, max_deliveries=0, dead_letter_queue="", retry_delays_ms=(1, 2))
        info = await self.peer.ask(SetPolicy("jobs.a", policy))
        self.assertTrue(info.has_policy)
        self.assertEqual((info.policy.lease_ms, list(info.policy.retry_delays_ms)), (5000, [1, 2]))
        self.assertEqual((info.policy.overflow, info.policy.capacity), (Overflow.REJECT, 1_000_000))
        page = await self.peer.ask(ListQueues("jobs."))
        self.assertEqual(
            [(each.name, each.ready, each.has_policy) for each in page.queues],
            [("jobs.a", 1, True), ("jobs.b", 1, False)],
        )
        self.assertEqual((await self.pull("jobs.a")).lease_ms, 5000)
        self.assertEqual(page.next_page_token, "")
        self.assertEqual(list((await self.peer.ask(ListQueues("nothing"))).queues), [])

    @story
    async def test_queues_page_by_page(self) -> None:
        """By name; a page's token leads to what comes behind it, whatever was made or thrown away meanwhile."""
        for name in ("jobs.c", "jobs.a", "jobs.b"):
            await self.publish(b"x", queue=name)
        page = await self.peer.ask(ListQueues("jobs.", 2))
        self.assertEqual([each.name for each in page.queues], ["jobs.a", "jobs.b"])
        await self.peer.ask(DeleteQueue("jobs.b"))
        page = await self.peer.ask(ListQueues("jobs.", 2, page.next_page_token))
        self.assertEqual([each.name for each in page.queues], ["jobs.c"])
        self.assertEqual(page.next_page_token, "")

    @story
    async def test_what_the_server_is(self) -> None:
        """Version, instance, bounds and what it can."""
        info = await self.peer.ask(GetServerInfo())
        self.assertIn("leases", list(info.capabilities))
        self.assertGreater(info.limits["max_batch_bytes"], 0)

    @story
    async def test_refusals(self) -> None:
        """Each with its word; the connection lives."""
        for request, code in (
            (GetQueue("nowhere"), "NOT_FOUND"),
            (Purge("nowhere"), "NOT_FOUND"),
            (Publish("no name", Batch((b"a",))), "INVALID_ARGUMENT"),
            (Publish("$reserved", Batch((b"a",))), "INVALID_ARGUMENT"),
            (Pull(()), "INVALID_ARGUMENT"),
            (Settle("q", ((1, 10_000_000),)), "INVALID_ARGUMENT"),
            (Settle("q", ((2, 1),)), "INVALID_ARGUMENT"),
            (SetPolicy("q", Policy(capacity=0)), "INVALID_ARGUMENT"),
        ):
            error = await self.error(request)
            self.assertEqual(error.code, code, request)
            self.assertEqual(retry_after_ms(error), 0, request)
        await self.publish(b"a")
        self.assertEqual(payloads(await self.pull()), [b"a"])


class BrokerScenario(MessageStories, PublishingStories, WaitingStories, AdministrationStories):
    """All stories that need requests only."""


class SubscriptionScenario(Asking):
    """What is pushed. `converse` opens a conversation with the server that the peer asks, too."""

    async def converse(self) -> Conversation:
        """Frames both ways."""
        raise NotImplementedError

    async def subscribed(self, request_id: int = 1, credit: int = 100, **options: Any) -> Conversation:
        """A conversation that has subscribed to q."""
        conversation = await self.converse()
        await conversation.send(request_id, Subscribe("q", credit, **options))
        self.assertEqual(await conversation.receive(), (request_id, Subscribed()))
        return conversation

    async def pushed(self, conversation: Conversation, count: int, request_id: int = 1) -> list[Deliveries]:
        """Deliveries with so many messages in all."""
        got: list[Deliveries] = []
        while sum(len(each.batch.payloads) for each in got) < count:
            number, deliveries = await conversation.receive()
            self.assertEqual((number, type(deliveries)), (request_id, Deliveries))
            got.append(deliveries)
        self.assertEqual(sum(len(each.batch.payloads) for each in got), count)
        return got

    @staticmethod
    def all_of(deliveries: Sequence[Deliveries]) -> list[bytes]:
        """Their payloads."""
        return [payload for each in deliveries for payload in each.batch.payloads]

    @story
    async def test_subscribe_and_ack(self) -> None:
        """What is there, and what comes, under the id of the subscription; acked on the same conversation."""
        await self.publish(b"a")
        conversation = await self.subscribed(7)
        got = await self.pushed(conversation, 1, 7)
        await self.publish(b"b", b"c")
        got += await self.pushed(conversation, 2, 7)
        self.assertEqual(self.all_of(got), [b"a", b"b", b"c"])
        receipts = [(each.first_receipt, each.first_receipt + len(each.batch.payloads) - 1) for each in got]
        await conversation.send(8, Settle("q", receipts))
        number, reply = await conversation.receive()
        self.assertEqual((number, reply.settled, list(reply.unknown)), (8, 3, []))
        await self.assert_holds(0, 0)
        await conversation.close()

    @story
    async def test_credit(self) -> None:
        """No more than there is credit for, until more is given."""
        await self.publish(*[b"%d" % number for number in range(10)])
        conversation = await self.subscribed(credit=3)
        self.assertEqual(self.all_of(await self.pushed(conversation, 3)), [b"0", b"1", b"2"])
        await self.assert_holds(7, 3)
        await conversation.send(2, Credit(1, 5))
        self.assertEqual(self.all_of(await self.pushed(conversation, 5)), [b"3", b"4", b"5", b"6", b"7"])
        await self.assert_holds(2, 8)
        await conversation.close()

    @story
    async def test_credit_in_bytes(self) -> None:
        """Spent by what is delivered; the last message may cost more than there was."""
        await self.publish(bytes(60), bytes(60), bytes(60))
        conversation = await self.subscribed(credit_bytes=100)
        first = await self.pushed(conversation, 1)
        await self.until(lambda info: info.leased in (1, 2))
        await conversation.send(2, Credit(1, 0, 1000))
        rest = await self.pushed(conversation, 2)
        self.assertEqual(len(self.all_of(first + rest)), 3)
        await conversation.close()

    @story
    async def test_unsubscribe(self) -> None:
        """Its end is told, and nothing is pushed any more; what it holds stays held."""
        await self.publish(b"a")
        conversation = await self.subscribed()
        await self.pushed(conversation, 1)
        await conversation.send(2, Unsubscribe(1))
        self.assertEqual(await conversation.receive(), (1, SubscriptionEnded()))
        await self.publish(b"b")
        await self.assert_holds(1, 1)
        await conversation.close()

    @story
    async def test_a_subscriber_that_leaves(self) -> None:
        """What it holds comes back at once where it asked for that."""
        for has_unsubscribed in (False, True):
            conversation = await self.subscribed(release_on_disconnect=True)
            await self.publish(b"a")
            await self.pushed(conversation, 1)
            if has_unsubscribed:
                await conversation.send(2, Unsubscribe(1))
                self.assertEqual(await conversation.receive(), (1, SubscriptionEnded()))
                await self.assert_holds(0, 1)
            await conversation.close()
            await self.until(lambda info: info.ready == 1 and not info.waiters)
            again = await self.pull()
            self.assertEqual(counts(again), [2])
            await self.settle(again)

    @story
    async def test_two_share(self) -> None:
        """Each message to one of them."""
        one, other = await self.subscribed(credit=2), await self.subscribed(credit=2)
        await self.publish(b"a", b"b", b"c", b"d")
        got = await self.pushed(one, 2) + await self.pushed(other, 2)
        self.assertEqual(sorted(self.all_of(got)), [b"a", b"b", b"c", b"d"])
        await one.close()
        await other.close()

    @story
    async def test_a_queue_that_is_deleted(self) -> None:
        """The subscription ends with the reason."""
        conversation = await self.subscribed()
        await self.peer.ask(DeleteQueue("q"))
        number, ended = await conversation.receive()
        self.assertEqual((number, type(ended), ended.error.code), (1, SubscriptionEnded, "NOT_FOUND"))
        await conversation.close()

    @story
    async def test_too_much_credit(self) -> None:
        """It ends the subscription, not the conversation."""
        conversation = await self.subscribed()
        await conversation.send(2, Credit(1, (1 << 31) - 1))
        number, ended = await conversation.receive()
        self.assertEqual((number, ended.error.code), (1, "INVALID_ARGUMENT"))
        await conversation.send(3, GetQueue("nowhere"))
        number, error = await conversation.receive()
        self.assertEqual((number, error.code), (3, "NOT_FOUND"))
        await conversation.close()

    @story
    async def test_replies_overtake(self) -> None:
        """A pull that waits holds up none; requests take effect in order."""
        conversation = await self.converse()
        await conversation.send(1, Pull(("empty",), wait_ms=FAR_MS))
        await conversation.send(2, Publish("q", Batch((b"a",))))
        await conversation.send(3, Pull(("q",), delivery=Delivery.TAKEN))
        await conversation.send(4, Publish("empty", Batch((b"b",))))
        replies = dict([await conversation.receive() for _ in range(4)])
        self.assertEqual((payloads(replies[3]), payloads(replies[1])), ([b"a"], [b"b"]))
        await conversation.close()

    @story
    async def test_ids(self) -> None:
        """0, and one that is open, are refused."""
        conversation = await self.subscribed(1)
        for request_id in (0, 1):
            await conversation.send(request_id, GetServerInfo())
            number, error = await conversation.receive()
            self.assertEqual((number, error.code), (request_id, "INVALID_ARGUMENT"))
        await conversation.close()

    @story
    async def test_a_pull_that_is_given_up(self) -> None:
        """It is answered, empty, and nothing is taken for it; one that does not wait, or any more, is not meant."""
        conversation = await self.converse()
        for delivery in Delivery:
            await conversation.send(1, Pull(("q",), wait_ms=FAR_MS, delivery=delivery))
            await conversation.send(2, Unsubscribe(1))
            number, reply = await conversation.receive()
            self.assertEqual((number, payloads(reply)), (1, []))
            await conversation.send(3, Unsubscribe(1))
        await self.publish(b"a")
        await self.assert_holds(1, 0)
        await conversation.close()

    @story
    async def test_one_that_vanishes_while_it_waits(self) -> None:
        """Nothing is leased for it."""
        conversation = await self.converse()
        await conversation.send(1, Pull(("q",), wait_ms=FAR_MS))
        await conversation.send(2, GetServerInfo())
        await conversation.receive()
        await self.until(lambda info: info.waiters == 1)
        await conversation.close()
        await self.until(lambda info: not info.waiters)
        await self.publish(b"a")
        await self.assert_holds(1, 0)
