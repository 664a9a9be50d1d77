"""The stories of v1 by grpcio's client, over the native server and grpcio's, by RPCs and by Connect, in both modes.

Also over a broker that answers late.
"""

from __future__ import annotations

from typing import Any

from tests.broker_peers import FramesPeer, make_late_store
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


class NativeLateTests(NativeTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)


class GrpcioLateTests(GrpcioTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)


class NativeLateConnectTests(NativeConnectTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)


class GrpcioLateConnectTests(GrpcioConnectTests):
    """Each answer of the broker's is a Deferred that fires later."""

    make_store = staticmethod(make_late_store)
