"""The queue over real sockets: eight producers and eight consumers at once, and the metrics after it."""

from __future__ import annotations

from tests.interop.clients import LOADS
from tests.interop.ledger import Ledger, messages_of_a_run
from tests.interop.server import RealServer, RealServerTestCase

LOAD_SECONDS = 60.0
"""For the usual size; QUICKPULSE_TEST_MESSAGES gives each message a millisecond more."""


class LoadTestCase(RealServerTestCase):
    """What goes in comes out: all of it, once, whole and in order."""

    timeout = 3600

    async def play(self, mode: str, usual: int) -> RealServer:
        """Run a load and judge it; gives the server."""
        server = self.serve(mode)
        total = messages_of_a_run(usual)
        ledger = Ledger()
        load = LOADS[mode](server.target, ledger, total)
        await load.run(LOAD_SECONDS + total / 1000)
        self.assertEqual(ledger.faults[:5], [])
        self.assertEqual(len(ledger.acknowledged), total)
        self.assertEqual(ledger.received, ledger.acknowledged)
        await self.check_counts(server, total)
        return server

    async def check_counts(self, server: RealServer, total: int) -> None:
        """The metrics know exactly what was done."""
        counts = await server.metrics()
        for name in ("enqueue_total", "dequeue_total", "enqueue_latency_seconds_count"):
            self.assertEqual(counts[f"quickpulse_{name}"], total, name)
        self.assertEqual(counts['quickpulse_enqueue_latency_seconds_bucket{le="+Inf"}'], total)
        self.assertEqual(counts["quickpulse_queue_depth"], 0)
        self.assertEqual(counts["quickpulse_undelivered_total"], 0)
        refused = {
            name: count for name, count in counts.items() if name.startswith("quickpulse_requests_refused_total")
        }
        self.assertEqual({name: count for name, count in refused.items() if count}, {})


class WsLoadTests(LoadTestCase):
    """WebSocket."""

    def test_ws(self):
        """WebSocket, many requests under way on each connection."""

        async def talk():
            server = await self.play("ws", 40_000)
            await server.until_metric('quickpulse_connections_open{transport="ws"}', 0)
            self.assertEqual(await server.metric('quickpulse_connections_total{transport="ws"}'), 16)

        return self.story(talk())


class GrpcLoadBehaviour:
    """gRPC in both modes."""

    async def play_and_leave(self, mode: str) -> None:
        """A load, and no connection is left of it."""
        server = await self.play(mode, 4_000)
        if self.grpc_server == "native":  # grpcio does not tell us of connections
            await server.until_metric('quickpulse_connections_open{transport="grpc"}', 0)

    def test_grpc(self):
        """Unary calls, one after the other in each client."""
        return self.story(self.play_and_leave("grpc"))

    def test_grpc_stream(self):
        """Streams, whose producers receive as well."""
        return self.story(self.play_and_leave("grpc_stream"))


class NativeLoadTests(GrpcLoadBehaviour, LoadTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioLoadTests(GrpcLoadBehaviour, LoadTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
