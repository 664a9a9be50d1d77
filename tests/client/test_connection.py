"""A connection that comes back, until it is to end."""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import connection
from quickpulse.client.aio import AsyncioRuntime, connect
from quickpulse.client.clients import Client
from quickpulse.client.errors import ConnectionLost, ConnectionRefused
from quickpulse.client.options import Address, Options
from tests.client.proxy import free_port
from tests.client.servers import shared_server
from tests.client.worlds import run

QUICK = Options(first_backoff_seconds=0.02, max_backoff_seconds=0.02)


class Deaf:
    """A connection to a server that says nothing."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.is_cut = False

    def write(self, data: bytes) -> None:
        """To nobody."""

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """The wire is told."""
        self.is_cut = True
        self.wire.connection_lost(None)

    def get_extra_info(self, _name: str) -> Any:
        """There is no TLS."""
        return None


class Swallowing(AsyncioRuntime):
    """Its attempts to connect come to their end just when they are cancelled, as `asyncio.wait_for` may let them."""

    succeeds = False
    transport: Deaf | None = None

    async def connect(self, wire: Any, *_rest: Any) -> None:
        """Until it is cancelled."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self.succeeds:
                raise ConnectionRefusedError(111, "refused") from None
        self.transport = Deaf(wire)
        wire.connection_made(self.transport)


class Failing(AsyncioRuntime):
    """Its first attempts to connect end in ways that nobody expects."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self.errors: list[Exception] = [RuntimeError("can't start new thread"), UnicodeError()]

    async def connect(self, *arguments: Any) -> None:
        """Then as usual."""
        if self.errors:
            raise self.errors.pop(0)
        await super().connect(*arguments)


class BeginningTests(SynchronousTestCase):
    """A server that is not there yet, or never will be."""

    def try_for_a_while(self) -> None:
        """Nobody listens."""

        async def main() -> None:
            with self.assertRaises(ConnectionRefused):
                await connect(f"quickpulse://127.0.0.1:{free_port()}", options=QUICK, wait_seconds=0.3)

        run(main())

    def test_warned(self) -> None:
        """Who is to wait for long is told why, once; however many attempts there are."""
        self.patch(connection, "LONG_WAIT_SECONDS", 0.0)
        with self.assertLogs("quickpulse.client", "WARNING") as logs:
            self.try_for_a_while()
        (record,) = logs.records
        self.assertIn("connection refused; trying for another", record.getMessage())

    def test_not_warned(self) -> None:
        """A wait that is short ends with the error soon enough."""
        with self.assertNoLogs("quickpulse.client"):
            self.try_for_a_while()

    def test_attempts_that_fail_in_any_way(self) -> None:
        """They are logged, and others follow."""

        async def main() -> None:
            runtime = Failing(asyncio.get_running_loop())
            client = Client(runtime, Address("127.0.0.1", shared_server().port), QUICK)
            await client.start(20)
            await client.close()

        with self.assertLogs("quickpulse.client", "ERROR") as logs:
            run(main())
        self.assertEqual(len(logs.records), 2)

    def test_why_it_fails(self) -> None:
        """What nobody expects is said to whoever waits, by its name."""
        self.patch(connection, "make_link", lambda *_: 1 / 0)

        async def main() -> None:
            with self.assertRaises(ConnectionLost) as caught:
                await connect("quickpulse://127.0.0.1:1", options=QUICK, wait_seconds=0.3)
            self.assertIn("ZeroDivisionError: division by zero", str(caught.exception))

        with self.assertLogs("quickpulse.client", "ERROR") as logs:
            run(main())
        self.assertEqual(len(logs.records), 1)  # however many attempts there were


class EndTests(SynchronousTestCase):
    """The end of a client that is just connecting."""

    def end(self, *, succeeds: bool) -> Swallowing:
        """A client whose time is up, and which ends."""
        runtimes: list[Swallowing] = []

        async def main() -> None:
            runtime = Swallowing(asyncio.get_running_loop())
            runtime.succeeds = succeeds
            runtimes.append(runtime)
            options = Options(first_backoff_seconds=600, max_backoff_seconds=600)
            with self.assertRaises(ConnectionLost):
                await Client(runtime, Address("h", 1), options).start(0.01)

        run(main())
        return runtimes[0]

    def test_attempt_that_fails_then(self) -> None:
        """No other one follows, nor a wait for it."""
        self.end(succeeds=False)

    def test_attempt_that_succeeds_then(self) -> None:
        """The connection is cut."""
        transport = self.end(succeeds=True).transport
        assert transport is not None
        self.assertTrue(transport.is_cut)
