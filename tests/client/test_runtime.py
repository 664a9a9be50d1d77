"""What the client's coroutines want of a loop: of asyncio's, and of Twisted's, which has a clock of the test's."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.aio import AsyncioRuntime
from quickpulse.client.runtime import Signal
from quickpulse.client.tx_runtime import TwistedRuntime
from tests.client.worlds import run


class Stories:
    """A class below says of which."""

    def play(self, story: Any) -> None:
        """Run it with a runtime."""
        raise NotImplementedError

    def test_signal(self: Any) -> None:
        """Who waits is woken once; who comes later waits for the next time; one that is cancelled leaves the others."""

        async def story(runtime: Any) -> None:
            signal, woken = Signal(runtime), []

            async def wait(name: str) -> None:
                await signal.wait()
                woken.append(name)

            signal.fire()
            tasks = [runtime.start(wait(name)) for name in "abc"]
            await runtime.sleep(0)
            tasks[1].cancel()
            await tasks[1].join()
            signal.fire()
            await tasks[0].join()
            await tasks[2].join()
            self.assertEqual(woken, ["a", "c"])

        self.play(story)

    def test_turns(self: Any) -> None:
        """What is woken goes on in a turn of its own, in order."""

        async def story(runtime: Any) -> None:
            future, said = runtime.future(), []

            async def wait() -> None:
                said.append(await future)

            task = runtime.start(wait())
            await runtime.sleep(0)
            future.set_result("woken")
            runtime.call_soon(said.append, "soon")
            self.assertEqual((said, future.done()), ([], True))
            await task.join()
            await runtime.sleep(0)
            self.assertEqual(sorted(said), ["soon", "woken"])
            self.assertEqual(await future, "woken")

        self.play(story)

    def test_within(self: Any) -> None:
        """In time or not; an error is raised; what was late is cancelled."""

        async def story(runtime: Any) -> None:
            ended = []

            async def forever() -> None:
                try:
                    await runtime.future()
                finally:
                    ended.append(True)

            async def failing() -> None:
                raise ZeroDivisionError

            self.assertTrue(await runtime.within(5, runtime.sleep(0)))
            self.assertFalse(await runtime.within(0.01, forever()))
            self.assertEqual(ended, [True])
            with self.assertRaises(ZeroDivisionError):
                await runtime.within(5, failing())

        self.play(story)

    def test_timer(self: Any) -> None:
        """At its time, unless it is cancelled; cancelling it afterwards is nothing."""

        async def story(runtime: Any) -> None:
            called: list[str] = []
            kept = runtime.call_at(runtime.now() + 0.01, lambda: called.append("kept"))
            runtime.call_at(runtime.now() + 0.01, lambda: called.append("cancelled")).cancel()
            while not called:
                await runtime.sleep(0.005)
            kept.cancel()
            self.assertEqual(called, ["kept"])

        self.play(story)

    def test_cancelled(self: Any) -> None:
        """A task ends where it waits, with the runtime's own exception."""

        async def story(runtime: Any) -> None:
            seen: list[type] = []

            async def wait() -> None:
                try:
                    await runtime.future()
                except runtime.cancelled as error:
                    seen.append(type(error))
                    raise

            task = runtime.start(wait())
            await runtime.sleep(0)
            task.cancel()
            await task.join()
            self.assertEqual(seen, [runtime.cancelled])

        self.play(story)


class AsyncioTests(Stories, SynchronousTestCase):
    """asyncio's."""

    def play(self, story: Any) -> None:
        """In a loop of its own."""

        async def main() -> None:
            await story(AsyncioRuntime(asyncio.get_running_loop()))

        run(main())


class TwistedTests(Stories, SynchronousTestCase):
    """Twisted's."""

    def play(self, story: Any) -> None:
        """Time goes by in small steps until it is over."""
        clock = Clock()
        playing = Deferred.fromCoroutine(story(TwistedRuntime(clock)))
        results: list[Any] = []
        playing.addBoth(results.append)
        for _ in range(1000):
            clock.advance(0.001)
        self.assertEqual(results, [None])

    def test_task_that_cancels_itself(self) -> None:
        """It ends where it waits next."""
        clock = Clock()
        runtime = TwistedRuntime(clock)
        tasks: list[Any] = []
        seen: list[str] = []

        async def work() -> None:
            await runtime.sleep(1)
            tasks[0].cancel()
            seen.append("goes on")
            try:
                await runtime.future()
            except CancelledError:
                seen.append("cancelled")

        tasks.append(runtime.start(work()))
        clock.advance(1)
        clock.advance(0)
        self.assertEqual(seen, ["goes on", "cancelled"])

    def test_time_of_day(self) -> None:
        """It may be set, so it is not what the client lives by; a clock of a test's own is."""
        clock = Clock()
        self.assertEqual(TwistedRuntime(clock).now, clock.seconds)
        clock.seconds = time.time  # type: ignore[method-assign]
        self.assertIs(TwistedRuntime(clock).now, time.monotonic)

    def test_call_that_fails(self) -> None:
        """It is logged, and the others of its turn are made."""
        clock = Clock()
        runtime, said = TwistedRuntime(clock), []
        runtime.call_soon(lambda: 1 / 0)
        runtime.call_soon(said.append, 1)
        with self.assertLogs("quickpulse.client"):
            clock.advance(0)
        self.assertEqual(said, [1])
