"""--queue: from a word to a provider, or to one line that says why not."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends.foreign import DequeQueue
from quickpulse.backends.loading import load, make_queue
from quickpulse.errors import SettingsError
from quickpulse.queues.memory import MessageQueue

HERE = "tests.backends.test_loading"


def make_deque(*, capacity: int, capacity_bytes: int | None) -> Any:
    """A user's factory."""
    return deque([b"%d %d" % (capacity, capacity_bytes or 0)], maxlen=capacity)


def make_list(*, capacity: int, capacity_bytes: int | None) -> Any:
    """A user's factory that gives something else."""
    return []


class QueueProviderTests(SynchronousTestCase):
    """make_queue."""

    def test_memory(self) -> None:
        """The one in memory, with both bounds."""
        queue = make_queue("memory", 5, 100)
        self.assertIs(type(queue), MessageQueue)
        self.assertEqual((queue.capacity, queue.capacity_bytes), (5, 100))

    def test_a_factory_is_called_with_the_bounds(self) -> None:
        """By keyword; what it returns is adapted."""
        queue = make_queue(f"{HERE}:make_deque", 5, 100)
        self.assertIs(type(queue), DequeQueue)
        self.assertEqual(queue.dequeue(), b"5 100")

    def test_no_queue(self) -> None:
        """What cannot be adapted is named."""
        error = self.assertRaises(SettingsError, make_queue, f"{HERE}:make_list", 5, None)
        self.assertEqual(str(error), f"--queue '{HERE}:make_list': list cannot be adapted to IMessageQueue")


class LoadTests(SynchronousTestCase):
    """load."""

    def test_found(self) -> None:
        """The callable itself."""
        self.assertIs(load("tests.backends.test_loading:make_list", "--queue").__code__, make_list.__code__)

    def test_each_mistake_names_the_flag(self) -> None:
        """One line with the flag, the value and what is wrong."""
        for path, problem in (
            ("memroy", "expected package.module:factory"),
            ("module:", "expected package.module:factory"),
            (":factory", "expected package.module:factory"),
            ("no_such_module_here:factory", "No module named 'no_such_module_here'"),
            (f"{HERE}:nothing", "has no attribute 'nothing'"),
            (f"{HERE}:HERE", "HERE is not callable"),
            ("tests..backends:factory", "No module named 'tests.'"),
            (".relative:factory", "relative import"),
        ):
            error = self.assertRaises(SettingsError, load, path, "--metrics")
            self.assertIn(f"--metrics {path!r}: ", str(error))
            self.assertIn(problem, str(error))
            self.assertNotIn("\n", str(error))

    def test_a_module_with_a_mistake_in_it(self) -> None:
        """One that is no Python, or imports what is not there, is named with what is wrong in it."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.patch(sys, "path", [str(directory), *sys.path])
        self.patch(sys, "dont_write_bytecode", True)
        for name, source, problem in (
            ("quickpulse_test_no_python", "def (:", "(quickpulse_test_no_python.py, line 1)"),
            ("quickpulse_test_no_import", "import no_such_module_here", "No module named 'no_such_module_here'"),
        ):
            (directory / f"{name}.py").write_text(source)
            error = self.assertRaises(SettingsError, load, f"{name}:factory", "--queue")
            self.assertTrue(str(error).startswith(f"--queue '{name}:factory': "), error)
            self.assertTrue(str(error).endswith(problem), error)
            self.assertNotIn("\n", str(error))
