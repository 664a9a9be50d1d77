"""From an address to a link, and TLS: with our own servers, and with those that cannot be trusted."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import ssl
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import quickpulse.client
from quickpulse.client.aio import connect
from quickpulse.client.dialing import fault_in_tls, fault_of, make_link, ssl_context
from quickpulse.client.errors import ConnectionLost, TlsFailed
from quickpulse.client.grpc_link import GrpcLink
from quickpulse.client.options import Address, Options
from quickpulse.client.ws_link import WsLink
from quickpulse.errors import InvalidArgument, Unsupported
from tests.client.certificates import WHY_NOT, Certificate, make_certificate
from tests.client.proxy import Proxy
from tests.client.servers import shared_server
from tests.client.worlds import run
from tests.interop.server import RealServer

QUICK = {"timeout_seconds": 10.0, "first_backoff_seconds": 0.02, "max_backoff_seconds": 0.1}

FOR_EVER_SECONDS = 50.0
"""How long a client would go on trying, if it thought that it might help: longer than its test may take is no need."""


@cache
def folder() -> Path:
    """Of this process's certificates."""
    name = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, name)
    return Path(name)


@cache
def certificate() -> Certificate:
    """That of the servers here: for localhost, and for no address."""
    return make_certificate(folder(), "good", "DNS:localhost")


@cache
def tls_server(grpc_server: str = "native") -> RealServer:
    """One with TLS on both ports."""
    where = certificate().endpoint()
    server = RealServer("all", "--grpc-server", grpc_server, "--grpc-endpoint", where, "--ws-endpoint", where)
    atexit.register(server.end)
    return server


class LinkTests(SynchronousTestCase):
    """What carries the frames."""

    def test_kind(self) -> None:
        """As the scheme says."""
        for scheme, kind in (
            ("quickpulse", GrpcLink),
            ("quickpulses", GrpcLink),
            ("quickpulse+ws", WsLink),
            ("quickpulse+wss", WsLink),
        ):
            self.assertIsInstance(make_link(Address("h", 1, scheme), Options()), kind)

    def test_token(self) -> None:
        """It goes with the first bytes."""
        for scheme in ("quickpulse", "quickpulse+ws"):
            data = make_link(Address("h", 1, scheme), Options(token="secret")).data_to_send()
            self.assertIn(b"Bearer secret", data)

    def test_imports(self) -> None:
        """What only another scheme needs is not loaded."""
        code = (
            "import sys, quickpulse.client\n"
            "from quickpulse.client.dialing import make_link\n"
            "from quickpulse.client.options import Address, Options\n"
            "assert 'hpack' not in sys.modules and 'google.protobuf' not in sys.modules\n"
            "make_link(Address('h', 1, 'quickpulse+ws'), Options())\n"
            "assert not {'hpack', 'grpc', 'twisted'} & set(sys.modules), sorted(sys.modules)\n"
        )
        root = str(Path(quickpulse.client.__file__).resolve().parents[2])
        done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


class ContextTests(SynchronousTestCase):
    """How a server proves who it is."""

    def test_without_tls(self) -> None:
        """There is none; what belongs to TLS only is not ignored."""
        self.assertIsNone(ssl_context(Address("h", 1), Options()))
        for options in (Options(ca_file="x"), Options(cert_file="x")):
            self.assertRaises(InvalidArgument, ssl_context, Address("h", 1), options)

    def test_strict(self) -> None:
        """Chain and name are looked at, and there is no way around that."""
        for scheme in ("quickpulses", "quickpulse+wss"):
            context = ssl_context(Address("h", 1, scheme), Options())
            assert context is not None
            self.assertTrue(context.check_hostname)
            self.assertIs(context.verify_mode, ssl.CERT_REQUIRED)
            self.assertGreaterEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)

    def test_files(self) -> None:
        """One that is not there, or is no certificate, is named."""
        address = Address("h", 1, "quickpulses")
        nonsense = self.mktemp()
        Path(nonsense).write_text("nonsense")
        for options, text in (
            (Options(ca_file="/no/such"), "ca_file '/no/such'"),
            (Options(ca_file=nonsense), "ca_file"),
            (Options(cert_file="/no/such"), "cert_file '/no/such'"),
            (Options(cert_file=nonsense), "cert_file"),
        ):
            self.assertIn(text, str(self.assertRaises(InvalidArgument, ssl_context, address, options)))


class FaultTests(SynchronousTestCase):
    """What may be better next time, and what will not."""

    address = Address("h", 1, "quickpulses")

    def test_other_than_tls(self) -> None:
        """It may."""
        for error in (None, ConnectionRefusedError(111, "refused"), asyncio.TimeoutError(), ssl.SSLEOFError(8, "eof")):
            self.assertIsInstance(fault_of(error, self.address), ConnectionLost)

    def test_silence(self) -> None:
        """A server without TLS may wait for more: the error has the question."""
        self.assertIn("does it speak TLS?", str(fault_of(TimeoutError(), self.address)))
        self.assertNotIn("TLS", str(fault_of(TimeoutError(), Address("h", 1, "quickpulse"))))

    def test_tls(self) -> None:
        """Only where the server did not mean it."""
        for reason, kind in (
            ("WRONG_VERSION_NUMBER", TlsFailed),
            ("UNSUPPORTED_PROTOCOL", TlsFailed),
            ("TLSV13_ALERT_CERTIFICATE_REQUIRED", TlsFailed),
            ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", TlsFailed),
            ("TLSV1_ALERT_INTERNAL_ERROR", ConnectionLost),
            ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", ConnectionLost),
        ):
            error = ssl.SSLError(1, f"[SSL: {reason}]")
            error.reason = reason
            self.assertIs(type(fault_of(error, self.address)), kind)

    def test_no_http2(self) -> None:
        """A server that speaks TLS and agrees to nothing in it would be waited for in vain."""

        class Tls:
            chosen: str | None = None

            def get_extra_info(self, name: str) -> Any:
                return self if name == "ssl_object" else None

            def selected_alpn_protocol(self) -> str | None:
                return self.chosen

        tls = Tls()
        self.assertIsInstance(fault_in_tls(tls, self.address), TlsFailed)
        self.assertIsNone(fault_in_tls(tls, Address("h", 1, "quickpulse+wss")))
        tls.chosen = "h2"
        self.assertIsNone(fault_in_tls(tls, self.address))


