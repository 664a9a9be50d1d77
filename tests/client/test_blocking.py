"""The blocking client against a real server: the same verbs, from any thread, and after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import (
    ClientClosed,
    ConnectionLost,
    LeaseLost,
    Message,
    Options,
    PartialPublish,
    Timeout,
    connect,
)
from quickpulse.client.blocking import Client, Queue
from quickpulse.requests import Policy
from tests.client.proxy import free_port
from tests.client.servers import shared_server
from tests.interop.server import ROOT

PROCESS_SECONDS = 60.0

FORKING = """
import os, sys
from quickpulse.client import ClientClosed, connect
with connect(sys.argv[1]) as client:
    queue = client.queue("fork")
    publisher = queue.publisher()
    queue.publish(b"parent")
    child = os.fork()
    if not child:
        queue.publish(b"child")
        try:
            publisher.publish(b"lost")
        except ClientClosed:
            client.close()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    queue.publish(b"parent again")
    assert queue.take_many(10) == [b"parent", b"child", b"parent again"]
"""

FORKING_MEANWHILE = """
import os, signal, sys
from quickpulse.client import ClientClosed, connect
with connect(sys.argv[1]) as client:
    queue = client.queue("fork-meanwhile")
    messages = queue.subscribe()
    client._lock.acquire()
    messages._lock.acquire()
    child = os.fork()
    if not child:
        signal.alarm(20)
        queue.publish(b"child")
        try:
            next(messages)
        except ClientClosed:
            client.close()
            os._exit(0)
        os._exit(1)
    client._lock.release()
    messages._lock.release()
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert next(messages).payload == b"child"
"""

INTERRUPTED = """
import os, signal, sys, threading, time
from quickpulse.client import connect
signal.signal(signal.SIGINT, signal.default_int_handler)
with connect(sys.argv[1]) as client:
    queue = client.queue("interrupted")
    messages = client.queue("interrupted").subscribe()

    def interrupt(waiters):
        while not [each for each in client.list_queues("interrupted") if each.waiters == waiters]:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    for wait, waiters in (
        (lambda: next(messages), 1),
        (lambda: queue.get(wait_seconds=50), 1),
        (lambda: queue.take_many(1, wait_seconds=50), 1),
    ):
        thread = threading.Thread(target=interrupt, args=(waiters,))
        try:
            thread.start()
            wait()
        except KeyboardInterrupt:
            thread.join()
        else:
            sys.exit("it was not interrupted")
        messages.close()
    queue.publish(b"x")
    with queue.get(wait_seconds=10) as message:
        assert message.delivery_count == 1, message.delivery_count
    assert not queue.stats().waiters
"""

INTERRUPTED_CALLBACK = """
import os, signal, sys
from quickpulse.client import connect
signal.signal(signal.SIGINT, signal.default_int_handler)
with connect(sys.argv[1]) as client:
    queue = client.queue("interrupted-callback")
    queue.publish_many([b"0", b"1"])
    try:
        queue.consume(lambda message: message.payload == b"0" and os.kill(os.getpid(), signal.SIGINT), concurrency=1)
    except KeyboardInterrupt:
        pass
    else:
        sys.exit("it was not interrupted")
with connect(sys.argv[1]) as client:
    info = client.queue("interrupted-callback").stats()
    assert (info.ready + info.counts["acked"], info.leased) == (2, 0), info
"""

INTERRUPTED_TWICE = """
import os, signal, sys, threading, time
from quickpulse.client import connect
signal.signal(signal.SIGINT, signal.default_int_handler)
are_begun, may_end = threading.Barrier(3), threading.Event()

def work(message):
    are_begun.wait()
    may_end.wait()

def interrupt():
    are_begun.wait()
    os.kill(os.getpid(), signal.SIGINT)
    while queue.stats().ready != 8:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

with connect(sys.argv[1]) as client:
    queue = client.queue("interrupted-twice")
    queue.publish_many([b"%d" % number for number in range(10)])
    threading.Thread(target=interrupt).start()
    try:
        queue.consume(work, concurrency=2)
    except KeyboardInterrupt:
        info = queue.stats()
        assert (info.ready, info.leased, info.counts["acked"]) == (8, 2, 0), info
    else:
        sys.exit("it was not interrupted")
    may_end.set()
    while queue.stats().counts["acked"] != 2:
        time.sleep(0.01)
