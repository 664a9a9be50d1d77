"""The stories of v1 by the package websockets, over /ws/v1 in both subprotocols and both ways to read frames."""

from __future__ import annotations

from typing import Any

from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, Subprotocol
from tests.broker_peers import FramesPeer, make_late_store
from tests.broker_scenario import BrokerScenario, Conversation, Peer, SubscriptionScenario
from tests.serving import ServiceTestCase, until
from tests.transports.ws_v1_peers import open_conversation


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
        return await open_conversation(self.service.transport.addresses[0], self.subprotocol)


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


class LateBinaryTests(BinaryTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)


class LateJsonTests(JsonTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)


class LatePlainBinaryTests(PlainBinaryTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)
