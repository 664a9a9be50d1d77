"""Two faces of the client as one, so that a story is written once: asyncio's, and the blocking one in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from quickpulse.client import aio, blocking
from quickpulse.client.options import Options

AIO_CONSUMER = """
import asyncio, sys
from quickpulse.client.aio import connect
async def main():
    client = await connect(sys.argv[1])
    batch = await client.queue(sys.argv[2]).pull(max_messages=10, wait_seconds=30, lease_seconds=1)
    for message in list(batch)[:3]:
        await message.ack(confirm=True)
    print("leased", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""

BLOCKING_CONSUMER = """
import sys, time
from quickpulse.client import connect
client = connect(sys.argv[1])
batch = client.queue(sys.argv[2]).pull(max_messages=10, wait_seconds=30, lease_seconds=1)
for message in list(batch)[:3]:
    message.ack(confirm=True)
print("leased", flush=True)
time.sleep(600)
"""


class AioFace:
    """`await face.do(queue.publish, b"x")`."""

    consumer = AIO_CONSUMER
    """A process that leases ten messages, acks three, and holds the rest."""

    async def connect(self, url: str, options: Options, wait_seconds: float = 30.0) -> Any:
        """A client."""
        return await aio.connect(url, options=options, wait_seconds=wait_seconds)

    async def do(self, method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call and wait."""
        return await method(*arguments, **keywords)

    async def publisher(self, queue: Any, **how: Any) -> Any:
        """Of a queue."""
        return queue.publisher(**how)

    async def subscription(self, queue: Any, **how: Any) -> Any:
        """That is open."""
        messages = queue.subscribe(**how)
        messages.open()
        return messages

    async def next(self, messages: Any) -> Any:
        """The subscription's next message."""
        return await messages.__anext__()


class BlockingFace:
    """The same with threads."""

    consumer = BLOCKING_CONSUMER

    async def connect(self, url: str, options: Options, wait_seconds: float = 30.0) -> Any:
        """A client."""
        return await asyncio.to_thread(blocking.connect, url, options=options, wait_seconds=wait_seconds)

    async def do(self, method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call and wait."""
        return await asyncio.to_thread(method, *arguments, **keywords)

    async def publisher(self, queue: Any, **how: Any) -> Any:
        """Of a queue."""
        return await asyncio.to_thread(queue.publisher, **how)

    async def subscription(self, queue: Any, **how: Any) -> Any:
        """That is open."""
        return await asyncio.to_thread(queue.subscribe, **how)

    async def next(self, messages: Any) -> Any:
        """The subscription's next message."""
        return await asyncio.to_thread(next, messages)