"""

UNCLOSED = """
import sys
from quickpulse.client import connect

def in_a_function():
    connect(sys.argv[1]).queue("unclosed").get().ack()

in_a_function()
client = connect(sys.argv[1])
queue = client.queue("unclosed")
messages = queue.subscribe()
next(messages).ack()
out = client.queue("unclosed.out").publisher()
for number in range(5000):
    out.publish(b"x")
sys.exit(0)
"""

UNCLOSED_WITHOUT_SERVER = """
import sys
from quickpulse.client import Options, connect
from quickpulse.testing import Server

with Server() as server:
    client = connect(server.url, options=Options(timeout_seconds=0.2))
    client.queue("x").publish(b"x")
    message = client.queue("x").get()
message.ack()
"""

IMPORTING = """
import sys
import quickpulse.client
import quickpulse.client.aio
print(sorted({"grpc", "hpack", "google", "twisted", "autobahn"} & set(sys.modules)))
"""


def python(source: str, *arguments: str, stream: str = "stdout") -> str:
    """What a process of its own prints; AssertionError when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: str = getattr(done, stream)
    return printed.strip()


class BlockingTestCase(SynchronousTestCase):
    """A client and a queue for each test."""

    def setUp(self) -> None:
        """Connect."""
        self.url = f"quickpulse://127.0.0.1:{shared_server().port}"
        self.client: Client = connect(self.url)
        self.addCleanup(self.client.close)
        self.queue: Queue = self.client.queue(self.id().rpartition("tests.client.")[2])

    def get(self, **how: Any) -> Message:
        """A message that is there."""
        message = self.queue.get(**how)
        assert message is not None
        return message


