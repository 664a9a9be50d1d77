"""The times of the keepalive."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports import grpc_connection, websocket
from quickpulse.transports.keepalive import PING_SECONDS, PING_TIMEOUT_SECONDS


class KeepaliveTests(SynchronousTestCase):
    """What both transports go by."""

    def test_times(self) -> None:
        """A ping comes before proxies cut what is silent, and one that is lost ends nothing."""
        self.assertLess(PING_SECONDS, 30)
        self.assertEqual(PING_TIMEOUT_SECONDS, 2 * PING_SECONDS)

    def test_one_home(self) -> None:
        """Both transports have the same."""
        for transport in (grpc_connection, websocket):
            self.assertEqual((transport.PING_SECONDS, transport.PING_TIMEOUT_SECONDS), (25, 50))
