"""The number of files that a process may have open: many connections need many."""

from __future__ import annotations

import resource


def raise_file_limit() -> int:
    """As high as this process may; processes that it starts inherit it. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
