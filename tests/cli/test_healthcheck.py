"""The container's health check, against real answers of a tiny server."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli import healthcheck
from quickpulse.cli.healthcheck import default_url, main

ROOT = Path(__file__).resolve().parents[2]

NOT_READY = 5


class Answers(BaseHTTPRequestHandler):
    """/readyz is ready, /draining is not, /silent says nothing before its time."""

    def do_GET(self) -> None:
        """One answer by the path."""
        if self.path == "/silent":
            self.server.is_over.wait(10)
            return
        status, body = (200, b"ready\n") if self.path == "/readyz" else (503, b"draining\nthe queue fails: dis\xff\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr, which the tests read."""


class HealthcheckTests(SynchronousTestCase):
    """main and default_url."""

    def setUp(self) -> None:
        """A server on a free port, in a thread of its own."""
        server = HTTPServer(("127.0.0.1", 0), Answers)
        server.is_over = threading.Event()
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for step in (server.server_close, thread.join, server.shutdown, server.is_over.set):
            self.addCleanup(step)

    def check(self, *arguments: str) -> tuple[int, str]:
        """Exit status, and what is on stderr."""
        said = io.StringIO()
        with redirect_stderr(said):
            status = main(list(arguments))
        return status, said.getvalue()

    def nobody(self) -> str:
        """A URL at which nobody listens."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{sock.getsockname()[1]}/readyz"

    def test_ready(self) -> None:
        """Status 0, and not a word."""
        self.assertEqual(self.check(f"{self.url}/readyz"), (0, ""))

    def test_not_ready(self) -> None:
        """Status 5, with the server's own reasons, whatever bytes are in them."""
        expected = "not ready: draining\nthe queue fails: dis\ufffd\n"
        self.assertEqual(self.check(f"{self.url}/draining"), (NOT_READY, expected))

    def test_nobody_there(self) -> None:
        """Status 5, with the URL and what the system said."""
        url = self.nobody()
        status, said = self.check(url)
        self.assertEqual(status, NOT_READY)
        self.assertTrue(said.startswith(f"{url}: "), said)
        self.assertIn("refused", said)

    def test_silence(self) -> None:
        """A server that hangs is not ready: the check gives up in time."""
        self.patch(healthcheck, "TIMEOUT_SECONDS", 0.1)
        status, said = self.check(f"{self.url}/silent")
        self.assertEqual(status, NOT_READY)
        self.assertIn("timed out", said)

    def test_bad_urls(self) -> None:
        """No URL at all, a scheme that nobody knows, a port that is none: status 5 and one line each."""
        for url in ("nonsense", "gopher://127.0.0.1/", "http://127.0.0.1:port/"):
            status, said = self.check(url)
            self.assertEqual((status, said.count("\n")), (NOT_READY, 1), said)
            self.assertTrue(said.startswith(f"{url}: "), said)

    def test_a_proxy_in_the_environment(self) -> None:
        """It is not asked: 127.0.0.1 is another machine there."""
        done = subprocess.run(
            [sys.executable, "-m", "quickpulse.cli.healthcheck", f"{self.url}/readyz"],
            cwd=ROOT,
            env={"http_proxy": self.nobody(), "HTTP_PROXY": self.nobody()},
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_something_that_is_not_http(self) -> None:
        """Another service on the port is not a ready server: status 5, no traceback."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(b"220 mail.example ESMTP\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            self.addCleanup(thread.join)
            status, said = self.check(f"http://127.0.0.1:{listener.getsockname()[1]}/readyz")
        self.assertEqual((status, said.count("\n")), (NOT_READY, 1), said)

    def test_default_url(self) -> None:
        """The HTTP port of the environment, or the usual one."""
        self.patch(os, "environ", {})
        self.assertEqual(default_url(), "http://127.0.0.1:8080/readyz")
        os.environ["QUICKPULSE_HTTP_PORT"] = str(self.port)
        self.assertEqual(default_url(), f"{self.url}/readyz")
        self.assertEqual(self.check(), (0, ""))

    def test_as_a_command(self) -> None:
        """`python -m quickpulse.cli.healthcheck` passes the status on."""
        for path, status in (("/readyz", 0), ("/draining", NOT_READY)):
            done = subprocess.run(
                [sys.executable, "-m", "quickpulse.cli.healthcheck", f"{self.url}{path}"],
                cwd=ROOT,
                capture_output=True,
                timeout=30,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            self.assertEqual(done.returncode, status, done.stderr)
