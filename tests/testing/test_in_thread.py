"""A server in a thread, as somebody's tests use it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import LeaseLost
from quickpulse.errors import ListenError, NotFound, QueueFull, SettingsError
from quickpulse.testing import Server


def until(condition: Callable[[], bool]) -> None:
    """Ask again until something holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)


class ServerTests(SynchronousTestCase):
    """One server for a test."""

    def start(self, **settings: object) -> Server:
        """Ended after the test."""
        server = Server(**settings).start()  # type: ignore[arg-type]
        self.addCleanup(server.stop)
        return server

    def test_messages(self) -> None:
        """What a client publishes, the test can look at."""
        server = self.start()
        queue = server.connect().queue("jobs")
        queue.publish_many([b"one", b"two"])
        self.assertEqual(server.payloads("jobs"), [b"one", b"two"])
        message = queue.get()
        assert message is not None
        self.assertEqual((server.stats("jobs").ready, server.stats("jobs").leased), (1, 1))
        message.ack(confirm=True)
        self.assertEqual(server.stats("jobs").leased, 0)
        self.assertEqual(server.payloads("other"), [])
        self.assertRaises(NotFound, server.stats, "other")

    def test_every_transport(self) -> None:
        """On one set of queues."""
        server = self.start()
        self.assertTrue(server.ws_url.startswith("quickpulse+ws://127.0.0.1:"), server.ws_url)
        server.connect().queue("jobs").publish(b"one")
        with urlopen(f"{server.http_url}/api/v1/queues/jobs", timeout=10) as answer:
            self.assertEqual(json.load(answer)["ready"], "1")

    def test_settings(self) -> None:
        """Those of the server, with loopback and free ports where nothing is said."""
        queue = self.start(capacity=1).connect().queue("jobs")
        queue.publish(b"one")
        self.assertRaises(QueueFull, queue.publish, b"two")

    def test_settings_that_cannot_be(self) -> None:
        """The error is the caller's, and no thread is left."""
        before = threading.active_count()
        with self.assertRaisesRegex(TypeError, "there is no setting 'capcity'; did you mean 'capacity'?"):
            Server(capcity=10)
        self.assertRaises(ValueError, Server, queue="some.module:factory")
        self.assertRaises(SettingsError, lambda: Server(http_endpoint="nonsense:1").start())
        self.assertEqual(threading.active_count(), before)

    def test_before_the_start(self) -> None:
        """Whatever is asked of it, the error says that it does not run."""
        server = Server()
        self.assertEqual(repr(server), "<Server, not running>")
        for ask in (server.connect, server.restart, lambda: server.url, lambda: server.payloads("q")):
            with self.assertRaisesRegex(RuntimeError, "the server does not run"):
                ask()
        with server:
            self.assertEqual(repr(server), f"<Server at {server.url}>")

    def test_a_port_that_is_taken(self) -> None:
        """Likewise, and it can be started when the port is free."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = Server(http_port=port)
            self.assertRaises(ListenError, server.start)
        server.start()
        self.addCleanup(server.stop)
        self.assertEqual(server.http_url, f"http://127.0.0.1:{port}")

    def test_a_server_that_does_not_run(self) -> None:
        """It says so; to stop it again is nothing."""
        server = Server()
        self.assertRaises(RuntimeError, server.payloads, "jobs")
        server.start()
        server.stop()
        server.stop()
        self.assertRaises(RuntimeError, server.clear)

    def test_again(self) -> None:
        """One object can run several times, each time empty."""
        server = Server()
        for _ in range(3):
            with server, server.connect() as client:
                self.assertEqual(server.payloads("jobs"), [])
                client.queue("jobs").publish(b"one")

    def test_two_at_once(self) -> None:
        """They have nothing in common."""
        first, second = self.start(), self.start()
        first.connect().queue("jobs").publish(b"one")
        self.assertEqual((first.payloads("jobs"), second.payloads("jobs")), ([b"one"], []))

    def test_clear(self) -> None:
        """For the next test on the same server."""
        server = self.start()
        client = server.connect()
        for name in ("jobs", "default", "others"):
            client.queue(name).publish(b"one")
        server.faults.fail("publish", QueueFull())
        server.clear()
        self.assertEqual([queue.ready for queue in client.list_queues()], [0] * len(client.list_queues()))
        client.queue("jobs").publish(b"two")
        self.assertEqual(server.payloads("jobs"), [b"two"])

    def test_restart(self) -> None:
        """Empty, on the same ports; a client comes back."""
        server = self.start()
        queue = server.connect().queue("jobs")
        queue.publish(b"one")
        urls = server.url, server.http_url
        server.restart()
        self.assertEqual((server.url, server.http_url), urls)
        self.assertEqual(server.payloads("jobs"), [])
        queue.publish(b"two")
        self.assertEqual(server.payloads("jobs"), [b"two"])

    def test_connections_that_are_dropped(self) -> None:
        """A client comes back, and what it had leased is still its own."""
        server = self.start()
        queue = server.connect().queue("jobs")
        queue.publish(b"one")
        message = queue.get()
        assert message is not None
        server.drop_connections()
        message.ack(confirm=True)

    def test_a_publish_is_stored_once(self) -> None:
        """Whether the connection ended before or after it."""
        server = self.start()
        queue = server.connect().queue("jobs")
        server.faults.drop_before("publish")
        queue.publish(b"one")
        server.faults.drop_after("publish")
        queue.publish(b"two")
        self.assertEqual((server.payloads("jobs"), server.faults.left), ([b"one", b"two"], 0))

    def test_dropped_before_the_ack(self) -> None:
        """It is said again on the next connection."""
        server = self.start()
        queue = server.connect().queue("jobs")
        queue.publish(b"one")
        message = queue.get()
        assert message is not None
        server.faults.drop_before("settle")
        message.ack(confirm=True)
        self.assertEqual(server.stats("jobs").counts["acked"], 1)


class StillClockTests(SynchronousTestCase):
    """Time that the test moves."""

    def setUp(self) -> None:
        """A server whose time stands still."""
        self.server = Server(still_clock=True).start()
        self.addCleanup(self.server.stop)
        self.queue = self.server.connect().queue("jobs")

    def test_delay(self) -> None:
        """It is due when the test says so."""
        self.queue.publish(b"one", delay_seconds=3600)
        self.server.advance(3599)
        self.assertIsNone(self.queue.get())
        self.server.advance(1)
        self.assertIsNotNone(self.queue.get())

    def test_a_lease_runs_out(self) -> None:
        """The message comes again, and who had it is told."""
        self.queue.publish(b"one")
        first = self.queue.get()
        self.server.advance(31)
        second = self.queue.get()
        assert first is not None
        assert second is not None
        self.assertEqual(second.delivery_count, 2)
        self.assertRaises(LeaseLost, first.ack, confirm=True)
        second.ack(confirm=True)

    def test_who_waits_is_served(self) -> None:
        """A wait ends with the message that becomes due; no time has to go by in the test."""
        self.queue.publish(b"one", delay_seconds=60)
        got: list[object] = []
        waiting = threading.Thread(target=lambda: got.append(self.queue.get(wait_seconds=120)))
        waiting.start()
        until(lambda: self.server.stats("jobs").waiters == 1)
        self.server.advance(60)
        waiting.join(20)
        self.assertEqual([message.payload for message in got], [b"one"])

    def test_real_time_is_not_moved(self) -> None:
        """It says what is missing."""
        with Server() as server:
            self.assertRaises(RuntimeError, server.advance, 1)


class QuietTests(SynchronousTestCase):
    """What it does to the process it is in."""

    def test_the_global_reactor_is_the_users(self) -> None:
        """None is installed, and nothing is printed."""
        program = (
            "import sys\n"
            "from quickpulse.testing import Server\n"
            "with Server(mode='grpc') as server, server.connect() as client:\n"
            "    client.queue('jobs').publish(b'one')\n"
            "sys.exit('twisted.internet.reactor' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
