"""A queue for `--queue perf.storm.prefilled:make_queue`: the server's own, with PERF_STORM_QUEUED messages in it.

StreamMessages takes one for each that it puts, so that an empty queue would give each connection its own back. With
messages queued they are mixed. They were never counted as enqueued.
"""

from __future__ import annotations

import os

from perf.storm.numbered import BLOCK, payloads
from quickpulse.queues.memory import MessageQueue


def make_queue(capacity: int, capacity_bytes: int | None) -> MessageQueue:
    """The factory that the server calls."""
    queue = MessageQueue(capacity, capacity_bytes)
    for first in range(0, int(os.environ["PERF_STORM_QUEUED"]), BLOCK):
        queue.enqueue_many(payloads(first))
    return queue
