"""Where the gRPC servers listen, and what each of them takes for an address."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
from pathlib import Path

import grpc
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from quickpulse.errors import ListenError
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue
from quickpulse.settings import Settings
from quickpulse.transports.bounds import BoundedFactory, Bounds
from quickpulse.transports.grpc_native import GrpcFactory
from tests.serving import ServiceTestCase, error_of, in_loop

LONG = bytes(1024 * 1024)


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


class TlsBehaviour:
    """TLS, with a certificate of the test's own."""

    if shutil.which("openssl") is None or importlib.util.find_spec("OpenSSL") is None:
        skip = "openssl, or pyOpenSSL, is not installed"

    def start_tls(self, mode: str):
        """A service with an endpoint of the kind ssl:, and a stub that trusts it."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        where = f"ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
        service = self.start(mode, grpc_endpoint=where)
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())

        def stub():
            port = self.address(service.transport).rpartition(":")[2]
            channel = grpc.aio.secure_channel(f"localhost:{port}", credentials)
            self.addCleanup(lambda: in_loop(channel.close()))
            return MessageQueueStub(channel)

        return service, stub

    def test_messages(self) -> Deferred:
        """Short and long, in and out."""
        service, make_stub = self.start_tls("grpc")

        async def talk():
            await service.transport.when_listening().asFuture(asyncio.get_running_loop())
            stub = make_stub()
            for payload in (b"a", LONG):
                self.assertTrue((await stub.Produce(ProduceRequest(payload=payload))).success)
                self.assertEqual((await stub.Consume(ConsumeRequest())).payload, payload)

        return in_loop(talk())

    def test_drain(self) -> Deferred:
        """Streams end with UNAVAILABLE behind their answers, as without TLS."""
        service, make_stub = self.start_tls("grpc_stream")

        async def talk():
            await service.transport.when_listening().asFuture(asyncio.get_running_loop())
            call = make_stub().StreamMessages()
            await call.write(StreamMessage(payload=LONG))
            self.assertEqual((await call.read()).payload, LONG)
            told = asyncio.ensure_future(error_of(call.read()))
            await service.lifecycle.drain().asFuture(asyncio.get_running_loop())
            self.assertEqual((await told).code(), grpc.StatusCode.UNAVAILABLE)  # grpcio may have its own words for it
            self.assertEqual(service.traffic.undelivered_total, 0)

        return in_loop(talk())


class NegotiationTests(SynchronousTestCase):
    """What TLS clients are told about the protocol."""

    def test_h2(self) -> None:
        """Clients do not speak to a server that does not name it; bounds do not hide it."""
        settings, traffic = Settings("grpc"), Traffic()
        factory = GrpcFactory(Clock(), MessageQueue(1), traffic, settings)
        for one in (factory, BoundedFactory(factory.reactor, factory, Bounds.of(settings), traffic)):
            self.assertTrue(verifyObject(IProtocolNegotiationFactory, one))
            self.assertEqual(one.acceptableProtocols(), [b"h2"])


class NativeTlsTests(TlsBehaviour, ServiceTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioTlsTests(TlsBehaviour, ServiceTestCase):
    """grpcio's."""

    grpc_server = "grpcio"


class NativeListeningTests(ListeningBehaviour, ServiceTestCase):
    """Our own server."""

    grpc_server = "native"


class GrpcioListeningTests(ListeningBehaviour, ServiceTestCase):
    """grpcio's."""

    grpc_server = "grpcio"
