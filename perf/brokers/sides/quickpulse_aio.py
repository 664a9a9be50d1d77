"""`quickpulse.client.aio`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from perf.brokers.work import BATCH, END, PAUSE_SECONDS, SILENCE_SECONDS, Work
from quickpulse.client.aio import Queue, connect

QUEUE = "bench"

REMEMBERED = 100_000
"""Keys of publishes that a queue remembers."""


def url(port: int) -> str:
    """Of the server."""
    return f"quickpulse://127.0.0.1:{port}"


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Queue]:
    """The queue, by a client with its defaults."""
    async with await connect(url(port)) as client:
        yield client.queue(QUEUE)


async def publish_batches(queue: Queue, work: Work) -> None:
    """A confirmation for each batch."""
    work.begin()
    for batch in work.batches():
        await queue.publish_many(batch)
    work.finish()


async def consume_batches(queue: Queue, work: Work) -> None:
    """Pulled, and acked as a range."""
    work.begin()
    while True:
        batch = await queue.pull(max_messages=BATCH, wait_seconds=SILENCE_SECONDS)
        if not work.saw(batch.payloads):
            break
        batch.ack()
    await batch.ack(confirm=True)
    work.finish()
    await _look(queue, work)


async def publish_singly(queue: Queue, work: Work) -> None:
    """Batched in the background; leaving the publisher waits until every message is confirmed."""
    work.begin()
    async with queue.publisher() as out:
        for payload in work.payloads():
            await out.publish(payload)
    work.finish()


async def consume_singly(queue: Queue, work: Work) -> None:
    """A subscription, an ack for each message."""
    work.begin()
    count = 0
    async with queue.subscribe() as messages:
        async for message in messages:
            count += 1
            if message.payload[0] == END:
                work.saw_all(count, message.payload)
                await message.ack(confirm=True)
                break
            message.ack()
        work.finish()
    await _look(queue, work)


async def take_batches(queue: Queue, work: Work) -> None:
    """At most once."""
    work.begin()
    while work.saw(await queue.take_many(BATCH, wait_seconds=SILENCE_SECONDS)):
        pass
    work.finish()
    await _look(queue, work)


async def round_trips_taken(queue: Queue, work: Work) -> None:
    """In and out again, at most once."""
    work.begin()
    for payload in work.rounds():
        await queue.publish(payload)
        (_,) = await queue.take_many(1)
    work.finish()


async def publish_stamps(queue: Queue, work: Work) -> None:
    """Now and then one."""
    work.begin()
    for stamp in work.stamps():
        await queue.publish(stamp)
        await asyncio.sleep(PAUSE_SECONDS)
    work.finish()


async def wait_by_get(queue: Queue, work: Work) -> None:
    """A long poll for each message."""
    work.begin()
    while message := await queue.get(wait_seconds=SILENCE_SECONDS):
        is_more = work.arrived(message.payload)
        message.ack()
        if not is_more:
            break
    work.finish()


async def wait_by_subscription(queue: Queue, work: Work) -> None:
    """Pushed."""
    work.begin()
    async with queue.subscribe() as messages:
        async for message in messages:
            is_more = work.arrived(message.payload)
            message.ack()
            if not is_more:
                break
    work.finish()


async def fill_and_lease(queue: Queue, work: Work) -> None:
    """Fills the queue, then leases all of it."""
    work.begin()
    for batch in work.fill():
        await queue.publish_many(batch)
    work.wait("filled")
    leased = 0
    while leased < work.messages:
        leased += len(await queue.pull(max_messages=BATCH, lease_seconds=600))
    work.wait("leased")
    work.finish()


async def fill_and_lease_singly(queue: Queue, work: Work) -> None:
    """The same with a request for each message.

    The server remembers a key for each, up to so many: a queue that has been in use for a while is full of them.
    """
    for batch in work.fill(min(REMEMBERED, work.messages)):
        await asyncio.gather(*[queue.publish(payload) for payload in batch])
        await queue.take_many(BATCH)
    work.begin()
    for batch in work.fill():
        await asyncio.gather(*[queue.publish(payload) for payload in batch])
    work.wait("filled")
    for _ in range(work.messages // BATCH):
        await asyncio.gather(*[queue.get(lease_seconds=600) for _ in range(BATCH)])
    work.wait("leased")
    work.finish()


async def round_trips_beside_leased(queue: Queue, work: Work) -> None:
    """In, out and acked, while many other messages are leased."""
    for batch in work.fill():
        await queue.publish_many(batch)
        await queue.pull(max_messages=BATCH, lease_seconds=600)
    work.begin()
    for payload in work.rounds():
        await queue.publish(payload)
        message = await queue.get()
        assert message is not None
        await message.ack(confirm=True)
    work.finish()


async def _look(queue: Queue, work: Work) -> None:
    info = await queue.stats()
    work.left(info.ready + info.leased)
