"""Who is the limit: what is read of the processor, and what is said of it."""

from __future__ import annotations

import os
import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from perf.processor import ProcessorMeter, ProcessorUse, listener_pid


class ToldTests(SynchronousTestCase):
    """The lines of the report."""

    def assertSaid(self, use: ProcessorUse, *words: str) -> None:
        """One line for each of these, behind the figures."""
        _, *lines = use.told()
        self.assertEqual(len(lines), len(words), lines)
        for line, word in zip(lines, words, strict=True):
            self.assertIn(word, line)

    def test_figures(self) -> None:
        """Of both sides, where they are known."""
        self.assertEqual(ProcessorUse(0.5).told(), ["processor: the load 50% of a core"])
        self.assertEqual(
            ProcessorUse(0.5, 0.25, 0.0, 1.25).told(), ["processor: the load 50% of a core, the server 25%"]
        )

    def test_load_is_the_limit(self) -> None:
        """Whatever the server did."""
        for use in (ProcessorUse(0.9), ProcessorUse(0.97, 0.5, 0.0, 0.5), ProcessorUse(0.95, 0.95, 0.0, 0.1)):
            self.assertTrue(use.load_is_limit)
            self.assertSaid(use, "THE LOAD IS THE LIMIT")

    def test_server_is_the_limit(self) -> None:
        """The figures are what it can do."""
        use = ProcessorUse(0.89, 0.9, 0.0, 0.2)
        self.assertFalse(use.load_is_limit)
        self.assertSaid(use, "the server is the limit")

    def test_others_took_the_cores(self) -> None:
        """Then neither side could do what it can; not if a core was idle."""
        self.assertSaid(ProcessorUse(0.5, 0.5, 1.0, 0.0), "other programs took 100%")
        self.assertSaid(ProcessorUse(0.5, 0.5, 1.0, 0.5))


class MeterTests(SynchronousTestCase):
    """The real clocks."""

    def test_own_time(self) -> None:
        """Of this process, as the load and as the server."""
        meter, began = ProcessorMeter(os.getpid()), time.process_time()
        while time.process_time() - began < 0.1:
            pass
        use = meter.use()
        self.assertGreater(use.load, 0)
        self.assertGreater(use.server, 0)
        self.assertGreaterEqual(use.others, 0)

    def test_unknown_server(self) -> None:
        """Nothing is said of it."""
        use = ProcessorMeter(None).use()
        self.assertEqual((use.server, use.others), (None, None))


class ListenerTests(SynchronousTestCase):
    """Whose the port is."""

    def test_own(self) -> None:
        """A process of this user."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertEqual(listener_pid(listener.getsockname()), os.getpid())

    def test_nobody(self) -> None:
        """Not listening, or of another machine."""
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.assertIsNone(listener_pid(bound.getsockname()))
        self.assertIsNone(listener_pid(("192.0.2.1", 80)))
