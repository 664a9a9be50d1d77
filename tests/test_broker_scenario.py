"""The stories of v1 in process: over the memory broker, over one that answers late, and over a session of each."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from quickpulse.interfaces import IBroker
from tests.broker_peers import BrokerPeer, FramesPeer, LateBroker, SessionConversation, make_broker
from tests.broker_scenario import BrokerScenario, Conversation, Peer, SubscriptionScenario


class InProcessTests(BrokerScenario, SubscriptionScenario, TestCase):
    """Calls of the broker's methods."""

    timeout = 60

    def make_broker(self) -> Any:
        """The one under test."""
        return make_broker()

    def setUp(self) -> None:
        """An empty broker."""
        self.broker = self.make_broker()
        self.assertTrue(verifyObject(IBroker, self.broker))
        self.addCleanup(self.broker.close)

    async def open_peer(self) -> Peer:
        """Directly."""
        return BrokerPeer(self.broker)

    async def converse(self) -> Conversation:
        """A session."""
        return SessionConversation(self.broker)


class SessionTests(InProcessTests):
    """Everything in frames of sessions."""

    async def open_peer(self) -> Peer:
        """By frames."""
        return FramesPeer(self.converse)


class LateTests(InProcessTests):
    """Each answer is a Deferred that fires later."""

    def make_broker(self) -> Any:
        """Wrapped."""
        return LateBroker(make_broker())


class LateSessionTests(LateTests, SessionTests):
    """In frames of sessions, later."""
