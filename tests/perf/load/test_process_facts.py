"""What is known of a process."""

from __future__ import annotations

import os
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from perf.load.process_facts import _scheduler_seconds, _tick_seconds, resident_bytes, server_clock


class ProcessTests(SynchronousTestCase):
    """Of our own."""

    def test_processor_time(self) -> None:
        """It goes forward, by either source."""
        clock = server_clock(os.getpid())
        before, began = clock(), time.process_time()
        while time.process_time() - began < 0.1:
            pass
        self.assertGreaterEqual(clock() - before, 0.05)
        process = Path("/proc/self")
        self.assertGreater(_tick_seconds(process), 0)
        self.assertGreaterEqual(_scheduler_seconds(process) or 0, 0)  # not every kernel keeps it

    def test_memory(self) -> None:
        """A Python takes some megabytes."""
        self.assertGreater(resident_bytes(os.getpid()), 4 << 20)

    def test_unknown(self) -> None:
        """Nobody's, or one that is gone."""
        self.assertIsNone(server_clock(None)())
        self.assertIsNone(server_clock(2**22 + 1)())
        self.assertIsNone(resident_bytes(2**22 + 1))
