"""The memory that there is, and what a container leaves of it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.backends import machine


class MemoryTests(SynchronousTestCase):
    """memory_bytes."""

    def with_files(self, *texts: str | None) -> int:
        """What it says where the files have these texts; None: no such file."""
        paths = []
        for text in texts:
            path = Path(self.mktemp())
            if text is not None:
                path.write_text(text)
            paths.append(path)
        self.patch(machine, "CGROUP_FILES", tuple(paths))
        return machine.memory_bytes()

    def test_the_machine(self) -> None:
        """Without a container, or with one that has no bound."""
        physical = self.with_files(None, None)
        self.assertGreater(physical, 64 * 1024 * 1024)
        self.assertEqual(self.with_files("max\n", None), physical)
        self.assertEqual(self.with_files(None, "9223372036854771712\n"), physical)

    def test_a_container(self) -> None:
        """Its bound, of whichever version."""
        self.assertEqual(self.with_files("1048576\n", None), 1_048_576)
        self.assertEqual(self.with_files(None, "2097152\n"), 2_097_152)
