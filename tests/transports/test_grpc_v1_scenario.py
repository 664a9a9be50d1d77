"""The stories of v1 by grpcio's client, over the native server and grpcio's, by RPCs and by Connect, in both modes.

Also over a broker that answers late.
"""

from __future__ import annotations

from typing import Any

from quickpulse import service
from tests.broker_peers import FramesPeer, LateBroker
from tests.broker_scenario import BrokerScenario, Conversation, Peer, SubscriptionScenario
from tests.serving import ServiceTestCase, until
from tests.transports.grpc_v1_peers import ConnectConversation, GrpcPeer


class GrpcScenario(BrokerScenario, SubscriptionScenario):
    """An RPC for each request; what is pushed comes by Connect."""

    mode = "grpc"
    service: Any = None

    async def open_service(self) -> Any:
        """A server of this test's own, and a channel to it."""
        self.service = self.start(self.mode)
        await until(lambda: self.service.lifecycle.is_listening)
        return self.channel(self.service)

    async def open_peer(self) -> Peer:
        """By RPCs."""
        return GrpcPeer(await self.open_service())

    async def converse(self) -> Conversation:
        """A call of Connect."""
        return ConnectConversation(self.channels[0])


class ConnectScenario(GrpcScenario):
    """Everything by Connect."""

    mode = "grpc_stream"

    async def open_peer(self) -> Peer:
        """By frames."""
        await self.open_service()
        return FramesPeer(self.converse)


class LateScenario(GrpcScenario):
    """Each answer of the broker's is a Deferred that fires later."""

    def start(self, mode: str, **settings: Any) -> Any:
        """With the broker wrapped."""
        make_store = service.make_store

        def make_late_store(*arguments: Any) -> Any:
            broker, queue = make_store(*arguments)
            return LateBroker(broker), queue

        self.patch(service, "make_store", make_late_store)
        return super().start(mode, **settings)  # type: ignore[misc]


class NativeTests(GrpcScenario, ServiceTestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioTests(GrpcScenario, ServiceTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"


class NativeConnectTests(ConnectScenario, ServiceTestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioConnectTests(ConnectScenario, ServiceTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"


class NativeLateTests(LateScenario, ServiceTestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioLateTests(LateScenario, ServiceTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"
