"""A queue for `--queue perf.storm.prefilled:make_queue`: the server's own, with PERF_STORM_QUEUED messages in it.

StreamMessages takes one for each that it puts, so that an empty queue would give each connection its own back. With
messages queued they are mixed. They were never counted as enqueued.
"""

from __future__ import annotations

import os

from perf.servers.own_queue import make_own_queue
from perf.storm.numbered import BLOCK, payloads
from quickpulse.queues.plain import PlainQueue


def make_queue(capacity: int, capacity_bytes: int | None) -> PlainQueue:
    """The factory that the server calls."""
    queue = make_own_queue(capacity, capacity_bytes)
    for first in range(0, int(os.environ["PERF_STORM_QUEUED"]), BLOCK):
        queue.enqueue_many(payloads(first))
    return queue
