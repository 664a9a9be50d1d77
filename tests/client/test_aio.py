"""asyncio's client against a real server: verbs, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.aio import Client, Queue, Subscription, connect
from quickpulse.client.errors import ClientClosed, ConnectionLost, LeaseLost, PartialPublish, Timeout
from quickpulse.client.messages import Message
from quickpulse.client.options import Options
from quickpulse.errors import InvalidArgument, MessageTooLarge, NotFound, QueueFull, RequestTooLarge
from quickpulse.requests import ListQueues, Policy, QueuePage
from tests.client.proxy import Proxy, free_port
from tests.client.servers import shared_server
from tests.client.test_blocking import python
from tests.client.worlds import run
from tests.interop.server import RealServer

QUICK = Options(timeout_seconds=10.0, first_backoff_seconds=0.02, max_backoff_seconds=0.1)

UNCLOSED = """
import asyncio, sys
from quickpulse.client.aio import connect

async def main():
    client = await connect(sys.argv[1])
    (await client.queue("aio.unclosed").get(wait_seconds=30)).ack()

asyncio.run(main())
"""


def url(port: int) -> str:
    """Of a server on loopback."""
    return f"quickpulse://127.0.0.1:{port}"


async def payloads_in(queue: Queue) -> list[bytes]:
    """Everything that is ready, taken out."""
    payloads: list[bytes] = []
    while batch := await queue.take_many(10_000):
        payloads += batch
    return payloads


class AioTestCase(SynchronousTestCase):
    """One server for all; each test has a queue of its own."""

    def setUp(self) -> None:
        """Start it, the first time."""
        self.server = shared_server()

    def with_queue(self, story: Callable[[Client, Queue], Coroutine[Any, Any, None]], **options: Any) -> None:
        """Run it with a client and a queue."""

        async def main() -> None:
            async with await connect(url(self.server.port), options=Options(**options)) as client:
                await story(client, client.queue(self.id().rpartition(".")[2]))

        run(main())


class VerbTests(AioTestCase):
    """What users say."""

    def test_all_queues(self) -> None:
        """Asked for page by page, until one says that it is the last."""
        asked: list[ListQueues] = []

        async def story(client: Client, queue: Queue) -> None:
            await queue.publish(b"one")
            infos = await client.list_queues(queue.name)
            self.assertEqual([each.name for each in infos], [queue.name])
            pages = iter((QueuePage(infos, "b"), QueuePage([], "c"), QueuePage(infos)))

            async def ask(request: ListQueues) -> QueuePage:
                asked.append(request)
                return next(pages)

            self.patch(client, "ask", ask)
            self.assertEqual(len(await client.list_queues("x")), 2)

        self.with_queue(story)
        self.assertEqual([(each.prefix, each.page_token) for each in asked], [("x", ""), ("x", "b"), ("x", "c")])

    def test_publish_and_get(self) -> None:
        """A message comes as it was put in, with what it has beside its payload."""

        async def story(_: Client, queue: Queue) -> None:
            self.assertEqual(await queue.publish(b"one", headers={"a": "b"}, id="7", priority=3), 1)
            message = await queue.get(wait_seconds=5)
            assert message is not None
            self.assertEqual((message.payload, message.headers, message.id), (b"one", {"a": "b"}, "7"))
            self.assertEqual((message.delivery_count, message.queue, message.properties.priority), (1, queue.name, 3))
            await message.ack(confirm=True)
            self.assertIsNone(await queue.get(wait_seconds=0.01))
            self.assertEqual((await queue.stats()).counts["acked"], 1)

        self.with_queue(story)

    def test_settle(self) -> None:
        """Each verb does what it says; what was settled is not settled again."""

        async def story(client: Client, queue: Queue) -> None:
            await queue.publish_many([b"0", b"1", b"2", b"3"])
            batch = await queue.pull(max_messages=10)
            batch[0].ack()
            batch[1].nack(delay_seconds=0)
            batch[2].dead_letter("bad")
            batch[3].release()
            batch.ack()
            again = await queue.pull(max_messages=10)
            self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"1", 2), (b"3", 1)])
            (dead,) = await client.queue(f"{queue.name}.dead").pull(max_messages=10)
            assert dead.source is not None
            self.assertEqual((dead.payload, dead.source.reason, dead.source.source), (b"2", "bad", queue.name))
            with again:
                pass
            await again.ack(confirm=True)
            info = await queue.stats()
            self.assertEqual((info.ready, info.leased, client.lost_leases), (0, 0, 0))

        self.with_queue(story)

    def test_context_manager(self) -> None:
        """Success acks, an exception nacks."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.set_policy(Policy(retry_delays_ms=(0,)))
            await queue.publish(b"x")
            message = await queue.get()
            assert message is not None
            with self.assertRaises(ZeroDivisionError), message:
                raise ZeroDivisionError
            message = await queue.get(wait_seconds=5)
            assert message is not None
            self.assertEqual(message.delivery_count, 2)
            with message:
                pass
            self.assertIsNone(await queue.get())
            self.assertEqual((await queue.stats()).leased, 0)

        self.with_queue(story)

    def test_lease_that_was_lost(self) -> None:
        """With `confirm` that is an error, without it is counted."""

        async def story(client: Client, queue: Queue) -> None:
            await queue.publish_many([b"0", b"1"])
            batch = await queue.pull(max_messages=2)
            await queue.delete()
            with self.assertRaises(LeaseLost):
                await batch[0].ack(confirm=True)
            batch[1].ack()
            await queue.get()
            self.assertEqual(client.lost_leases, 1)

        self.with_queue(story)

    def test_held_longer_than_its_lease(self) -> None:
        """It is extended behind the scenes."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.publish(b"x")
            message = await queue.get(lease_seconds=0.6)
            assert message is not None
            self.assertIsNone(await queue.get(wait_seconds=2))
            await message.ack(confirm=True)

        self.with_queue(story)

    def test_errors(self) -> None:
        """What the server refuses is raised as what it is; the client lives on."""

        async def story(client: Client, queue: Queue) -> None:
            with self.assertRaises(NotFound):
                await client.queue("nothing").stats()
            with self.assertRaises(InvalidArgument):
                await client.queue("no name!").publish(b"x")
            with self.assertRaises(MessageTooLarge):
                await queue.publish(bytes(1_000_001))
            with self.assertRaises(RequestTooLarge):
                await queue.publish(bytes(2_000_001))
            await queue.publish(b"x")
            self.assertEqual(await queue.purge(), 1)

        self.with_queue(story)

    def test_full_queue(self) -> None:
        """What does not fit is told, one by one and together; the buffer of a publisher ends empty."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.set_policy(Policy(capacity=3))
            with self.assertRaises(PartialPublish) as caught:
                await queue.publish_many([b"x"] * 5)
            self.assertEqual((caught.exception.accepted, caught.exception.rejected), (3, 2))
            with self.assertRaises(QueueFull):
                await queue.publish(b"x")
            await queue.purge()
            publisher = queue.publisher()
            confirmations = [await publisher.publish(b"x") for _ in range(2500)]
            with self.assertRaises(PartialPublish) as caught:
                await publisher.close()
            self.assertEqual((caught.exception.accepted, caught.exception.rejected), (3, 2497))
            await confirmations[0]
            with self.assertRaises(QueueFull):
                await confirmations[-1]
            self.assertTrue(publisher.outbox.is_empty)

        self.with_queue(story)

    def test_small_buffer(self) -> None:
        """A publisher that is faster than the server waits, and loses nothing; order is kept."""

        async def story(_: Client, queue: Queue) -> None:
            async with queue.publisher(max_buffered_messages=10) as out:
                for number in range(3000):
                    await out.publish(b"%d" % number)
            self.assertEqual(await payloads_in(queue), [b"%d" % number for number in range(3000)])

        self.with_queue(story)

    def test_close_with_an_open_publisher(self) -> None:
        """It is flushed, and what was not accepted is told."""

        async def main() -> None:
            client = await connect(url(self.server.port))
            queue = client.queue("open-publisher")
            await queue.set_policy(Policy(capacity=2))
            out = queue.publisher()
            for _ in range(5):
                await out.publish(b"x")
            with self.assertRaises(PartialPublish):
                await client.close()
            async with await connect(url(self.server.port)) as client:
                self.assertEqual(await payloads_in(client.queue("open-publisher")), [b"x", b"x"])

        run(main())

    def test_cancelled_get(self) -> None:
        """What comes for it goes back at once."""

        async def story(_: Client, queue: Queue) -> None:
            task = asyncio.ensure_future(queue.get(wait_seconds=30))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await queue.publish(b"x")
            message = await queue.get(wait_seconds=5)
            assert message is not None
            self.assertEqual(message.delivery_count, 1)

        self.with_queue(story)

    def test_closed(self) -> None:
        """Nothing can be asked any more."""

        async def story(client: Client, queue: Queue) -> None:
            await client.close()
            with self.assertRaises(ClientClosed):
                await queue.publish(b"x")

        self.with_queue(story)

    def test_end_without_close(self) -> None:
        """What was said is sent, where the loop ends as `asyncio.run` ends it."""

        async def story(client: Client, _: Queue) -> None:
            queue = client.queue("aio.unclosed")
            await queue.publish(b"0")
            await asyncio.to_thread(python, UNCLOSED, url(self.server.port))
            while not (await queue.stats()).counts["acked"]:
                await asyncio.sleep(0.01)
            await queue.delete()

        self.with_queue(story)


