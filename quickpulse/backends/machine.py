"""How much memory this process may use: the machine's, or less where its container says so."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Of the second and of the first version, as a container sees its own."""


def memory_bytes() -> int:
    """In bytes. Source: the kernel's cgroup-v2 document, "memory.max"."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(physical, *(_limit(path, physical) for path in CGROUP_FILES))


def _limit(path: Path, otherwise: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # there is none, or it is "max"
        return otherwise
