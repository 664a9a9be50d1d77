"""Request and reply: a service takes questions from one queue, and answers each into the queue that it names.

    twistd --pidfile= -n quickpulse --mode grpc
    python examples/request_reply.py

A question carries `reply_to` and `correlation_id`. Many services may share the work; each client has a queue of its own
for answers, which is forgotten by the server when nobody uses it any more.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import suppress

from quickpulse.client import Message
from quickpulse.client.aio import Client, connect

URL = os.environ.get("QUICKPULSE_URL", "quickpulse://127.0.0.1:50051")


async def serve(client: Client) -> None:
    """The service: square numbers, eight at a time, until cancelled."""

    async def answer(question: Message) -> None:
        properties = question.properties
        reply = str(int(question.payload) ** 2).encode()
        await client.queue(properties.reply_to).publish(reply, correlation_id=properties.correlation_id)

    await client.queue("squares").consume(answer, concurrency=8)


class Caller:
    """Asks, and has the answers sorted out by their `correlation_id`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._name = f"answers.{uuid.uuid4().hex}"
        self._open: dict[str, asyncio.Future[bytes]] = {}

    async def ask(self, question: bytes, *, seconds: float = 10.0) -> bytes:
        """The answer.

        :raises TimeoutError: none came in time.
        """
        key = uuid.uuid4().hex
        answer = self._open[key] = asyncio.get_running_loop().create_future()
        try:
            await self._client.queue("squares").publish(
                question, reply_to=self._name, correlation_id=key, ttl_seconds=seconds
            )
            return await asyncio.wait_for(answer, seconds)
        finally:
            del self._open[key]

    async def listen(self) -> None:
        """Take answers until cancelled; one that nobody waits for any more is thrown away."""
        async with self._client.queue(self._name).subscribe() as answers:
            async for message in answers:
                answer = self._open.get(message.properties.correlation_id)
                if answer is not None and not answer.done():
                    answer.set_result(message.payload)
                message.ack()


async def main() -> None:
    """A service and a caller; in life they are two programs."""
    async with await connect(URL) as client:
        caller = Caller(client)
        tasks = [asyncio.ensure_future(each) for each in (serve(client), caller.listen())]
        answers = await asyncio.gather(*(caller.ask(str(number).encode()) for number in range(10)))
        print(*(answer.decode() for answer in answers))
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


if __name__ == "__main__":
    asyncio.run(main())
