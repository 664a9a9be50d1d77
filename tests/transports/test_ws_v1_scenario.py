"""The stories of v1 by the package websockets, over /ws/v1 in both subprotocols and both ways to read frames."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import connect

from quickpulse.wire.v1.frames import read_reply, write_request
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, V1_PATH, Subprotocol
from tests.broker_peers import FramesPeer
from tests.broker_scenario import BrokerScenario, Conversation, Peer, SubscriptionScenario
from tests.serving import ServiceTestCase, until


class WsConversation:
    """A connection of the client's.

    :param client: of websockets.
    :param subprotocol: its frames.
    """

    def __init__(self, client: Any, subprotocol: Subprotocol) -> None:
        self._client = client
        self._subprotocol = subprotocol

    async def send(self, request_id: int, request: Any) -> None:
        """A message with a frame."""
        payload = write_request(request_id, request, self._subprotocol.encoding)
        await self._client.send(payload if self._subprotocol.is_binary else payload.decode())

    async def receive(self) -> tuple[int, Any]:
        """The next message's frame; its kind must be the subprotocol's."""
        message = await self._client.recv()
        assert isinstance(message, bytes) == self._subprotocol.is_binary
        return read_reply(message if isinstance(message, bytes) else message.encode(), self._subprotocol.encoding)

    async def close(self) -> None:
        """In order."""
        await self._client.close()


class WsScenario(BrokerScenario, SubscriptionScenario):
    """Everything in frames."""

    subprotocol: Subprotocol
    ws_frames: str
    service: Any = None

    async def open_peer(self) -> Peer:
        """A server of this test's own."""
        self.service = self.start("ws", ws_frames=self.ws_frames)
        await until(lambda: self.service.lifecycle.is_listening)
        return FramesPeer(self.converse)

    async def converse(self) -> Conversation:
        """A connection."""
        url = f"ws://{self.service.transport.addresses[0]}{V1_PATH}"
        client = await connect(url, subprotocols=[self.subprotocol.name], max_size=None)
        assert client.subprotocol == self.subprotocol.name
        return WsConversation(client, self.subprotocol)


class BinaryTests(WsScenario, ServiceTestCase):
    """quickpulse.v1.bin."""

    subprotocol, ws_frames = SUBPROTOCOLS["quickpulse.v1.bin"], "fast"


class JsonTests(WsScenario, ServiceTestCase):
    """quickpulse.v1.json."""

    subprotocol, ws_frames = SUBPROTOCOLS["quickpulse.v1.json"], "fast"


class PlainBinaryTests(WsScenario, ServiceTestCase):
    """quickpulse.v1.bin, read by autobahn alone."""

    subprotocol, ws_frames = SUBPROTOCOLS["quickpulse.v1.bin"], "plain"


class PlainJsonTests(WsScenario, ServiceTestCase):
    """quickpulse.v1.json, read by autobahn alone."""

    subprotocol, ws_frames = SUBPROTOCOLS["quickpulse.v1.json"], "plain"
