"""Requests as coroutines that need nothing but somebody who asks."""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.asking import Asking, QueueAsking, at_once
from quickpulse.client.messages import Batch as Messages
from quickpulse.client.options import Options
from quickpulse.client.settling import Leased, Settling
from quickpulse.requests import Batch, Deliveries, ListQueues, Pull, QueuePage


class Answers(Asking):
    """Answers what it is told to, and remembers what was asked; each answer takes a second."""

    options = Options(timeout_seconds=30)

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[Any] = []
        self.waits: list[float | None] = []
        self.time = 0.0

    def now(self) -> float:
        """By its own clock."""
        return self.time

    async def ask(self, request: Any, seconds: float | None = None) -> Any:
        """At once."""
        self.asked.append(request)
        self.waits.append(seconds)
        self.time += 1
        return self.replies.pop(0)

    async def ask_leased(self, request: Any, seconds: float | None = None) -> Leased:
        """Likewise."""
        return Leased(await self.ask(request, seconds), Settling(lambda: None))

    def handed_out(self, leased: Leased) -> Messages:
        """Nobody confirms."""
        return Messages(leased, lambda *_rest: None)


class PullTests(SynchronousTestCase):
    """Waiting for messages."""

    def test_a_wait_goes_on(self) -> None:
        """A server that answers before the time is up is asked for the rest of it."""
        answers = Answers(Deliveries(""), Deliveries("q", Batch((b"a",))))
        batch = at_once(QueueAsking(answers, "q").pull(wait_seconds=10))
        self.assertEqual(list(batch.payloads), [b"a"])
        self.assertEqual([request.wait_ms for request in answers.asked], [10_000, 9_000])
        self.assertEqual(answers.waits, [40.0, 39.0])

    def test_time_is_up(self) -> None:
        """Nobody is asked again."""
        answers = Answers(Deliveries(""))
        self.assertIsNone(at_once(QueueAsking(answers, "q").get(wait_seconds=1)))

    def test_no_wait(self) -> None:
        """Nor where nobody waits."""
        answers = Answers(Deliveries(""))
        self.assertEqual(at_once(QueueAsking(answers, "q").take_many(5)), [])
        self.assertEqual([type(request) for request in answers.asked], [Pull])


class ListTests(SynchronousTestCase):
    """Queues, a page after the other."""

    def test_pages(self) -> None:
        """Until there is none."""
        answers = Answers(QueuePage(("a", "b"), "more"), QueuePage(("c",)))  # type: ignore[arg-type]
        self.assertEqual(at_once(answers.list_queues("x")), ["a", "b", "c"])
        self.assertEqual(answers.asked, [ListQueues("x"), ListQueues("x", page_token="more")])


class AtOnceTests(SynchronousTestCase):
    """Coroutines that never wait."""

    def test_error(self) -> None:
        """It is raised."""

        async def fail() -> None:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            at_once(fail())

    def test_one_that_waits(self) -> None:
        """Is a mistake of ours."""
        with self.assertRaises(RuntimeError):
            at_once(asyncio.sleep(0))
