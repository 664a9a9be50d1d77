"""Where the gRPC servers listen, and what each of them takes for an address."""

from __future__ import annotations

import asyncio

from twisted.internet.defer import Deferred

from quickpulse._generated.messagequeue_pb2 import ProduceRequest
from quickpulse.errors import ListenError
from tests.serving import ServiceTestCase, in_loop


class ListeningBehaviour:
    """Ports and sockets."""

    def test_a_taken_port_fails_the_start(self) -> Deferred:
        """ListenError with the address in front; the port is not shared silently."""
        first = self.start("grpc")
        taken = int(self.address(first.transport).rpartition(":")[2])
        error = self.assertRaises(ListenError, self.start, "grpc_stream", grpc_port=taken)
        self.assertTrue(str(error).startswith(f"127.0.0.1:{taken}: "), error)
        return in_loop(asyncio.sleep(0.05))

    def test_unix_endpoint(self) -> Deferred:
        """A UNIX socket serves as well."""
        path = self.mktemp()[-60:].replace("/", "_")
        service = self.start("grpc", grpc_endpoint=f"unix:{path}")
        self.assertEqual(service.transport.addresses, [f"unix:{path}"])
        return self.assert_serves(service)

    def test_tcp_endpoint(self) -> Deferred:
        """An endpoint string in place of host and port."""
        service = self.start("grpc", grpc_endpoint="tcp:0:interface=127.0.0.1")
        self.assertTrue(service.transport.addresses[0].startswith("127.0.0.1:"))
        return self.assert_serves(service)

    def assert_serves(self, service) -> Deferred:
        """A call goes through."""
        stub = self.stub(service)

        async def talk():
            self.assertTrue((await stub.Produce(ProduceRequest(payload=b"a"))).success)

        return in_loop(talk())


class NativeListeningTests(ListeningBehaviour, ServiceTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioListeningTests(ListeningBehaviour, ServiceTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