class TlsTests(SynchronousTestCase):
    """With real servers."""

    if WHY_NOT:
        skip = WHY_NOT

    def use(self, url: str, **options: Any) -> None:
        """Put a message in and take it out."""

        async def main() -> None:
            async with await connect(url, options=Options(ca_file=certificate().certificate, **options)) as client:
                queue = client.queue(self.id().rpartition(".")[2])
                await queue.publish_many([bytes(100_000)] * 20)
                batch = await queue.pull(max_messages=20, wait_seconds=5)
                self.assertEqual(batch.payloads[0], bytes(100_000))
                await batch.ack(confirm=True)
                await queue.purge()

        run(main())

    def assert_fails(self, url: str, text: str, **options: Any) -> None:
        """`connect` says so at once, and does not try for as long as it might."""

        async def main() -> None:
            with self.assertRaises(TlsFailed) as caught:
                await connect(url, options=Options(**QUICK, **options), wait_seconds=FOR_EVER_SECONDS)
            self.assertIn(text, str(caught.exception))

        run(main())

    def test_grpc(self) -> None:
        """Both servers for gRPC."""
        for name in ("native", "grpcio"):
            self.use(f"quickpulses://localhost:{tls_server(name).ports['gRPC']}")

    def test_websocket(self) -> None:
        """The same by WebSocket."""
        self.use(f"quickpulse+wss://localhost:{tls_server().ports['WebSocket']}")

    def test_unknown_ca(self) -> None:
        """A certificate that nobody vouches for; one that another one vouches for."""
        other = make_certificate(folder(), "other", "DNS:localhost")
        for scheme, port in (("quickpulses", "gRPC"), ("quickpulse+wss", "WebSocket")):
            url = f"{scheme}://localhost:{tls_server().ports[port]}"
            self.assert_fails(url, "certificate; ca_file names certificates to trust")
            self.assert_fails(url, "not to be trusted", ca_file=other.certificate)

    def test_wrong_host(self) -> None:
        """The certificate is for localhost, and not for its address."""
        for scheme, port in (("quickpulses", "gRPC"), ("quickpulse+wss", "WebSocket")):
            url = f"{scheme}://127.0.0.1:{tls_server().ports[port]}"
            self.assert_fails(url, "127.0.0.1", ca_file=certificate().certificate)

    def test_server_without_tls(self) -> None:
        """It is named as that."""
        self.assert_fails(f"quickpulses://localhost:{shared_server().port}", "does not speak TLS")

    def test_client_without_tls(self) -> None:
        """Our servers close without a word, which others do as well; the text says what it may be."""

        async def main() -> None:
            for scheme, port, meant in (
                ("quickpulse", "gRPC", "quickpulses://"),
                ("quickpulse+ws", "WebSocket", "quickpulse+wss://"),
            ):
                with self.assertRaises(ConnectionLost) as caught:
                    await connect(f"{scheme}://localhost:{tls_server().ports[port]}", wait_seconds=0.5)
                self.assertIn(meant, str(caught.exception))

        run(main())

    def test_without_alpn(self) -> None:
        """A proxy that ends TLS and knows no HTTP/2."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate().certificate, certificate().key)

        async def main() -> None:
            proxy = Proxy(shared_server().port, tls=context)
            url = f"quickpulses://localhost:{await proxy.start()}"
            await asyncio.to_thread(self.assert_fails, url, "HTTP/2", ca_file=certificate().certificate)
            await proxy.stop()

        run(main())

    def test_client_certificate(self) -> None:
        """A server that wants one gets it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate().certificate, certificate().key)
        context.set_alpn_protocols(["h2"])
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate().certificate)

        async def main() -> None:
            proxy = Proxy(shared_server().port, tls=context)
            url = f"quickpulses://localhost:{await proxy.start()}"
            own = certificate()
            options = Options(ca_file=own.certificate, cert_file=own.certificate, key_file=own.key)
            async with await connect(url, options=options) as client:
                await client.queue("tls").publish(b"x")
            await proxy.stop()

        run(main())


class OtherServerTests(SynchronousTestCase):
    """The right host, and the wrong port."""

    def test_page(self) -> None:
        """The port of the HTTP API has no WebSocket, and will have none."""

        async def main() -> None:
            with self.assertRaises(Unsupported) as caught:
                await connect(
                    f"quickpulse+ws://127.0.0.1:{shared_server().http_port}",
                    options=Options(**QUICK),
                    wait_seconds=FOR_EVER_SECONDS,
                )
            self.assertIn("404", str(caught.exception))

        run(main())
