"""The stories of v1 over HTTP, in JSON; also over a broker that answers late."""

from __future__ import annotations

from typing import Any

from tests.broker_peers import LateBroker
from tests.broker_scenario import BrokerScenario, Peer
from tests.transports.http_port import PortTestCase
from tests.transports.http_v1_peers import HttpPeer


class HttpTests(BrokerScenario, PortTestCase):
    """Each request by POST or GET."""

    async def open_peer(self) -> Peer:
        """The port of this test."""
        return HttpPeer(self.host, int(self.port))


class LateTests(HttpTests):
    """Each answer of the broker's is a Deferred that fires later."""

    def wrapped(self, broker: Any) -> Any:
        """Late."""
        return LateBroker(broker)
