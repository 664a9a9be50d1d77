"""What the system knows of another process: its processor time, and the memory it holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int | None) -> int | None:
    """Memory that the process holds now; None where that is not known."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None


def server_clock(pid: int | None) -> Callable[[], float | None]:
    """Reads the seconds that the process has used so far, all its threads; None where that is not known.

    They are the scheduler's, in nanoseconds, where it tells them, else ticks.
    """
    if pid is None:
        return lambda: None
    process = Path(f"/proc/{pid}")
    return lambda: _scheduler_seconds(process) or _tick_seconds(process)


def _scheduler_seconds(process: Path) -> float | None:
    """The first number of schedstat, of each thread."""
    try:
        return sum(int(path.read_text().split()[0]) for path in process.glob("task/*/schedstat")) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _tick_seconds(process: Path) -> float | None:
    """From stat: utime and stime, in hundredths of a second."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
