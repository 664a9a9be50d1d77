"""A client's thread: what is posted is done, also when it is over; and what waits for it has an end."""

from __future__ import annotations

import contextlib
import threading

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import ClientClosed, Options, Timeout, connect, threads
from quickpulse.client.blocking import Client
from quickpulse.requests import ListQueues
from tests.client.servers import shared_server


class ThreadTests(SynchronousTestCase):
    """The thread of a client that is connected."""

    def connect(self, **options: float) -> Client:
        """A client."""
        client = connect(f"quickpulse://{shared_server().target}", options=Options(**options))
        self.addCleanup(client.close)
        return client

    def test_posted(self) -> None:
        """In order, in the thread; many together."""
        running = self.connect().running
        said: list[tuple[int, str]] = []
        done = threading.Event()
        for number in range(100):
            running.post(lambda number=number: said.append((number, threading.current_thread().name)))
        running.post(done.set)
        self.assertTrue(done.wait(20))
        self.assertEqual(said, [(number, "quickpulse-client") for number in range(100)])

    def test_after_the_end(self) -> None:
        """What is asked is answered: that it is over."""
        client = self.connect()
        running = client.running
        client.close()
        said: list[int] = []
        running.post(lambda: said.append(1))
        self.assertEqual(said, [1])
        with self.assertRaises(ClientClosed):
            running.ask(ListQueues(), None, False)

    def test_waits_that_the_end_ends(self) -> None:
        """However many threads wait for however many things."""
        client = self.connect()
        queue = client.queue(self.id())
        ended: list[str] = []

        def consume() -> None:
            with contextlib.suppress(ClientClosed):
                queue.consume(lambda _message: None, concurrency=2)
            ended.append("consume")

        def read() -> None:
            with contextlib.suppress(ClientClosed):
                list(queue.subscribe())
            ended.append("read")

        def get() -> None:
            with contextlib.suppress(ClientClosed):
                queue.get(wait_seconds=50)
            ended.append("get")

        waiting = [threading.Thread(target=wait) for wait in (consume, read, get) * 5]
        for thread in waiting:
            thread.start()
        while client.list_queues(self.id())[:1] == []:
            pass
        client.close()
        for thread in waiting:
            thread.join(30)
        self.assertEqual(sorted(ended), ["consume"] * 5 + ["get"] * 5 + ["read"] * 5)

    def test_waiting_for_itself(self) -> None:
        """Would never end, and is an error."""
        client = self.connect()
        caught: list[BaseException] = []
        done = threading.Event()

        def ask() -> None:
            try:
                client.list_queues()
            except BaseException as error:
                caught.append(error)
            done.set()

        client.running.post(ask)
        self.assertTrue(done.wait(20))
        self.assertIsInstance(caught[0], ClientClosed)

    def test_stuck(self) -> None:
        """A thread that does nothing any more keeps nobody for ever."""
        self.patch(threads, "GRACE_SECONDS", 0.05)
        client = self.connect(timeout_seconds=0.05)
        goes_on = threading.Event()
        client.running.post(lambda: goes_on.wait(20))
        with self.assertRaises(Timeout) as caught:
            client.list_queues()
        self.assertIn("stuck", str(caught.exception))
        goes_on.set()
