"""A socket that is lent to the threads that ask, and comes back to the loop whatever happens meanwhile."""

from __future__ import annotations

import _thread
import inspect
import os
import random
import select
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import Client, ClientError, Options, Policy, Timeout, connect
from quickpulse.client.connection import Connection
from quickpulse.client.loop_client import ENOUGH_IN_A_ROW, LoopClient
from quickpulse.client.session import Session
from quickpulse.client.shared_session import SharedSession
from quickpulse.client.shared_socket import SharedSocket
from quickpulse.client.threads import GRACE_SECONDS
from quickpulse.errors import QuickPulseError
from quickpulse.requests import Pull
from quickpulse.testing import Server

SECONDS = 30.0

END = b"end"


def until(condition: Callable[[], Any]) -> None:
    """Ask again until something holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.001)


class LendingTestCase(SynchronousTestCase):
    """A server, a client, and a queue."""

    scheme = "grpc"

    def setUp(self) -> None:
        """Connected."""
        self.server = Server().start()
        self.addCleanup(self.server.stop)
        self.client = self.connect()
        self.queue = self.client.queue("jobs")
        self.queue.publish(b"first")

    def connect(self, **options: float) -> Client:
        """Another client."""
        url = self.server.url if self.scheme == "grpc" else self.server.ws_url
        client = connect(url, options=Options(**options))
        self.addCleanup(client.close)
        return client

    @property
    def inner(self) -> LoopClient:
        """What lends."""
        return self.client.running.client

    @property
    def is_lent(self) -> bool:
        """Whether the loop does not read."""
        sock = self.inner._socket
        return sock is not None and sock.is_lent

    @property
    def is_read_by_a_thread(self) -> bool:
        """Whether one has claimed it."""
        sock = self.inner._socket
        return sock is not None and sock.turn is not None

    def borrow(self) -> None:
        """Ask until the socket is lent."""
        for _ in range(1000):
            self.queue.stats()
            if self.is_lent:
                return
        self.fail("it is never lent")

    def in_thread(self, work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
        """Begun; what it gives, or raises, is in the list at the end."""
        results: list[Any] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:
                results.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, results

    def joined(self, begun: tuple[threading.Thread, list[Any]]) -> Any:
        """What it gave."""
        thread, results = begun
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive(), "it does not end")
        return results[0]


class LendingTests(LendingTestCase):
    """One story each."""

    def test_lent_and_given_back(self) -> None:
        """After some requests in a row; when nobody asks any more, the loop reads again."""
        self.borrow()
        for number in range(100):
            self.queue.publish(str(number).encode())
        until(lambda: not self.is_lent)
        self.assertEqual(self.queue.stats().ready, 101)

    def test_now_and_then(self) -> None:
        """Few requests are not worth it."""
        for _ in range(ENOUGH_IN_A_ROW - 3):
            self.queue.publish(b"one")
        self.assertFalse(self.is_lent)

    def test_subscription(self) -> None:
        """What is pushed is the loop's, which has the socket back at once."""
        self.borrow()
        with self.queue.subscribe() as messages:
            self.assertFalse(self.is_lent)
            self.queue.publish_many([b"second", b"third"])
            payloads = [message.payload for _, message in zip(range(3), messages, strict=False)]
        self.assertEqual(payloads, [b"first", b"second", b"third"])

    def test_publisher(self) -> None:
        """Likewise confirmations."""
        self.borrow()
        with self.queue.publisher() as out:
            confirmations = [out.publish(b"%d" % number) for number in range(5000)]
            for confirmation in confirmations:
                confirmation.result(SECONDS)
        self.assertEqual(self.queue.stats().ready, 5001)

    def test_others_ask_while_one_waits(self) -> None:
        """A thread that reads does so for all; what belongs to the loop it hands over."""
        self.borrow()
        other = self.client.queue("other")
        waiting = self.in_thread(lambda: other.get(wait_seconds=20))
        until(lambda: self.is_read_by_a_thread)
        answers = [self.in_thread(lambda: [self.queue.publish(b"x") for _ in range(100)]) for _ in range(4)]
        pushed = self.in_thread(lambda: next(iter(self.client.queue("third").subscribe())).payload)
        for answer in answers:
            self.assertEqual(len(self.joined(answer)), 100)
        self.client.queue("third").publish(b"pushed")
        self.assertEqual(self.joined(pushed), b"pushed")
        other.publish(b"waited for")
        self.assertEqual(self.joined(waiting).payload, b"waited for")
        self.assertEqual(self.queue.stats().ready, 401)

    def test_connection_ends_while_one_waits(self) -> None:
        """The wait goes on over the next connection."""
        self.borrow()
        waiting = self.in_thread(lambda: self.client.queue("other").get(wait_seconds=20))
        until(lambda: self.is_read_by_a_thread)
        self.server.drop_connections()
        until(lambda: not self.is_read_by_a_thread)
        self.client.queue("other").publish(b"after")
        self.assertEqual(self.joined(waiting).payload, b"after")

    def test_closed_while_one_waits(self) -> None:
        """It is told."""
        self.borrow()
        waiting = self.in_thread(lambda: self.client.queue("other").get(wait_seconds=20))
        until(lambda: self.is_read_by_a_thread)
        self.client.close()
        self.assertIsInstance(self.joined(waiting), QuickPulseError)

    def test_interrupted_halfway(self) -> None:
        """Whatever was read or written is spoilt: there is a new connection, and what was published is stored once."""
        session = self.inner.session
        for name in ("receive", "data_to_send", "ask"):
            self.borrow()
            method = getattr(session, name)

            def interrupted(*arguments: Any, name: str = name, method: Any = method) -> Any:
                if threading.current_thread() is threading.main_thread():
                    delattr(session, name)
                    method(*arguments)
                    raise KeyboardInterrupt
                return method(*arguments)

            setattr(session, name, interrupted)
            before = self.server.stats("jobs").ready
            self.assertRaises(KeyboardInterrupt, self.queue.publish, b"interrupted")
            self.queue.publish(b"after")
            self.assertIn(self.server.stats("jobs").ready - before, (1, 2), name)

    def test_kernel_takes_a_part(self) -> None:
        """The rest is written by the loop, before anything else."""
        self.borrow()
        shared = self.inner._socket
        assert shared is not None
        shared._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        payloads = [bytes([number]) * 900_000 for number in range(4)]
        for payload in payloads:
            self.queue.publish(payload)
            self.queue.stats()
        self.assertEqual(self.queue.take_many(1), [b"first"])
        self.assertEqual([self.queue.take_many(1)[0] for _ in payloads], payloads)

    def test_no_file_is_left_open(self) -> None:
        """However many connections there were."""
        self.borrow()
        open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(10):
            self.server.drop_connections()
            self.borrow()
        self.client.close()
        self.server.drop_connections()
        if open_files:
            until(lambda: len(os.listdir("/proc/self/fd")) <= open_files)


