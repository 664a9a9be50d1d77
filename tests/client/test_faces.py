"""What the three clients promise alike, story by story: asyncio's, Twisted's, and the blocking one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from quickpulse.client import ClientClosed, ConnectionRefused, LeaseLost, Options, PartialPublish, Timeout
from quickpulse.errors import InvalidArgument, NotFound, QueueFull
from quickpulse.requests import Policy
from tests.client.peers import AioPeer, BlockingPeer, ClientPeer, TxPeer
from tests.client.proxy import Proxy, free_port
from tests.client.servers import shared_server
from tests.serving import in_loop

STORY_SECONDS = 60

USUAL = Options()

AT_ONCE = Policy(retry_delays_ms=(0,))


def story(method: Callable[[Any, ClientPeer, Any], Awaitable[None]]) -> Callable[[Any], Deferred]:
    """A test that is played in the reactor's loop, with a client and an empty queue of its own."""

    @wraps(method)
    def play(self: Any) -> Deferred:
        async def run() -> None:
            peer = await self.open(shared_server().target)
            try:
                await method(self, peer, peer.client.queue(self.id().partition("tests.client.")[2]))
            finally:
                await peer.close()

        return in_loop(asyncio.wait_for(run(), STORY_SECONDS))

    return play


class Stories:
    """A class below says of whom."""

    make_peer: type[ClientPeer]

    def cancelled(self) -> Any:
        """What somebody awaits that was cancelled, or the exception that this is."""
        raise NotImplementedError

    async def open(self, port: str, options: Options = USUAL, **how: Any) -> ClientPeer:
        """A client."""
        return await self.make_peer().open(port, options, **how)

    @story
    async def test_an_ack_makes_room(self: Any, peer: ClientPeer, queue: Any) -> None:
        """What was said of messages is sent before a publish, too: a full queue takes the result of its last job."""
        await peer.call(queue.set_policy, Policy(capacity=1))
        await peer.call(queue.publish, b"job")
        for _ in range(20):
            message = await peer.call(queue.get, wait_seconds=5)
            message.ack()
            await peer.call(queue.publish, b"result")
        self.assertEqual((await peer.call(queue.stats)).ready, 1)

    @story
    async def test_leaving_a_message(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Success acks; an exception nacks and goes on; somebody who is interrupted puts it back, uncounted."""
        await peer.call(queue.set_policy, AT_ONCE)
        await peer.call(queue.publish, b"x")
        message = await peer.call(queue.get)
        with self.assertRaises(ZeroDivisionError), message:
            raise ZeroDivisionError
        again = await peer.call(queue.get, wait_seconds=10)
        self.assertEqual(again.delivery_count, 2)
        with self.assertRaises(KeyboardInterrupt), again:
            raise KeyboardInterrupt
        last = await peer.call(queue.get, wait_seconds=10)
        self.assertEqual(last.delivery_count, 2)
        with last:
            pass
        info = await peer.call(queue.stats)
        self.assertEqual((info.ready, info.leased, info.counts["acked"], info.counts["nacked"]), (0, 0, 1, 1))

    @story
    async def test_leaving_a_batch(self: Any, peer: ClientPeer, queue: Any) -> None:
        """The same of all that was not settled one by one."""
        await peer.call(queue.set_policy, AT_ONCE)
        await peer.call(queue.publish_many, [b"0", b"1", b"2"])
        batch = await peer.call(queue.pull, max_messages=3)
        with self.assertRaises(ZeroDivisionError), batch:
            batch[1].ack()
            raise ZeroDivisionError
        batch = await peer.call(queue.pull, max_messages=3, wait_seconds=10)
        self.assertEqual(list(batch.payloads), [b"0", b"2"])
        with batch:
            pass
        self.assertEqual((await peer.call(queue.stats)).counts["acked"], 3)

    @story
    async def test_lost_lease(self: Any, peer: ClientPeer, queue: Any) -> None:
        """With `confirm` every verb says so, and how many; without it they are counted."""
        await peer.call(queue.publish_many, [b"%d" % number for number in range(7)])
        batch = await peer.call(queue.pull, max_messages=7)
        await peer.call(queue.delete)
        one = batch[0]
        for verb, options in (
            (batch[1].ack, {}),
            (batch[2].nack, {}),
            (batch[3].release, {}),
            (one.extend, {"seconds": 5}),
            (one.dead_letter, {"reason": "no"}),
        ):
            with self.assertRaises(LeaseLost) as caught:
                await peer.call(verb, confirm=True, **options)
            self.assertEqual(caught.exception.messages, 1)
        with self.assertRaises(LeaseLost) as caught:
            await peer.call(batch.ack, confirm=True)
        self.assertEqual(caught.exception.messages, 3)
        other = peer.client.queue(f"{queue.name}.other")
        await peer.call(other.publish, b"x")
        message = await peer.call(other.get)
        await peer.call(other.delete)
        message.ack()
        await peer.call(other.take_many, 1)
        self.assertEqual(peer.client.lost_leases, 1)

    @story
    async def test_confirmed(self: Any, peer: ClientPeer, queue: Any) -> None:
        """What is confirmed is done."""
        await peer.call(queue.publish_many, [b"0", b"1"])
        batch = await peer.call(queue.pull, max_messages=2)
        await peer.call(batch[0].ack, confirm=True)
        self.assertEqual((await peer.call(queue.stats)).leased, 1)
        await peer.call(batch.release, confirm=True)
        self.assertEqual((await peer.call(queue.stats)).ready, 1)

    @story
    async def test_confirmed_after_another_verb(self: Any, peer: ClientPeer, queue: Any) -> None:
        """The first verb counts; that another one is done is not confirmed. Nor anything of what was looked at."""
        await peer.call(queue.publish_many, [b"0", b"1", b"2"])
        batch = await peer.call(queue.pull, max_messages=2)
        batch[0].ack()
        batch[1].nack(delay_seconds=3600)
        for verb in (batch[0].nack, batch[0].ack, batch[1].ack, batch[1].release):
            with self.assertRaises(InvalidArgument):
                await peer.call(verb, confirm=True)
        await peer.call(batch.ack, confirm=True)  # of the rest, which is none
        looked_at = await peer.call(queue.peek)
        for verb in (looked_at.ack, looked_at[0].ack, looked_at[0].nack):
            for confirm in (False, True):
                with self.assertRaises(InvalidArgument):
                    await peer.call(verb, confirm=confirm)
        with self.assertRaises(InvalidArgument):
            await peer.call(queue.peek, 0)
        with self.assertRaises(ZeroDivisionError), looked_at:
            raise ZeroDivisionError
        info = await peer.call(queue.stats)
        self.assertEqual((info.ready, info.delayed, info.counts["acked"]), (1, 1, 1))

    @story
    async def test_parts_of_a_batch(self: Any, peer: ClientPeer, queue: Any) -> None:
        """By number and as a slice."""
        await peer.call(queue.publish_many, [b"0", b"1", b"2"])
        batch = await peer.call(queue.pull, 3)
        self.assertEqual([each.payload for each in batch[1:]], [b"1", b"2"])
        self.assertEqual(batch[-1].payload, b"2")
        with self.assertRaisesRegex(IndexError, "there is no message 9 in a batch of 3"):
            batch[9]
        batch[::2][1].ack()
        await peer.call(batch.release, confirm=True)
        self.assertEqual((await peer.call(queue.stats)).ready, 2)

    @story
    async def test_partial_publish(self: Any, peer: ClientPeer, queue: Any) -> None:
        """It says what was accepted, what was not, and why; all or none accepts none."""
        await peer.call(queue.set_policy, Policy(capacity=2))
        with self.assertRaises(PartialPublish) as caught:
            await peer.call(queue.publish_many, [b"0", b"1", b"2"])
        partial = caught.exception
        self.assertEqual((partial.accepted, partial.rejected), (2, 1))
        self.assertEqual([(each.index, type(each.error)) for each in partial.rejections], [(2, QueueFull)])
        self.assertEqual([tuple(each) for each in partial.reply.sequences], [(1, 2)])
        await peer.call(queue.take_many, 1)
        with self.assertRaises(PartialPublish) as caught:
            await peer.call(queue.publish_many, [b"3", b"4"], atomic=True)
        self.assertEqual((caught.exception.accepted, caught.exception.rejected), (0, 2))
        self.assertEqual(await peer.call(queue.take_many, 5), [b"1"])

    @story
    async def test_payloads_of_any_iterable(self: Any, peer: ClientPeer, queue: Any) -> None:
        """A generator's are published, and counted, like a list's."""
        await peer.call(queue.set_policy, Policy(capacity=2))
        with self.assertRaises(PartialPublish) as caught:
            await peer.call(queue.publish_many, (b"%d" % number for number in range(3)))
        self.assertEqual((caught.exception.accepted, caught.exception.rejected), (2, 1))
        self.assertEqual(await peer.call(queue.take_many, 5), [b"0", b"1"])

    @story
    async def test_payloads_of_other_types(self: Any, peer: ClientPeer, queue: Any) -> None:
        """What is like bytes is copied; of anything else is said what it is, and nothing of it is stored."""
        out = await peer.made(queue.publisher)
        buffer = bytearray(b"0")
        await peer.call(out.publish, buffer)
        buffer[:] = b"x"
        await peer.call(out.close)
        await peer.call(queue.publish, memoryview(b"1"))
        await peer.call(queue.publish_many, [b"2", bytearray(b"3")])
        for verb, wrong in ((queue.publish, "x"), (queue.publish_many, [b"x", "x"]), (queue.publish_many, b"xx")):
            with self.assertRaisesRegex(InvalidArgument, "bytes|many payloads"):
                await peer.call(verb, wrong)
        self.assertEqual(await peer.call(queue.take_many, 9), [b"0", b"1", b"2", b"3"])

    @story
    async def test_publisher(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Each message's fate is known by itself, and what was not accepted is told at the end."""
        await peer.call(queue.set_policy, Policy(capacity=2))
        out = await peer.made(queue.publisher)
        confirmations = [await peer.call(out.publish, b"%d" % number) for number in range(4)]
        with self.assertRaises(PartialPublish) as caught:
            await peer.call(out.close)
        self.assertEqual((caught.exception.accepted, caught.exception.rejected), (2, 2))
        await peer.confirmed(confirmations[1])
        with self.assertRaises(QueueFull):
            await peer.confirmed(confirmations[2])
        self.assertTrue(all(each.done() for each in confirmations))
        with self.assertRaises(ClientClosed):
            await peer.call(out.publish, b"x")
        self.assertEqual(await peer.call(queue.take_many, 5), [b"0", b"1"])

    @story
    async def test_subscription(self: Any, peer: ClientPeer, queue: Any) -> None:
        """In order; what its user has not seen goes back at the end, and that delivery does not count."""
        await peer.call(queue.publish_many, [b"%d" % number for number in range(10)])
        messages = await peer.made(queue.subscribe)
        seen = [await peer.next(messages) for _ in range(3)]
        self.assertEqual([message.payload for message in seen], [b"0", b"1", b"2"])
        await peer.call(messages.close)
        seen[0].ack()
        again = await peer.call(queue.pull, max_messages=20, wait_seconds=10)
        self.assertEqual([each.payload for each in again], [b"%d" % number for number in range(3, 10)])
        self.assertEqual({each.delivery_count for each in again}, {1})
        await peer.call(seen[1].ack, confirm=True)
        self.assertEqual((await peer.call(queue.stats)).leased, 8)

    @story
    async def test_subscription_that_is_forgotten(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Without `with`: what was not seen is put back at once, and nothing more is pushed."""
        await peer.call(queue.publish_many, [b"0", b"1", b"2"])
        messages = await peer.made(queue.subscribe)
        message = await peer.next(messages)
        message.ack()
        del messages
        again = await peer.call(queue.pull, max_messages=10, wait_seconds=10)
        self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"1", 1), (b"2", 1)])
        info = await peer.call(queue.stats)
        self.assertEqual((info.waiters, info.counts["acked"]), (0, 1))

    @story
    async def test_close_with_all_open(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Of a client: publishers are flushed, acks are sent, and what nobody has seen goes back."""
        await peer.call(queue.publish_many, [b"0", b"1", b"2"])
        other = await self.open(shared_server().target)
        theirs = other.client.queue(queue.name)
        messages = await other.made(theirs.subscribe)
        message = await other.next(messages)
        out = await other.made(other.client.queue(f"{queue.name}.out").publisher)
        confirmation = await other.call(out.publish, b"last")
        message.ack()
        await other.close()
        await other.confirmed(confirmation)
        again = await peer.call(queue.pull, max_messages=20, wait_seconds=10)
        self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"1", 1), (b"2", 1)])
        self.assertEqual(await peer.call(peer.client.queue(f"{queue.name}.out").take_many, 5), [b"last"])
        self.assertEqual((await peer.call(queue.stats)).counts["acked"], 1)

    @story
    async def test_repr(self: Any, peer: ClientPeer, queue: Any) -> None:
        """What it is, of which server, and how it is."""
        url, name = f"quickpulse://{shared_server().target}", queue.name
        other = await self.open(shared_server().target)
        self.assertEqual(repr(other.client), f"<Client of {url}, connected>")
        self.assertEqual(repr(queue), f"<Queue {name!r} of {url}>")
        out = await peer.made(queue.publisher)
        self.assertEqual(repr(out), f"<Publisher to {name!r} of {url}, open, 0 not confirmed>")
        await peer.call(out.close)
        self.assertIn("closed", repr(out))
        messages = await peer.made(queue.subscribe)
        self.assertEqual(repr(messages), f"<Subscription to {name!r} of {url}, open>")
        await peer.call(messages.close)
        self.assertIn("closed", repr(messages))
        await other.close()
        self.assertEqual(repr(other.client), f"<Client of {url}, closed>")
        await peer.call(queue.publish, b"x" * 30, id="7")
        batch = await peer.call(queue.pull)
        self.assertEqual(repr(batch), f"<Batch of 1 from {name!r}>")
        self.assertEqual(repr(batch[0]), f"<Message '7' {b'x' * 20!r}... (30 bytes) from {name!r}, delivery 1>")
        self.assertEqual(repr(batch.ack()), "<said, and sent soon>")
        self.assertEqual(repr(await peer.call(queue.pull)), "<Batch of 0>")

    @story
    async def test_closed(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Nothing can be asked any more, and closing twice is no error."""
        await peer.close()
        for verb, argument in ((queue.publish, b"x"), (queue.publish_many, [b"x"])):
            with self.assertRaises(ClientClosed):
                await peer.call(verb, argument)

    @story
    async def test_waits_that_close_ends(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Who waits for a message is told that the client was closed."""
        other = await self.open(shared_server().target)
        waiting = asyncio.ensure_future(other.call(other.client.queue(queue.name).get, wait_seconds=50))
        while not [each for each in await peer.call(peer.client.list_queues, queue.name) if each.waiters]:
            await asyncio.sleep(0.005)
        await other.close()
        with self.assertRaises(ClientClosed):
            await waiting

    @story
    async def test_consume(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Callbacks: success acks, an exception nacks and is logged; the end of the queue ends it, with the reason."""
        await peer.call(queue.set_policy, AT_ONCE)
        await peer.call(queue.publish_many, [b"%d" % number for number in range(20)])
        done: set[bytes] = set()

        def work(message: Any) -> None:
            if message.delivery_count == 1 and message.payload.endswith(b"7"):
                raise ZeroDivisionError
            done.add(message.payload)

        with self.assertLogs("quickpulse.client") as logs:
            consuming = asyncio.ensure_future(peer.call(queue.consume, work, concurrency=3))
            while (info := await peer.call(queue.stats)).counts["acked"] < 20:
                await asyncio.sleep(0.005)
        self.assertEqual((len(done), info.counts["nacked"], len(logs.records)), (20, 2, 2))
        await peer.call(queue.delete)
        with self.assertRaises(Exception) as caught:
            await consuming
        self.assertEqual(caught.exception.code, "NOT_FOUND")

    @story
    async def test_cancelled_within_a_callback(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Whatever a callback waited for that is cancelled: it has failed, so nack; those after it are called."""
        await peer.call(queue.set_policy, AT_ONCE)
        await peer.call(queue.publish_many, [b"%d" % number for number in range(5)])

        def work(message: Any) -> Any:
            return self.cancelled() if message.payload == b"1" and message.delivery_count == 1 else None

        with self.assertLogs("quickpulse.client") as logs:
            consuming = asyncio.ensure_future(peer.call(queue.consume, work))
            while (info := await peer.call(queue.stats)).counts["acked"] < 5:
                await asyncio.sleep(0.005)
        self.assertEqual((info.counts["nacked"], info.counts["released"], len(logs.records)), (1, 0, 1))
        await peer.call(queue.delete)
        with self.assertRaises(NotFound):
            await consuming

    @story
    async def test_no_reply(self: Any, peer: ClientPeer, queue: Any) -> None:
        """Every wait has an end: of a request, of a batch, of a confirmation, and of closing."""
        proxy = Proxy(shared_server().port)
        port = f"127.0.0.1:{await proxy.start()}"
        other = await self.open(port, Options(timeout_seconds=0.3, keepalive_seconds=60))
        theirs = other.client.queue(queue.name)
        out = await other.made(theirs.publisher)
        proxy.swallows_replies = True
        confirmation = await other.call(out.publish, b"x")
        for verb, arguments in (
            (theirs.publish, (b"x",)),
            (theirs.stats, ()),
            (theirs.take_many, (1,)),
            (theirs.get, ()),
        ):
            with self.assertRaises(Timeout):
                await other.call(verb, *arguments)
        with self.assertRaises(Timeout):
            await other.confirmed(confirmation)
        with self.assertRaises((Timeout, PartialPublish)):
            await other.close()
        await proxy.stop()
        self.assertEqual(await peer.call(queue.purge), 0)  # taken by the one whose reply was lost

    @story
    async def test_no_server(self: Any, peer: ClientPeer, queue: Any) -> None:
        """It is an error in time, that says what is wrong."""
        port = free_port()
        with self.assertRaises(ConnectionRefused) as caught:
            await self.open(f"127.0.0.1:{port}", wait_seconds=0.2)
        self.assertEqual(str(caught.exception), f"no connection to 127.0.0.1:{port}: connection refused")

    @story
    async def test_cut(self: Any, peer: ClientPeer, queue: Any) -> None:
        """A connection that ends comes back: what was asked is asked again, and nothing is there twice."""
        proxy = Proxy(shared_server().port)
        options = Options(timeout_seconds=20, first_backoff_seconds=0.02, max_backoff_seconds=0.1)
        other = await self.open(f"127.0.0.1:{await proxy.start()}", options)
        theirs = other.client.queue(queue.name)
        for number in range(10):
            publishing = asyncio.ensure_future(other.call(theirs.publish, b"%d" % number))
            await asyncio.sleep(0)
            proxy.cut()
            await publishing
        await other.close()
        await proxy.stop()
        self.assertEqual(await peer.call(queue.take_many, 20), [b"%d" % number for number in range(10)])


class AioTests(Stories, TestCase):
    """asyncio's client."""

    timeout = 90
    make_peer = AioPeer

    def cancelled(self) -> Any:
        """A future."""
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return future


class TxTests(Stories, TestCase):
    """Twisted's client."""

    timeout = 90
    make_peer = TxPeer

    def cancelled(self) -> Any:
        """A Deferred."""
        deferred: Deferred[None] = Deferred()
        deferred.cancel()
        return deferred


class BlockingTests(Stories, TestCase):
    """The blocking client."""

    timeout = 90
    make_peer = BlockingPeer

    def cancelled(self) -> Any:
        """Of a loop of the callback's own."""
        raise asyncio.CancelledError
