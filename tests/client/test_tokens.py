"""The clients where a server wants tokens: a real process, whose file changes under it."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import connect
from quickpulse.client.aio import connect as connect_aio
from quickpulse.client.options import Options
from quickpulse.errors import Unauthenticated
from tests.client.worlds import run
from tests.interop.server import RealServer

SCHEMES = {"quickpulse": "gRPC", "quickpulse+ws": "WebSocket"}

FAR_SECONDS = 50.0
"""Longer than any test waits: what ends before has not tried again and again."""


class TokenBehaviour:
    """A server that has everything, with two tokens."""

    grpc_server = "native"

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "tokens"
        self.write("one", "two")
        self.server = RealServer("all", "--grpc-server", self.grpc_server, "--auth-token-file", str(self.path))
        self.addCleanup(self.server.end)

    def write(self, *tokens: str) -> None:
        """Fill the file."""
        self.path.touch(0o600)
        self.path.write_text("\n".join(tokens))

    def urls(self) -> list[str]:
        """Each way to the server."""
        return [f"{scheme}://127.0.0.1:{self.server.ports[port]}" for scheme, port in SCHEMES.items()]

    def reload(self) -> None:
        """Send SIGHUP, and wait until the log says what came of it."""
        before = self.server.log().count("that are valid now")
        self.server.signal(signal.SIGHUP)
        self.wait(lambda: self.server.log().count("that are valid now") > before)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until something holds."""
        deadline = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def options(self, token: str) -> Options:
        """With a token, and patience."""
        return Options(token=token, timeout_seconds=FAR_SECONDS)

    def test_right(self) -> None:
        """Either of two serves, in the blocking client and in asyncio's."""

        async def story(url: str, token: str) -> None:
            async with await connect_aio(url, options=self.options(token)) as client:
                self.assertEqual((await client.queue("q").get()).payload, token.encode())

        for url in self.urls():
            for token in ("one", "two"):
                with connect(url, options=self.options(token)) as client:
                    client.queue("q").publish(token.encode())
                run(story(url, token))

    def test_wrong(self) -> None:
        """None, and a wrong one, are an error at the first attempt: no other is made."""

        async def story(url: str, token: str) -> None:
            with self.assertRaises(Unauthenticated):
                await connect_aio(url, options=self.options(token), wait_seconds=FAR_SECONDS)

        for url in self.urls():
            for token in ("", "wrong"):
                with self.assertRaises(Unauthenticated):
                    connect(url, options=self.options(token), wait_seconds=FAR_SECONDS)
                run(story(url, token))
        attempts = asyncio.run(self.server.metric('quickpulse_requests_refused_total{reason="unauthenticated"}'))
        self.assertEqual(attempts, 2 * 2 * len(self.urls()))
        self.assertNotIn("wrong", self.server.log())

    def test_rotation(self) -> None:
        """A client whose token was taken away hears of it; one with the other token does not notice."""
        for url in self.urls():
            self.write("one", "two")
            self.reload()
            with (
                connect(url, options=self.options("one")) as doomed,
                connect(url, options=self.options("two")) as stays,
            ):
                stays.queue("q").publish(b"before")
                self.write("two", "three")
                self.reload()
                with self.assertRaises(Unauthenticated):
                    doomed.queue("q").pull(wait_seconds=FAR_SECONDS)
                with self.assertRaises(Unauthenticated):
                    doomed.queue("q").publish(b"never")
                self.assertEqual(stays.queue("q").take_many(10), [b"before"])
            with connect(url, options=self.options("three")) as new:
                self.assertEqual(new.queue("q").take_many(10), [])

    def test_a_bad_file(self) -> None:
        """An empty file changes nothing, and the server lives."""
        self.write()
        self.server.signal(signal.SIGHUP)
        self.wait(lambda: "the tokens stay as they were" in self.server.log())
        for url in self.urls():
            connect(url, options=self.options("one")).close()


class NativeTests(TokenBehaviour, SynchronousTestCase):
    """By the native gRPC server."""


class GrpcioTests(TokenBehaviour, SynchronousTestCase):
    """By grpcio's."""

    grpc_server = "grpcio"


class OptionsTests(SynchronousTestCase):
    """Options."""

    def test_not_shown(self) -> None:
        """A token is in no text that is made of the options."""
        options: Any = Options(token="secret")
        self.assertNotIn("secret", f"{options} {options!r}")