class SubscriptionTests(AioTestCase):
    """Messages as they come."""

    def test_all_in_order(self) -> None:
        """Many times the credit, an ack each."""

        async def story(_: Client, queue: Queue) -> None:
            expected = [b"%d" % number for number in range(5000)]
            await queue.publish_many(expected)
            got = []
            async with queue.subscribe(credit_messages=100) as messages:
                async for message in messages:
                    got.append(message.payload)
                    message.ack()
                    if len(got) == len(expected):
                        break
            self.assertEqual(got, expected)
            self.assertEqual((await queue.stats()).counts["acked"], 5000)

        self.with_queue(story)

    def test_close_puts_back_what_was_not_seen(self) -> None:
        """At once, and without counting the delivery; what was seen stays its user's."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.publish_many([b"%d" % number for number in range(10)])
            seen: list[Message] = []
            async with queue.subscribe() as messages:
                async for message in messages:
                    seen.append(message)
                    if len(seen) == 2:
                        break
            again = await queue.pull(max_messages=20, wait_seconds=5)
            self.assertEqual([each.payload for each in again], [b"%d" % number for number in range(2, 10)])
            self.assertEqual({each.delivery_count for each in again}, {1})
            for message in seen:
                await message.ack(confirm=True)

        self.with_queue(story)

    def test_close_that_is_cancelled(self) -> None:
        """Where it waits for the server: what was not seen is put back all the same."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.publish_many([b"%d" % number for number in range(10)])
            messages = queue.subscribe()
            first = await anext(aiter(messages))
            closing = asyncio.ensure_future(messages.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            self.assertTrue(closing.cancelled())
            got: list[Message] = []
            while len(got) < 9:
                got += await queue.pull(max_messages=20, wait_seconds=1)
            self.assertEqual({each.delivery_count for each in got}, {1})
            first.ack()

        self.with_queue(story)

    def test_many_readers(self) -> None:
        """Of one subscription: each message comes to one of them, also when it comes in many helpings."""

        async def story(_: Client, queue: Queue) -> None:
            got: list[bytes] = []

            async def read(messages: Subscription) -> None:
                async for message in messages:
                    got.append(message.payload)
                    message.ack()
                    await asyncio.sleep(0)

            async with queue.subscribe(credit_messages=20) as messages:
                readers = [asyncio.ensure_future(read(messages)) for _ in range(5)]
                for number in range(200):
                    await queue.publish_many([b"%d/%d" % (number, each) for each in range(7)])
                while len(got) < 1400:
                    await asyncio.sleep(0.005)
            await asyncio.gather(*readers)
            self.assertEqual(len(set(got)), 1400)

        self.with_queue(story)

    def test_consume(self) -> None:
        """Callbacks, some at the same time: success acks, an exception nacks."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.set_policy(Policy(retry_delays_ms=(0,)))
            await queue.publish_many([b"%d" % number for number in range(100)])
            done: set[bytes] = set()
            all_done = asyncio.Event()

            async def work(message: Message) -> None:
                await asyncio.sleep(0)
                if message.delivery_count == 1 and message.payload.endswith(b"7"):
                    raise ZeroDivisionError
                done.add(message.payload)
                if len(done) == 100:
                    all_done.set()

            task = asyncio.ensure_future(queue.consume(work, concurrency=8))
            await all_done.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            info = await queue.stats()
            self.assertEqual((info.counts["acked"], info.counts["nacked"], info.ready, info.leased), (100, 10, 0, 0))

        with self.assertLogs("quickpulse.client") as logs:
            self.with_queue(story)
        self.assertEqual(len(logs.records), 10)

    def test_consume_when_all_tasks_are_cancelled(self) -> None:
        """As at the end of a loop: whichever is told first, no callback is taken for one that failed."""

        async def story(_: Client, queue: Queue) -> None:
            await queue.publish_many([b"0", b"1"])
            others = asyncio.all_tasks()
            client = await connect(url(self.server.port))
            begun = asyncio.Event()

            async def work(_message: Message) -> None:
                begun.set()
                await asyncio.Event().wait()

            consuming = asyncio.ensure_future(client.queue(queue.name).consume(work))
            await begun.wait()
            for task in sorted(asyncio.all_tasks() - others, key=lambda each: each is consuming):
                task.cancel()
            await asyncio.gather(consuming, return_exceptions=True)
            await client.close()
            info = await queue.stats()
            self.assertEqual((info.counts["nacked"], info.counts["released"], info.ready), (0, 2, 2))

        with self.assertNoLogs("quickpulse.client"):
            self.with_queue(story)


class CutTests(AioTestCase):
    """Connections that end."""

    def test_publishing_while_connections_are_cut(self) -> None:
        """Everything is confirmed, and is in the queue once and in order."""

        async def main() -> None:
            proxy = Proxy(self.server.port)
            async with await connect(url(await proxy.start()), options=QUICK) as client:
                queue = client.queue("cut")
                expected = [b"%d" % number for number in range(30_000)]

                async def cut() -> None:
                    while True:
                        await asyncio.sleep(0.03)
                        proxy.cut()

                cutting = asyncio.ensure_future(cut())
                async with queue.publisher() as out:
                    for number, payload in enumerate(expected):
                        await out.publish(payload)
                        if number % 100 == 0:
                            await asyncio.sleep(0.001)
                cutting.cancel()
                self.assertGreater(proxy.connections, 2)
            await proxy.stop()
            async with await connect(url(self.server.port)) as client:  # one that no cut concerns
                payloads = await payloads_in(client.queue("cut"))
            self.assertEqual(len(payloads), len(expected))
            self.assertTrue(payloads == expected)

        run(main())

    def test_producers_and_consumers_while_connections_are_cut(self) -> None:
        """Each message is stored once and acked once in the end; what was lost on the way comes again."""

        async def main() -> None:
            proxy = Proxy(self.server.port)
            target = url(await proxy.start())
            seen: set[bytes] = set()
            all_seen = asyncio.Event()

            async def produce(number: int) -> None:
                async with await connect(target, options=QUICK) as client, client.queue("ledger").publisher() as out:
                    for each in range(2000):
                        await out.publish(b"%d/%d" % (number, each))
                        if each % 50 == 0:
                            await asyncio.sleep(0.002)

            async def read(messages: Subscription) -> None:
                async for message in messages:
                    message.ack()
                    is_new = message.payload not in seen
                    seen.add(message.payload)
                    if is_new and len(seen) % 500 == 0:
                        proxy.cut()
                    if len(seen) == 6000:
                        all_seen.set()

            async def consume() -> None:
                async with await connect(target, options=QUICK) as client:
                    async with client.queue("ledger").subscribe(credit_messages=100, lease_seconds=1) as messages:
                        reading = asyncio.ensure_future(read(messages))
                        await all_seen.wait()
                    await reading

            await asyncio.gather(*map(produce, range(3)), consume(), consume())
            self.assertGreater(proxy.connections, 15)  # five, and again after each cut but the last
            await proxy.stop()
            async with await connect(url(self.server.port)) as client:
                queue = client.queue("ledger")
                while (info := await queue.stats()).ready + info.leased:  # what came too late to be acked comes again
                    (await queue.pull(max_messages=100, wait_seconds=1)).ack()
            self.assertEqual((info.counts["published"], info.counts["acked"]), (6000, 6000))
            self.assertEqual((info.ready, info.leased), (0, 0))

        run(main())

    def test_reply_that_is_lost(self) -> None:
        """The message is there once, although it was sent twice."""

        async def main() -> None:
            proxy = Proxy(self.server.port)
            async with await connect(url(await proxy.start()), options=QUICK) as client:
                queue = client.queue("lost-reply")
                proxy.swallows_replies = True
                publishing = asyncio.ensure_future(queue.publish(b"x"))
                await asyncio.sleep(0.2)
                self.assertFalse(publishing.done())
                proxy.swallows_replies = False
                proxy.cut()
                self.assertEqual(await publishing, 1)
                self.assertEqual(await payloads_in(queue), [b"x"])
            await proxy.stop()

        run(main())

    def test_subscription_goes_on(self) -> None:
        """On the next connection; each message comes, and what was leased before can still be acked."""

        async def main() -> None:
            proxy = Proxy(self.server.port)
            async with await connect(url(await proxy.start()), options=QUICK) as client:
                queue = client.queue("goes-on")
                got = set()
                async with queue.subscribe(credit_messages=10, lease_seconds=1) as messages:
                    for number in range(50):
                        await queue.publish(b"%d" % number)
                        if number % 10 == 5:
                            proxy.cut()
                    async for message in messages:
                        got.add(message.payload)
                        message.ack()
                        if len(got) == 50:
                            break
                self.assertEqual(len(got), 50)
            await proxy.stop()

        run(main())


class ServerTests(SynchronousTestCase):
    """Servers that are not there, not well, or others than before."""

    def start(self, *arguments: str) -> RealServer:
        """One that ends with the test."""
        server = RealServer("grpc", *arguments)
        self.addCleanup(server.end)
        return server

    def test_no_server(self) -> None:
        """It is an error in time, that says what is wrong."""

        async def main() -> None:
            with self.assertRaises(ConnectionLost) as caught:
                await connect(url(free_port()), wait_seconds=0.3)
            self.assertIn("no connection to 127.0.0.1", str(caught.exception))

        run(main())

    def test_server_that_never_answers(self) -> None:
        """Nor is it a hang."""

        async def main() -> None:
            listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
            with self.assertRaises(ConnectionLost):
                await connect(url(listener.sockets[0].getsockname()[1]), wait_seconds=0.3)
            listener.close()

        run(main())

    def test_close_while_the_server_is_stopped(self) -> None:
        """It ends in time, and says that not all was confirmed."""
        server = self.start()

        async def main() -> None:
            client = await connect(url(server.port), options=Options(timeout_seconds=0.4, keepalive_seconds=60))
            out = client.queue("q").publisher()
            server.signal(signal.SIGSTOP)
            try:
                confirmation = await out.publish(b"x")
                with self.assertRaises((Timeout, PartialPublish)):
                    await client.close()
                with self.assertRaises((Timeout, ClientClosed)):
                    await confirmation
            finally:
                server.signal(signal.SIGCONT)

        run(main())

    def test_stopped_server(self) -> None:
        """Requests end in time; when it goes on, so does the client, and nothing is there twice."""
        server = self.start()

        async def main() -> None:
            options = Options(timeout_seconds=0.5, keepalive_seconds=60)
            async with await connect(url(server.port), options=options) as client:
                queue = client.queue("q")
                await queue.publish(b"before")
                server.signal(signal.SIGSTOP)
                try:
                    with self.assertRaises(Timeout):
                        await queue.publish(b"meanwhile")
                finally:
                    server.signal(signal.SIGCONT)
                await queue.publish(b"after")
                self.assertEqual(await payloads_in(queue), [b"before", b"meanwhile", b"after"])

        run(main())

    def test_server_that_is_restarted_in_order(self) -> None:
        """Nobody notices: what it refused, the next one does; who waits goes on waiting."""
        port = free_port()
        first = self.start("--grpc-port", str(port))

        async def main() -> None:
            async with await connect(url(port), options=QUICK) as client:
                queue, other = client.queue("q"), client.queue("other")

                async def publish() -> None:
                    for number in range(300):
                        await queue.publish(b"%d" % number)
                        await asyncio.sleep(0.001)

                async def work(_: Message) -> None:
                    await asyncio.sleep(0)

                consuming = asyncio.ensure_future(queue.consume(work, concurrency=2))
                waiting = asyncio.ensure_future(other.get(wait_seconds=30))
                publishing = asyncio.ensure_future(publish())
                await asyncio.sleep(0.1)
                first.signal(signal.SIGTERM)
                await asyncio.to_thread(first.process.wait)
                await asyncio.to_thread(self.start, "--grpc-port", str(port))
                await publishing
                await other.publish(b"at last")
                message = await waiting
                assert message is not None
                self.assertEqual(message.payload, b"at last")
                while (counts := (await queue.stats()).counts)["acked"] < counts["published"]:
                    await asyncio.sleep(0.005)
                self.assertGreater(counts["published"], 0)
                consuming.cancel()
                await asyncio.gather(consuming, return_exceptions=True)

        run(main())

    def test_server_killed_while_publishing(self) -> None:
        """What the next one confirmed is in it, once; nothing is there twice."""
        port = free_port()
        first = self.start("--grpc-port", str(port))

        async def main() -> None:
            options = Options(first_backoff_seconds=0.02, max_backoff_seconds=0.1)
            async with await connect(url(port), options=options) as client:
                queue = client.queue("q")
                assert client.server is not None
                instance = client.server.instance
                confirmed: list[bytes] = []

                async def publish(worker: int) -> None:
                    for number in range(400):
                        payloads = [b"%d/%d/%d" % (worker, number, each) for each in range(10)]
                        await queue.publish_many(payloads)
                        assert client.server is not None
                        if client.server.instance != instance:
                            confirmed.extend(payloads)
                        await asyncio.sleep(0.001)

                workers = [asyncio.ensure_future(publish(worker)) for worker in range(4)]
                await asyncio.sleep(0.15)
                first.signal(signal.SIGKILL)
                await asyncio.to_thread(first.process.wait)
                await asyncio.to_thread(self.start, "--grpc-port", str(port))
                await asyncio.gather(*workers)
                payloads = await payloads_in(queue)
                self.assertGreater(len(confirmed), 0)
                self.assertEqual(len(set(payloads)), len(payloads))
                self.assertEqual(set(payloads), set(confirmed))

        run(main())
