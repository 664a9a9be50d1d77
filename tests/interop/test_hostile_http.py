"""The port of metrics and health under hostile input."""

from __future__ import annotations

from tests.interop import wire
from tests.interop.server import RealServerTestCase


class HostileHttpTests(RealServerTestCase):
    """Whatever comes, it serves on."""

    timeout = 60

    def test_what_is_no_request(self):
        """Refused or cut, and the port serves on; another method is 405, another path 404."""
        server = self.serve("ws")

        async def talk():
            for sent in (b"\x16\x03\x01\x02\x00\x01" + bytes(50) + b"\r\n\r\n", b"nonsense\r\n\r\n", wire.PREFACE):
                answer = await wire.ask(server.http_port, sent)
                self.assertIn(answer[:12], (b"", b"HTTP/1.1 400"), answer)
            for method, path, status in (("POST", "/metrics", b"405"), ("GET", "/../etc/passwd", b"404")):
                head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
                self.assertEqual((await wire.ask(server.http_port, head)).split(b" ")[1], status)
            self.assertEqual(await server.get("/livez"), (200, "ok\n"))
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())
