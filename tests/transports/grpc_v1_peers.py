"""A server's v1 by grpcio's client, whose requests and replies are bytes of the codec: no stub of another origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import QuickPulseError
from quickpulse.wire.v1.errors import read_error
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH


def error_in(error: grpc.aio.AioRpcError) -> QuickPulseError:
    """What a call's status and trailers say."""
    fields = dict(error.trailing_metadata() or ())
    message = pb.Error(code=error.code().value[0], message=error.details(), reason=fields.get("quickpulse-reason", ""))
    message.retry_after_ms = int(fields.get("quickpulse-retry-after-ms", 0))
    return read_error(message)


class GrpcPeer:
    """An RPC for each request.

    :param channel: to the server.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def ask(self, request: Any) -> Any:
        """A unary call; cancelled with its caller."""
        row = BY_KIND[type(request)]
        assert row.reply is not None
        try:
            reply = await self.channel.unary_unary(row.grpc_path)(row.request.serialize(request))
        except grpc.aio.AioRpcError as error:
            raise error_in(error) from None
        return row.reply.form.parse(reply)

    async def close(self) -> None:
        """The channel is its test's."""


class ConnectConversation:
    """A call of Connect.

    :param channel: to the server.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call = channel.stream_stream(CONNECT_PATH)()

    async def send(self, request_id: int, request: Any) -> None:
        """A frame."""
        await self.call.write(write_request(request_id, request, BINARY))

    async def receive(self) -> tuple[int, Any]:
        """The next frame."""
        frame = await self.call.read()
        if frame is grpc.aio.EOF:
            raise AssertionError(f"the call has ended: {await self.call.code()} {await self.call.details()}")
        return read_reply(frame, BINARY)

    async def close(self) -> None:
        """The client is gone."""
        self.call.cancel()


class UnaryContext:
    """grpcio's, of a call that is over when the test says so."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._callbacks: list[Callable[[Any], None]] = []

    def peer(self) -> str:
        """Whose it is."""
        return self._name

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call it at the end."""
        self._callbacks.append(callback)

    def end(self) -> None:
        """The reply was sent, or will not be."""
        for callback in self._callbacks:
            callback(self)
