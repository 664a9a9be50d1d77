"""TLS as bytes, against the standard library's server side: whole, byte by byte, and what is none."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.tls import Tls
from tests.client.certificates import WHY_NOT, make_certificate


class TlsTests(SynchronousTestCase):
    """A client and a server without sockets."""

    skip = WHY_NOT or None

    def setUp(self) -> None:
        """Both sides."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        made = make_certificate(folder, "good", "DNS:localhost")
        self.trusting = ssl.create_default_context(cafile=made.certificate)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(made.certificate, made.key)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake_hands(self, tls: Tls, step: int) -> None:
        """Until both are content, `step` bytes at a time."""
        tls.start()
        is_content = False
        while not (is_content and tls.is_ready):
            self.incoming.write(tls.data_to_send())
            try:
                self.server.do_handshake()
                is_content = True
            except ssl.SSLWantReadError:
                pass
            data = self.outgoing.read()
            for start in range(0, len(data), step):
                self.assertEqual(tls.receive(data[start : start + step]), b"")

    def test_there_and_back(self) -> None:
        """However the bytes are cut."""
        for step in (1, 7, 100_000):
            self.setUp()
            tls = Tls(self.trusting, "localhost")
            self.shake_hands(tls, step)
            tls.send(b"hello" * 10_000)
            self.incoming.write(tls.data_to_send())
            got = b""
            while len(got) < 50_000:
                got += self.server.read(100_000)
            self.assertEqual(got, b"hello" * 10_000)
            self.server.write(b"back" * 3)
            data = self.outgoing.read()
            parts = [tls.receive(data[start : start + step]) for start in range(0, len(data), step)]
            self.assertEqual(b"".join(parts), b"back" * 3)

    def test_end(self) -> None:
        """Both can say that this is all."""
        tls = Tls(self.trusting, "localhost")
        self.shake_hands(tls, 100_000)
        self.server.write(b"last")
        with self.assertRaises(ssl.SSLWantReadError):
            self.server.unwrap()
        self.assertEqual((tls.receive(self.outgoing.read()), tls.has_ended), (b"last", True))
        tls.end()
        self.incoming.write(tls.data_to_send())
        self.server.unwrap()

    def test_end_before_the_server(self) -> None:
        """It is no error that the server has not said so."""
        tls = Tls(self.trusting, "localhost")
        self.shake_hands(tls, 100_000)
        tls.end()
        self.assertNotEqual(tls.data_to_send(), b"")

    def test_who_is_not_trusted(self) -> None:
        """It is an error, and nothing was said."""
        for context, host in ((self.trusting, "elsewhere"), (ssl.create_default_context(), "localhost")):
            self.setUp()
            tls = Tls(context, host)
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.shake_hands(tls, 100_000)
            self.assertFalse(tls.is_ready)

    def test_what_is_no_tls(self) -> None:
        """Likewise."""
        tls = Tls(self.trusting, "localhost")
        tls.start()
        with self.assertRaises(ssl.SSLError):
            tls.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
