"""From endpoint strings to what grpcio takes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import SettingsError
from quickpulse.transports.grpc_addresses import host_and_port, read_endpoint


class AddressTests(SynchronousTestCase):
    """Strings in, targets out."""

    def test_endpoint_strings(self) -> None:
        """tcp, tcp6 and unix are understood as Twisted understands them."""
        for text, target in (
            ("tcp:50051", "0.0.0.0:50051"),
            ("tcp:50051:interface=127.0.0.1", "127.0.0.1:50051"),
            ("tcp:port=50051:interface=127.0.0.1", "127.0.0.1:50051"),
            ("tcp6:50051", "[::]:50051"),
            ("unix:/run/q.sock", "unix:/run/q.sock"),
            ("50051", "0.0.0.0:50051"),
        ):
            self.assertEqual(read_endpoint("--grpc-endpoint", text).target, target)
        self.assertEqual(host_and_port("::1", 1).target, "[::1]:1")

    def test_endpoints_that_grpcio_cannot_take(self) -> None:
        """One line that names the option."""
        for text in (
            "systemd:domain=INET:name=grpc",
            "tcp:none",
            "ssl:443:privateKey=/nonexistent.pem",
            "ssl:443",
            "tcp:",
        ):
            error = self.assertRaises(SettingsError, read_endpoint, "--grpc-endpoint", text)
            self.assertTrue(str(error).startswith("--grpc-endpoint"), error)
            self.assertNotIn("\n", str(error))
