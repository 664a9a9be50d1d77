"""`quickpulse.client`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from perf.brokers.sides.quickpulse_aio import QUEUE, url
from perf.brokers.work import BATCH, END, PAUSE_SECONDS, SILENCE_SECONDS, Work
from quickpulse.client import Queue, connect


@contextmanager
def connected(port: int) -> Iterator[Queue]:
    """The queue, by a client with its defaults."""
    with connect(url(port)) as client:
        yield client.queue(QUEUE)


def publish_batches(queue: Queue, work: Work) -> None:
    """A confirmation for each batch."""
    work.begin()
    for batch in work.batches():
        queue.publish_many(batch)
    work.finish()


def consume_batches(queue: Queue, work: Work) -> None:
    """Pulled, and acked as a range."""
    work.begin()
    while True:
        batch = queue.pull(max_messages=BATCH, wait_seconds=SILENCE_SECONDS)
        if not work.saw(batch.payloads):
            break
        batch.ack()
    batch.ack(confirm=True)
    work.finish()
    _look(queue, work)


def publish_singly(queue: Queue, work: Work) -> None:
    """Batched in the background; leaving the publisher waits until every message is confirmed."""
    work.begin()
    with queue.publisher() as out:
        for payload in work.payloads():
            out.publish(payload)
    work.finish()


def consume_singly(queue: Queue, work: Work) -> None:
    """A subscription, an ack for each message."""
    work.begin()
    count = 0
    with queue.subscribe() as messages:
        for message in messages:
            count += 1
            if message.payload[0] == END:
                work.saw_all(count, message.payload)
                message.ack(confirm=True)
                break
            message.ack()
        work.finish()
    _look(queue, work)


def take_batches(queue: Queue, work: Work) -> None:
    """At most once."""
    work.begin()
    while work.saw(queue.take_many(BATCH, wait_seconds=SILENCE_SECONDS)):
        pass
    work.finish()
    _look(queue, work)


def round_trips_taken(queue: Queue, work: Work) -> None:
    """In and out again, at most once."""
    work.begin()
    for payload in work.rounds():
        queue.publish(payload)
        (_,) = queue.take_many(1)
    work.finish()


def round_trips_acked(queue: Queue, work: Work) -> None:
    """In and out again, with an ack."""
    work.begin()
    for payload in work.rounds():
        queue.publish(payload)
        message = queue.get()
        assert message is not None
        message.ack()
    work.finish()


def publish_stamps(queue: Queue, work: Work) -> None:
    """Now and then one."""
    work.begin()
    for stamp in work.stamps():
        queue.publish(stamp)
        time.sleep(PAUSE_SECONDS)
    work.finish()


def wait_by_get(queue: Queue, work: Work) -> None:
    """A long poll for each message."""
    work.begin()
    while message := queue.get(wait_seconds=SILENCE_SECONDS):
        is_more = work.arrived(message.payload)
        message.ack()
        if not is_more:
            break
    work.finish()


def wait_by_subscription(queue: Queue, work: Work) -> None:
    """Pushed."""
    work.begin()
    with queue.subscribe() as messages:
        for message in messages:
            is_more = work.arrived(message.payload)
            message.ack()
            if not is_more:
                break
    work.finish()


def _look(queue: Queue, work: Work) -> None:
    info = queue.stats()
    work.left(info.ready + info.leased)