class VerbTests(BlockingTestCase):
    """What users say."""

    def test_as_it_reads(self) -> None:
        """All of it, as in the documentation."""
        queue = self.queue
        queue.publish(b"one")
        queue.publish_many([b"two", b"three"])
        with queue.publisher() as out:
            confirmation = out.publish(b"four")
        confirmation.result(0)
        self.assertTrue(confirmation.done())
        self.get(wait_seconds=5).ack()
        with self.get() as message:
            self.assertEqual(message.payload, b"two")
        batch = queue.pull(max_messages=500, wait_seconds=5)
        self.assertEqual(list(batch.payloads), [b"three", b"four"])
        batch.ack(confirm=True)
        queue.publish_many([b"five", b"six"])
        with queue.subscribe(credit_messages=1000) as messages:
            for message in messages:
                self.assertEqual((message.payload, message.delivery_count), (b"five", 1))
                message.ack()
                break
        self.assertEqual(queue.take_many(500, wait_seconds=5), [b"six"])
        self.assertEqual((queue.stats().ready, queue.stats().leased, queue.purge()), (0, 0, 0))
        self.assertIn(queue.name, [info.name for info in self.client.list_queues()])

    def test_administration(self) -> None:
        """Policy, pause, peek, redrive, delete."""
        queue = self.queue
        queue.set_policy(Policy(capacity=1))
        with self.assertRaises(PartialPublish):
            queue.publish_many([b"0", b"1"])
        with self.assertRaises(PartialPublish):
            queue.publish_many([b"0", b"1"], atomic=True)
        queue.pause()
        self.assertIsNone(queue.get())
        self.assertEqual(list(queue.peek().payloads), [b"0"])
        queue.resume()
        self.get().dead_letter("bad", confirm=True)
        self.assertEqual(self.client.queue(f"{queue.name}.dead").redrive(), 1)
        self.assertEqual(queue.delete(), 1)

    def test_lease_that_was_lost(self) -> None:
        """With `confirm` that is an error."""
        self.queue.publish(b"x")
        message = self.get()
        self.queue.delete()
        with self.assertRaises(LeaseLost):
            message.ack(confirm=True)

    def test_small_buffer(self) -> None:
        """A publisher that is faster than the server waits, and loses nothing."""
        with self.queue.publisher(max_buffered_messages=10) as out:
            for number in range(3000):
                out.publish(b"%d" % number)
        self.assertEqual(self.queue.take_many(5000), [b"%d" % number for number in range(3000)])

    def test_close_puts_back_what_was_not_seen(self) -> None:
        """Also when only the client is closed."""
        self.queue.publish_many([b"0", b"1", b"2"])
        with connect(self.url) as client:
            messages = client.queue(self.queue.name).subscribe()
            next(messages).ack()
        again = self.queue.pull(max_messages=10, wait_seconds=5)
        self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"1", 1), (b"2", 1)])

    def test_subscription_that_is_interrupted(self) -> None:
        """When a batch has just come for the one that waits: it is there for the next one, or is put back."""
        self.queue.publish_many([b"0", b"1", b"2"])
        messages = self.queue.subscribe()
        running = self.client.running

        def interrupted(coroutine: Any) -> Any:
            del running.wait
            running.wait(coroutine)
            raise KeyboardInterrupt

        running.wait = interrupted  # type: ignore[method-assign]
        self.assertRaises(KeyboardInterrupt, next, messages)
        messages.close()
        again = self.queue.pull(max_messages=10, wait_seconds=5)
        self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"0", 1), (b"1", 1), (b"2", 1)])

    def test_subscription_that_is_forgotten(self) -> None:
        """Without `with`: what was not seen is put back at once, and nothing more is pushed."""

        def first() -> bytes:
            for message in self.queue.subscribe():
                message.ack()
                return message.payload
            return b""

        self.queue.publish_many([b"0", b"1", b"2"])
        self.assertEqual(first(), b"0")
        again = self.queue.pull(max_messages=10, wait_seconds=10)
        self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"1", 1), (b"2", 1)])
        info = self.queue.stats()
        self.assertEqual((info.waiters, info.counts["acked"]), (0, 1))

    def test_close_while_another_thread_reads(self) -> None:
        """Wherever that is: it has what it has seen, and the rest is put back."""
        self.queue.publish_many([b"0", b"1", b"2"])
        messages = self.queue.subscribe()
        self.assertEqual(next(messages).payload, b"0")
        with messages._lock:
            messages.close()
        self.assertEqual(list(messages), [])
        again = self.queue.pull(max_messages=10, wait_seconds=5)
        self.assertEqual([(each.payload, each.delivery_count) for each in again], [(b"1", 1), (b"2", 1)])

    def test_closed(self) -> None:
        """Nothing can be asked any more, and closing twice is no error."""
        publisher = self.queue.publisher()
        self.client.close()
        self.client.close()
        for ask in (lambda: self.queue.publish(b"x"), lambda: publisher.publish(b"x"), self.queue.subscribe):
            with self.assertRaises(ClientClosed):
                ask()

    def test_acks_that_close_sends_too_late(self) -> None:
        """They are counted; that can be asked afterwards."""
        self.queue.publish(b"x")
        with connect(self.url) as client:
            message = client.queue(self.queue.name).get()
            assert message is not None
            self.queue.delete()
            message.ack()
        self.assertEqual(client.lost_leases, 1)

    def test_no_server(self) -> None:
        """It is an error in time."""
        with self.assertRaises(ConnectionLost):
            connect(f"quickpulse://127.0.0.1:{free_port()}", wait_seconds=0.2)

    def test_time_is_up(self) -> None:
        """Waiting for a confirmation has an end."""
        self.queue.set_policy(Policy())
        with connect(self.url, options=Options(timeout_seconds=5)) as client:
            client.running.client.cut = lambda: None  # type: ignore[method-assign]
            client.running.client.write = lambda: None  # type: ignore[method-assign]
            confirmation = client.queue(self.queue.name).publisher().publish(b"x")
            with self.assertRaises(Timeout):
                confirmation.result(0.05)
            del client.running.client.write
            client.running.post(client.running.client.write_soon)
            confirmation.result(5)


