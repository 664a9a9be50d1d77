"""A publisher on an event loop, as its client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.aio import AsyncioRuntime
from quickpulse.client.publishing import Publisher
from quickpulse.requests import PublishReply
from tests.client.worlds import run

SECONDS = 20


class Client:
    """Keeps what is to be answered; is its own session."""

    def __init__(self) -> None:
        self.runtime = AsyncioRuntime(asyncio.get_running_loop())
        self.session = self
        self.asked: list[Callable[[Any], None]] = []

    def ask(self, _request: Any, done: Callable[[Any], None], _now: float) -> None:
        """By nobody yet."""
        self.asked.append(done)

    def new_key(self) -> bytes:
        """Any."""
        return b"key"

    def closing(self, _end: Any) -> None:
        """It is the test's."""

    def closed(self, _end: Any) -> None:
        """Likewise."""


class FlushTests(SynchronousTestCase):
    """What it waits for."""

    def flush(self, make_future: Any, verb: str) -> tuple[bool, bool]:
        """Whether it has ended when the first of two messages is confirmed, and when the second one is."""
        seen: list[bool] = []

        async def main() -> None:
            client: Any = Client()
            publisher = Publisher(client, "q", 10, 1000, make_future)
            await publisher.publish(b"before")
            flushing = asyncio.ensure_future(publisher.flush())
            await asyncio.sleep(0)
            await publisher.publish(b"after")
            if verb == "close":
                await self.stop(flushing)
                flushing = asyncio.ensure_future(publisher.close())
            for _ in range(2):
                client.asked.pop()(PublishReply())
                for _ in range(5):  # turns in which others go on, and the next batch is sent
                    await asyncio.sleep(0)
                seen.append(flushing.done())
            await asyncio.wait_for(flushing, SECONDS)

        run(main())
        return seen[0], seen[1]

    async def stop(self, task: Any) -> None:
        """Nobody waits for it."""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def test_what_others_publish_meanwhile(self) -> None:
        """That is not waited for, so it has an end; of futures of whatever kind."""
        self.assertEqual(self.flush(None, "flush"), (True, True))
        self.assertEqual(self.flush(Future, "flush"), (True, True))

    def test_close(self) -> None:
        """Then all is waited for: nothing comes any more."""
        self.assertEqual(self.flush(None, "close"), (False, True))
