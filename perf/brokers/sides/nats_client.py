"""nats-py: JetStream with its stream in memory, and core NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StorageType

from perf.brokers.work import BATCH, END, PAUSE_SECONDS, SILENCE_SECONDS, Work

STREAM, SUBJECT, DURABLE = "bench", "bench", "consumer"

MOST_PENDING = 10_000
"""Messages that a pushing consumer may have out."""

UNBOUNDED = -1


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    """Its defaults."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    try:
        yield client
    finally:
        await client.close()


async def publish_batches(client: Client, work: Work) -> None:
    """Many on their way, and all confirmed before the next batch."""
    stream = client.jetstream()
    work.begin()
    for batch in work.batches():
        await asyncio.gather(*[await stream.publish_async(SUBJECT, payload) for payload in batch])
    work.finish()


async def consume_batches(client: Client, work: Work) -> None:
    """Fetched; the last message's ack counts for all before it."""
    stream = await _stream(client)
    config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=UNBOUNDED)
    puller = await stream.pull_subscribe(SUBJECT, DURABLE, config=config)
    work.begin()
    is_more = True
    while is_more:
        messages = await puller.fetch(BATCH, SILENCE_SECONDS)
        is_more = work.saw([message.data for message in messages])
        await (messages[-1].ack() if is_more else messages[-1].ack_sync())
    work.finish()
    await _look(stream, work)


async def publish_singly(client: Client, work: Work) -> None:
    """Without waiting for each; all are confirmed at the end."""
    stream = client.jetstream()
    work.begin()
    for payload in work.payloads():
        await stream.publish_async(SUBJECT, payload)
    await stream.publish_async_completed()
    work.finish()


async def consume_singly(client: Client, work: Work) -> None:
    """Pushed, an ack for each message."""
    stream = await _stream(client)
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=MOST_PENDING)
    subscription = await stream.subscribe(SUBJECT, durable=DURABLE, manual_ack=True, config=config)
    work.begin()
    count = 0
    async for message in subscription.messages:
        count += 1
        if message.data[0] == END:
            work.saw_all(count, message.data)
            await message.ack_sync()
            break
        await message.ack()
    work.finish()
    await _look(stream, work)


async def publish_stamps(client: Client, work: Work) -> None:
    """Now and then one, confirmed."""
    stream = client.jetstream()
    work.begin()
    for stamp in work.stamps():
        await stream.publish(SUBJECT, stamp)
        await asyncio.sleep(PAUSE_SECONDS)
    work.finish()


async def wait_by_subscription(client: Client, work: Work) -> None:
    """Pushed by a JetStream consumer."""
    stream = await _stream(client)
    subscription = await stream.subscribe(SUBJECT, durable=DURABLE, manual_ack=True)
    work.begin()
    async for message in subscription.messages:
        is_more = work.arrived(message.data)
        await message.ack()
        if not is_more:
            break
    work.finish()


async def publish_core_stamps(client: Client, work: Work) -> None:
    """Now and then one; core NATS confirms nothing, so it is only written out."""
    work.begin()
    for stamp in work.stamps():
        await client.publish(SUBJECT, stamp)
        await asyncio.sleep(PAUSE_SECONDS)
    await client.flush()
    work.finish()


async def wait_by_core_subscription(client: Client, work: Work) -> None:
    """Pushed by core NATS, which keeps nothing."""
    subscription = await client.subscribe(SUBJECT)
    await client.flush()
    work.begin()
    async for message in subscription.messages:
        if not work.arrived(message.data):
            break
    work.finish()


async def fill_and_lease(client: Client, work: Work) -> None:
    """A stream, all of it then fetched and not acked."""
    stream = await _stream(client)
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=UNBOUNDED, ack_wait=600)
    puller = await stream.pull_subscribe(SUBJECT, DURABLE, config=config)
    work.begin()
    for batch in work.fill():
        await asyncio.gather(*[await stream.publish_async(SUBJECT, payload) for payload in batch])
    work.wait("filled")
    leased = 0
    while leased < work.messages:
        leased += len(await puller.fetch(BATCH, SILENCE_SECONDS))
    work.wait("leased")
    work.finish()


async def _stream(client: Client) -> JetStreamContext:
    stream = client.jetstream()
    await stream.add_stream(name=STREAM, subjects=[SUBJECT], storage=StorageType.MEMORY)
    return stream


async def _look(stream: JetStreamContext, work: Work) -> None:
    info = await stream.consumer_info(STREAM, DURABLE)
    work.left((info.num_ack_pending or 0) + (info.num_pending or 0))