class ThreadTests(BlockingTestCase):
    """Any object from any thread."""

    def in_threads(self, count: int, work: Any) -> None:
        """Run it in so many, each with its number."""
        errors: list[BaseException] = []

        def guarded(number: int) -> None:
            try:
                work(number)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

    def test_one_publisher_one_subscription(self) -> None:
        """Each message comes once, and each ack arrives."""
        out = self.queue.publisher()
        self.in_threads(4, lambda number: [out.publish(b"%d/%d" % (number, each)) for each in range(2500)])
        out.close()
        got: list[bytes] = []
        lock = threading.Lock()
        with self.queue.subscribe(credit_messages=500) as messages:

            def work(_: int) -> None:
                while True:
                    with lock:
                        if len(got) >= 10_000:
                            return
                        message = next(messages)
                        got.append(message.payload)
                    message.ack()

            self.in_threads(4, work)
        self.assertEqual(len(set(got)), 10_000)
        info = self.queue.stats()
        self.assertEqual((info.counts["acked"], info.ready, info.leased), (10_000, 0, 0))

    def test_consume(self) -> None:
        """Callbacks in threads, until the client is closed; they may use the client themselves."""
        self.queue.publish_many([b"%d" % number for number in range(20)])
        answers = self.client.queue(f"{self.queue.name}.answers")
        client = connect(self.url)
        consuming = threading.Thread(
            target=client.queue(self.queue.name).consume,
            args=(lambda message: answers.publish(message.payload),),
            kwargs={"concurrency": 4},
        )
        consuming.start()
        got: set[bytes] = set()
        while len(got) < 20:
            message = answers.get(wait_seconds=10)
            assert message is not None
            got.add(message.payload)
            message.ack()
        client.close()
        consuming.join(PROCESS_SECONDS)
        self.assertFalse(consuming.is_alive())
        self.assertEqual(self.queue.stats().counts["acked"], 20)

    def test_requests(self) -> None:
        """Many at once."""

        def work(number: int) -> None:
            for _ in range(50):
                self.queue.publish(b"%d" % number)
                self.get(wait_seconds=5).ack()

        self.in_threads(4, work)
        self.assertEqual(self.queue.stats().counts["acked"], 200)


class ProcessTests(BlockingTestCase):
    """Other processes."""

    def test_fork(self) -> None:
        """The child has a connection of its own; the parent's goes on."""
        if not hasattr(os, "fork"):
            self.skipTest("there is no fork here")
        python(FORKING, self.url)

    def test_fork_meanwhile(self) -> None:
        """What other threads hold at a fork, and will never release in the child, holds up nobody there."""
        if not hasattr(os, "fork"):
            self.skipTest("there is no fork here")
        python(FORKING_MEANWHILE, self.url)

    def test_interrupted(self) -> None:
        """Ctrl-C ends a wait, and nothing is taken for it any more."""
        python(INTERRUPTED, self.url)

    def test_interrupted_callbacks(self) -> None:
        """Ctrl-C ends `consume`: what was done is acked, the rest goes back."""
        python(INTERRUPTED_CALLBACK, self.url)

    def test_callbacks_interrupted_twice(self) -> None:
        """The second Ctrl-C ends the wait for those under way; when they end, they are acked all the same."""
        python(INTERRUPTED_TWICE, self.url)

    def test_end_without_close(self) -> None:
        """What was said is sent, what was published too, and what nobody has seen is put back."""
        queue, out = self.client.queue("unclosed"), self.client.queue("unclosed.out")
        queue.publish_many([b"0", b"1", b"2"])
        python(UNCLOSED, self.url)
        info = queue.stats()
        self.assertEqual((info.counts["acked"], info.ready, info.leased), (2, 1, 0))
        self.assertEqual(out.stats().ready, 5000)
        queue.delete()
        out.delete()

    def test_end_without_close_and_server(self) -> None:
        """Waits no longer than for a request, and says what is wrong."""
        self.assertIn("at the end of the program: ", python(UNCLOSED_WITHOUT_SERVER, stream="stderr"))

    def test_imports(self) -> None:
        """Importing a client imports no server, and no codec before there is a connection."""
        self.assertEqual(python(IMPORTING), "[]")
