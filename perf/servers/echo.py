"""A bare echo on uvloop, the most that one event loop in Python can do: `python -m perf.servers.echo PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvloop


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """A read."""
        self.transport.write(data)  # type: ignore[attr-defined] # a stream's transport


async def serve(port: int) -> None:
    """For ever."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=65_535)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
