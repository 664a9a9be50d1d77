"""A queue for `--queue perf.servers.prefilled:make_queue`: the server's own, with messages in it.

PERF_PREFILL=COUNT:PAYLOAD_BYTES says how many and how long. They were never counted as enqueued.
"""

from __future__ import annotations

import os

from perf.load.numbered import numbered
from perf.servers.own_queue import make_own_queue
from quickpulse.queues.plain import PlainQueue

CHUNK = 10_000


def make_queue(capacity: int, capacity_bytes: int | None) -> PlainQueue:
    """The factory that the server calls."""
    queue = make_own_queue(capacity, capacity_bytes)
    count, payload_bytes = map(int, os.environ["PERF_PREFILL"].split(":"))
    for first in range(0, count, CHUNK):
        queue.enqueue_many(list(numbered(first, min(CHUNK, count - first), payload_bytes)))
    return queue
