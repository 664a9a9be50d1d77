"""The wire between the clients and the server, which is cut: a proxy in a thread.

Before a connection ends it is deaf for a moment, so that what the client says, an ack perhaps, does not arrive; or
mute, so that it arrives and the reply does not.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

READ_BYTES = 256 * 1024

DEAF, MUTE, AT_ONCE = "before", "after", "at once"

MOMENT_SECONDS = 0.02
"""Between the first byte that is lost and the end."""


class _Wire:
    """One connection: both of its ends, and which way is cut."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = client, server
        self.is_deaf = self.is_mute = False

    def abort(self) -> None:
        """Its end, by RST."""
        for end in self.ends:
            end.transport.abort()


class Cuts:
    """A proxy that cuts its connections by chance.

    :param target: the server's port of loopback.
    :param every_seconds: how often, on average; 0 is never.
    :param seed: of chance.
    :ivar port: where clients connect to.
    :ivar counts: cuts by their kind.
    """

    def __init__(self, target: int, every_seconds: float, seed: int) -> None:
        self._target = target
        self._every_seconds = every_seconds
        self._dice = random.Random(seed)
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._is_up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Cuts:
        self._thread.start()
        self._is_up.wait()
        return self

    def __exit__(self, *_rest: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def stop_cutting(self) -> None:
        """From now on every connection stays."""
        self._every_seconds = 0.0

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._spawn(self._cut_by_chance())
        self._is_up.set()
        self._loop.run_forever()
        for wire in self._wires:
            wire.abort()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        wire = _Wire(writer, far_writer)
        self._wires.add(wire)
        ways = (
            self._forward(reader, far_writer, lambda: wire.is_deaf),
            self._forward(far_reader, writer, lambda: wire.is_mute),
        )
        try:
            await asyncio.gather(*ways)
        finally:
            wire.abort()
            self._wires.discard(wire)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_lost: Callable[[], bool]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                if not is_lost():
                    writer.write(data)
                    await writer.drain()
        writer.close()

    async def _cut_by_chance(self) -> None:
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / self._every_seconds) if self._every_seconds else 0.1)
            if self._every_seconds and self._wires:
                wire = self._dice.choice(list(self._wires))
                self._spawn(self._cut(wire, self._dice.choice((DEAF, MUTE, AT_ONCE))))

    async def _cut(self, wire: _Wire, kind: str) -> None:
        self.counts[kind] += 1
        wire.is_deaf, wire.is_mute = kind == DEAF, kind == MUTE
        if kind != AT_ONCE:
            await asyncio.sleep(MOMENT_SECONDS)
        wire.abort()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
