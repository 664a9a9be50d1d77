"""A wire between a client and a server that can be cut, and that can swallow what either says."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

READ_BYTES = 64 * 1024
TRICKLE_SECONDS = 0.002


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Proxy:
    """Forwards to a port of loopback.

    :param tls: on the client's side.
    :ivar connections: that were accepted so far.
    :ivar swallows_replies: nothing that the server says arrives.
    :ivar trickle_bytes: so many are forwarded at a time, and then a while nothing; 0: all that there is.
    :ivar flows: while it is not set, nothing is forwarded.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.swallows_replies = False
        self.trickle_bytes = 0
        self.flows = asyncio.Event()
        self.flows.set()

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End all connections, at once and with whatever is on the way."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        """Accept nobody any more."""
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        for each in (self._forward(reader, far_writer, False), self._forward(far_reader, writer, True)):
            task = asyncio.ensure_future(each)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_reply: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(self.trickle_bytes or READ_BYTES):
                await self.flows.wait()
                if self.trickle_bytes:
                    await asyncio.sleep(TRICKLE_SECONDS)
                if not (is_reply and self.swallows_replies):
                    writer.write(data)
                    await writer.drain()
        writer.close()
