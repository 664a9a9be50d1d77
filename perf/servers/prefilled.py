"""A queue for `--queue perf.servers.prefilled:make_queue`: the server's own, with messages in it.

PERF_PREFILL=COUNT:PAYLOAD_BYTES says how many and how long. They were never counted as enqueued.
"""

from __future__ import annotations

import os

from perf.load.numbered import numbered
from quickpulse.queues.memory import MessageQueue

CHUNK = 10_000


def make_queue(capacity: int, capacity_bytes: int | None) -> MessageQueue:
    """The factory that the server calls."""
    queue = MessageQueue(capacity, capacity_bytes)
    count, payload_bytes = map(int, os.environ["PERF_PREFILL"].split(":"))
    for first in range(0, count, CHUNK):
        queue.enqueue_many(list(numbered(first, min(CHUNK, count - first), payload_bytes)))
    return queue
