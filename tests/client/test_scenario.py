"""The stories of v1 from the three clients, over a server in the process of the tests.

What is pushed is in the clients' own tests: credit, and the ids of frames, are not for their users to say.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SkipTest

from quickpulse.requests import DeleteQueue
from tests.broker_scenario import BrokerScenario, Peer, payloads, story
from tests.client.peers import AioPeer, BlockingPeer, ClientPeer, TxPeer
from tests.serving import ServiceTestCase, until


class ClientScenario(BrokerScenario):
    """Each request by a verb of a client."""

    make_peer: type[ClientPeer]
    service: Any = None

    async def open_peer(self) -> Peer:
        """A server of this test's own."""
        self.service = self.start("grpc")
        await until(lambda: self.service.lifecycle.is_listening)
        return await self.make_peer().open(self.service.transport.addresses[0])

    @story
    async def test_a_queue_that_is_deleted(self) -> None:
        """Who waits gets nothing from the server, and the client asks again: it waits for a message."""
        waiting = await self.wait_for_message()
        await self.peer.ask(DeleteQueue("q"))
        await self.publish(b"a")
        self.assertEqual(payloads(await waiting), [b"a"])


class AioTests(ClientScenario, ServiceTestCase):
    """asyncio's client."""

    make_peer = AioPeer


class TxTests(ClientScenario, ServiceTestCase):
    """Twisted's client."""

    make_peer = TxPeer


class BlockingTests(ClientScenario, ServiceTestCase):
    """The blocking client."""

    make_peer = BlockingPeer

    def test_one_that_goes_away(self) -> None:
        """Nobody cancels a thread that waits; what a signal does to it is in the client's own tests."""
        raise SkipTest("a thread that waits cannot be cancelled")
