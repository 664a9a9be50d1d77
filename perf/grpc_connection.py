"""What both gRPC tools share: a channel of one's own, and how its errors are called."""

from __future__ import annotations

import asyncio

import grpc
from grpc import aio

from perf.client import ConnectionEndedError

MAX_ERRORS_IN_A_ROW = 10
"""After these a worker gives up: the server is gone, or does not serve this mode."""

ERROR_PAUSE_SECONDS = 0.05

_CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # otherwise channels to one target share a connection
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
)


async def open_channel(target: tuple[str, int]) -> aio.Channel:
    """A channel that is connected. Raises OSError where nobody listens."""
    host, port = target
    # A channel would go on trying; a refused connect is to be told at once.
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    channel = aio.insecure_channel(authority, options=_CHANNEL_OPTIONS)
    try:
        await channel.channel_ready()
    except BaseException:
        await channel.close()
        raise
    return channel


def kind_of(error: aio.AioRpcError) -> str:
    """The name under which an error is counted."""
    return f"{error.code().name}: {error.details()}"


def ends_all(error: aio.AioRpcError) -> bool:
    """Whether trying again is pointless."""
    return error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED)


class ErrorPatience:
    """Counts errors in a row, and loses patience."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def succeeded(self) -> None:
        """An answer came."""
        self._in_a_row = 0

    async def failed(self, error: aio.AioRpcError) -> None:
        """Waits a little. Raises ConnectionEndedError when there were too many, or where none will do."""
        self._in_a_row += 1
        if ends_all(error) or self._in_a_row >= MAX_ERRORS_IN_A_ROW:
            raise ConnectionEndedError("gave up after errors in a row")
        await asyncio.sleep(ERROR_PAUSE_SECONDS)