class InterruptedTests(LendingTestCase):
    """Ctrl-C and signals, wherever they come."""

    def test_on_its_way_in(self) -> None:
        """Between the claim to read and the reading: the loop has the socket back, and all goes on."""
        self.borrow()
        with_poll = select.poll

        def interrupted() -> Any:
            self.patch(select, "poll", with_poll)
            raise KeyboardInterrupt

        self.patch(select, "poll", interrupted)
        self.assertRaises(KeyboardInterrupt, self.queue.publish, b"second")
        self.assertEqual(self.queue.stats().ready, 2)

    def test_that_wakes_nobody(self) -> None:
        """As one does that comes in the instant before a wait: it ends that all the same."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        client = self.connect()
        waits = {"got": lambda queue: queue.get(wait_seconds=600), "pushed": lambda queue: next(queue.subscribe())}
        for name, wait in waits.items():
            is_over = threading.Event()

            def interrupt(name: str = name, is_over: threading.Event = is_over) -> bool:
                until(lambda: self.client.list_queues(name) and self.server.stats(name).waiters)
                _thread.interrupt_main()
                if is_over.wait(SECONDS):
                    return True
                self.client.queue(name).publish(b"so that there is an end")
                return False

            begun = self.in_thread(interrupt)
            self.assertRaises(KeyboardInterrupt, wait, client.queue(name))
            is_over.set()
            self.assertTrue(self.joined(begun))

    def test_when_all_is_written(self) -> None:
        """Nothing is spoilt: the server is told on the same connection, and what it leased for nobody goes back."""
        self.borrow()
        method, transport = SharedSocket.write, self.inner.transport

        def interrupted(*arguments: Any) -> bool:
            self.patch(SharedSocket, "write", method)
            method(*arguments)
            raise KeyboardInterrupt

        self.patch(SharedSocket, "write", interrupted)
        with self.assertRaises(KeyboardInterrupt):
            self.queue.get(lease_seconds=600)
        until(lambda: self.server.stats("jobs").counts["released"] == 1)
        self.assertIs(self.inner.transport, transport)

    def test_while_the_loop_is_woken(self) -> None:
        """Whoever comes next wakes it."""
        running = self.client.running
        wake = running.loop.call_soon_threadsafe

        class Interrupted:
            """A loop that is interrupted once."""

            is_first = True

            def __getattr__(self, name: str) -> Any:
                return getattr(loop, name)

            def call_soon_threadsafe(self, call: Any) -> Any:
                if self.is_first:
                    self.is_first = False
                    raise KeyboardInterrupt
                return wake(call)

        loop, running.loop = running.loop, Interrupted()  # type: ignore[assignment]
        self.addCleanup(setattr, running, "loop", loop)
        done = threading.Event()
        self.assertRaises(KeyboardInterrupt, running.post, lambda: None)
        running.post(done.set)
        self.assertTrue(done.wait(SECONDS))

    def test_a_handler_that_asks(self) -> None:
        """While its thread waits it is answered; while that is in the middle of something it is told so at once."""
        self.borrow()
        answers: list[Any] = []

        def handle(*_: Any) -> None:
            try:
                answers.append(self.queue.publish(b"from the handler"))
            except ClientError as error:
                answers.append(error)

        before = signal.signal(signal.SIGUSR2, handle)
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        other = self.client.queue("other")
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR2)).start()
        threading.Timer(0.3, self.server.connect().queue("other").publish, (b"waited for",)).start()
        message = other.get(wait_seconds=20)
        assert message is not None
        self.assertEqual((message.payload, answers), (b"waited for", [2]))
        method = SharedSocket.write

        def signalled(*arguments: Any) -> bool:
            os.kill(os.getpid(), signal.SIGUSR2)
            return method(*arguments)

        self.patch(SharedSocket, "write", signalled)
        self.queue.stats()
        self.assertIsInstance(answers[1], ClientError)

    def test_time_is_up(self) -> None:
        """As early as without a lent socket."""
        self.borrow()
        began = time.monotonic()
        with self.assertRaises(Timeout):
            self.client.running.ask(Pull(("empty",), 1, 0, 60_000), 0.3, True)
        self.assertLess(time.monotonic() - began, GRACE_SECONDS)
        self.queue.publish(b"goes on")

    def test_a_timer_that_comes_late(self) -> None:
        """It is set to what the session wants by then."""
        inner, whens = self.inner, []
        self.patch(Connection, "tick_at", lambda _self, when: whens.append(when))
        with inner.session.lock:
            inner.tick_at(inner.now() + 100)  # by this thread: it is on its way to the loop
            inner.session.next_tick = soon = inner.now() + 50
        until(lambda: whens)
        self.assertEqual(whens[0], soon)

    def test_no_descriptor_is_left(self) -> None:
        """Then the loop does it all."""
        self.patch(socket, "fromfd", lambda *_: self.fail_to_duplicate())
        self.server.drop_connections()
        for _ in range(20):
            self.queue.publish(b"more")
        self.assertIsNone(self.inner._socket)

    def fail_to_duplicate(self) -> Any:
        """As the system says it."""
        raise OSError(24, "Too many open files")


class CallbackTests(LendingTestCase):
    """Callbacks in threads."""

    def consume(self, callback: Callable[[Any], Any], **how: Any) -> list[Any]:
        """In a thread; what it gives or raises."""
        begun = self.in_thread(lambda: self.queue.consume(callback, **how))
        return [self.joined(begun)]

    def test_one_that_ends_the_program(self) -> None:
        """It ends `consume`, its message is put back, and the client is of use."""

        def leave(_message: Any) -> None:
            sys.exit(3)

        (error,) = self.consume(leave)
        self.assertIsInstance(error, SystemExit)
        until(lambda: self.queue.stats().ready == 1)

    def test_one_that_fails_in_any_way(self) -> None:
        """Also by StopIteration, which no future takes: nacked, and the next one is done."""
        seen: list[bytes] = []

        def fail(message: Any) -> None:
            seen.append(message.payload)
            if len(seen) == 3:
                sys.exit()
            next(iter(()))

        self.queue.set_policy(Policy(retry_delays_ms=(0,)))
        (error,) = self.consume(fail)
        self.assertIsInstance(error, SystemExit)
        self.assertEqual(self.server.stats("jobs").counts["nacked"], 2)

    def test_one_that_is_under_way_at_the_end(self) -> None:
        """It goes on, and its message is acked when it is done."""
        is_begun, may_end = threading.Event(), threading.Event()

        def work(_message: Any) -> None:
            is_begun.set()
            may_end.wait(SECONDS)

        begun = self.in_thread(lambda: self.queue.consume(work))
        self.assertTrue(is_begun.wait(SECONDS))
        waits = list(self.client.running._waits)
        for wait in waits:
            wait.cancel()
        may_end.set()
        self.joined(begun)
        until(lambda: self.server.stats("jobs").counts["acked"] == 1)
        self.assertEqual(self.server.stats("jobs").counts["released"], 0)


class WebSocketLendingTests(LendingTests):
    """The same, over WebSocket."""

    scheme = "ws"


class StormTests(LendingTestCase):
    """Many threads with one client, whose connection is cut again and again."""

    def test_every_message_once(self) -> None:
        """What was confirmed is acked once, by whichever way it was published and taken."""
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(1e-5)
        self.queue.purge()
        self.queue.set_policy(Policy(lease_ms=1000))  # what was on its way to a connection that is cut comes again
        storm = Storm(self.client, threads=6, messages=150)
        threads = [self.in_thread(lambda number=number: storm.publish(number)) for number in range(6)]
        threads += [self.in_thread(work) for work in (storm.pull, storm.pull, storm.pull, storm.subscribe)]
        while any(thread.is_alive() for thread, _ in threads[:6]):
            time.sleep(0.05)
            self.server.drop_connections()
        for thread in threads[:-1]:
            self.assertIsNone(self.joined(thread))
        self.queue.publish(END)
        self.assertIsNone(self.joined(threads[-1]))
        expected = {b"%d-%d" % (number, each) for number in range(6) for each in range(150)}
        self.assertEqual(set(storm.seen), expected)
        stats = self.server.stats("jobs")
        self.assertEqual((stats.ready, stats.leased, stats.delayed), (0, 0, 0))
        self.assertEqual(stats.counts["acked"], 6 * 150 + 1)


class Storm:
    """What the threads do.

    :ivar seen: payloads, and how often they came.
    """

    def __init__(self, client: Client, threads: int, messages: int) -> None:
        self._client = client
        self._messages = messages
        self._expected = threads * messages
        self._lock = threading.Lock()
        self.seen: Counter[bytes] = Counter()

    def publish(self, number: int) -> None:
        """One thread's messages, in one way or the other."""
        dice = random.Random(number)
        queue = self._client.queue("jobs")
        names = [b"%d-%d" % (number, each) for each in range(self._messages)]
        at = 0
        while at < len(names):
            count = dice.choice((1, 1, 1, 7, 20))
            part = names[at : at + count]
            if count == 7:
                with queue.publisher() as out:
                    for name in part:
                        out.publish(name)
            elif count == 20:
                queue.publish_many(part)
            else:
                queue.publish(part[0])
            at += len(part)

    def pull(self) -> None:
        """Until all have come."""
        dice = random.Random()
        while len(self.seen) < self._expected:
            for message in self._client.queue("jobs").pull(max_messages=dice.randint(1, 10), wait_seconds=0.05):
                self._done(message)

    def subscribe(self) -> None:
        """Until the end comes."""
        with self._client.queue("jobs").subscribe(credit_messages=5) as messages:
            for message in messages:
                if message.payload == END:
                    message.ack()
                    return
                self._done(message)

    def _done(self, message: Any) -> None:
        with self._lock:
            self.seen[message.payload] += 1
        message.ack()


class SharedSessionTests(SynchronousTestCase):
    """What threads share."""

    def test_every_method_is_guarded(self) -> None:
        """A session's method is one of the shared session's own, or changes nothing."""
        harmless = {"new_key", "open_calls", "is_idle"}
        public = {
            name
            for name, value in vars(Session).items()
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
        }
        self.assertEqual(public - set(vars(SharedSession)), harmless)
