"""A server's /ws/v1 by the package websockets, whose messages are frames of the codec."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import connect

from quickpulse.wire.v1.frames import read_reply, write_request
from quickpulse.wire.websocket.subprotocols import V1_PATH, Subprotocol


async def open_conversation(target: str, subprotocol: Subprotocol) -> WsConversation:
    """A connection to host:port."""
    client = await connect(f"ws://{target}{V1_PATH}", subprotocols=[subprotocol.name], max_size=None)
    assert client.subprotocol == subprotocol.name
    return WsConversation(client, subprotocol)


class WsConversation:
    """A connection of the client's.

    :param client: of websockets.
    :param subprotocol: its frames.
    """

    def __init__(self, client: Any, subprotocol: Subprotocol) -> None:
        self.client = client
        self._subprotocol = subprotocol

    async def send(self, request_id: int, request: Any) -> None:
        """A message with a frame."""
        payload = write_request(request_id, request, self._subprotocol.encoding)
        await self.client.send(payload if self._subprotocol.is_binary else payload.decode())

    async def receive(self) -> tuple[int, Any]:
        """The next message's frame; its kind must be the subprotocol's."""
        message = await self.client.recv()
        assert isinstance(message, bytes) == self._subprotocol.is_binary
        return read_reply(message if isinstance(message, bytes) else message.encode(), self._subprotocol.encoding)

    async def close(self) -> None:
        """In order."""
        await self.client.close()
