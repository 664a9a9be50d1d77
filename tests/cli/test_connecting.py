"""Which server, and with what token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli import connecting
from quickpulse.cli.app import commands
from quickpulse.cli.connecting import REFUSED_SECONDS, TIMEOUT_SECONDS, read_token
from quickpulse.client import ConnectionLost, ConnectionRefused
from tests.cli.commands import CommandTestCase
from tests.client.certificates import WHY_NOT, make_certificate
from tests.client.proxy import free_port
from tests.interop.server import RealServer


class ServerTests(CommandTestCase):
    """Where it is."""

    def test_the_flag_decides(self) -> None:
        """Over the environment."""
        self.command("health", "--url", self.url, QUICKPULSE_URL="quickpulse://127.0.0.1:1")

    def test_nobody_is_there(self) -> None:
        """Status 5, one line, and no longer than was said."""
        url = f"quickpulse://127.0.0.1:{free_port()}"
        result = self.command("health", "--url", url, "--timeout", "0.2", status=5)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIn("connection refused", result.stderr)

    def test_how_long(self) -> None:
        """Where nobody listens it is told early, a slow server has more time; what the user says counts."""
        waits: list[float] = []

        def fail(kind: type[ConnectionLost], **_options: Any) -> None:
            waits.append(_options["wait_seconds"])
            raise kind("there is none")

        for kind, arguments, expected in (
            (ConnectionRefused, (), [REFUSED_SECONDS]),
            (ConnectionLost, (), [REFUSED_SECONDS, TIMEOUT_SECONDS - REFUSED_SECONDS]),
            (ConnectionRefused, ("--timeout", "60"), [60]),
            (ConnectionLost, ("--timeout", "0.5"), [0.5]),
        ):
            waits.clear()
            self.patch(connecting, "connect", lambda _url, kind=kind, **options: fail(kind, **options))
            CliRunner(env={"QUICKPULSE_TIMEOUT": None}).invoke(commands, ["health", *arguments], prog_name="quickpulse")
            self.assertEqual(waits, expected)

    def test_the_other_default(self) -> None:
        """Where no gRPC is: a server of mode ws is somewhere else, which is said where nobody chose the address."""
        url = f"quickpulse://127.0.0.1:{free_port()}"
        words = ("health", "--url", url, "--timeout", "0.2")
        self.assertNotIn("quickpulse+ws", self.command(*words, status=5).stderr)
        self.patch(connecting, "URL", url)
        self.assertIn("--url quickpulse+ws://127.0.0.1:8081\n", self.command(*words, status=5).stderr)

    def test_no_url(self) -> None:
        """Wrong usage."""
        self.assertEqual(len(self.command("queues", "--url", "nonsense", status=2).stderr.splitlines()), 1)

    def test_no_time(self) -> None:
        """Wrong usage."""
        self.command("queues", "--timeout", "0", status=2)
        self.command("queues", "--timeout", "-1", status=2)

    def test_units(self) -> None:
        """There are none, and what is expected is said."""
        told = self.command("pub", "q", "x", "--delay", "5m", status=2).stderr
        self.assertIn("'5m' is not a valid number of seconds, such as 300 or 0.5.", told)
        self.assertIn("'x' is not a valid whole number.", self.command("peek", "q", "--count", "x", status=2).stderr)

    def test_an_unknown_variable(self) -> None:
        """It is found out; the nearest is named."""
        result = self.command("queues", QUICKPULSE_URI="x", status=2)
        self.assertIn("unknown environment variable QUICKPULSE_URI; did you mean QUICKPULSE_URL?", result.stderr)


class AccessTests(CommandTestCase):
    """A server that wants a token."""

    def test_token(self) -> None:
        """Refused without one, or with another; served with the right one, from a file or the environment."""
        path = Path(self.mktemp())
        path.write_text("secret\n")
        path.chmod(0o600)
        server = RealServer("grpc", "--auth-token-file", str(path.resolve()))
        self.addCleanup(server.end)
        url = f"quickpulse://{server.target}"
        for variables in ({}, {"QUICKPULSE_TOKEN": "other"}):
            said = self.command("queues", "--url", url, status=4, **variables).stderr
            self.assertEqual(len(said.splitlines()), 1)
            self.assertIn("token", said)
        self.command("queues", "--url", url, QUICKPULSE_TOKEN="secret")
        self.command("queues", "--url", url, "--token-file", str(path))


class TlsTests(CommandTestCase):
    """A server that proves who it is, by a certificate of its own."""

    if WHY_NOT:
        skip = WHY_NOT

    def test_ca_file(self) -> None:
        """By flag or environment; without it the server is not trusted, and what is missing is named."""
        made = make_certificate(Path(self.mktemp()).resolve(), "own", "DNS:localhost")
        server = RealServer("grpc", "--grpc-endpoint", made.endpoint())
        self.addCleanup(server.end)
        words = ("health", "--url", f"quickpulses://localhost:{server.port}")
        self.assertIn("ca_file", self.command(*words, status=1).stderr)
        self.command(*words, "--ca-file", made.certificate)
        self.command(*words, QUICKPULSE_CA_FILE=made.certificate)

    def test_without_tls(self) -> None:
        """It would prove nothing: wrong usage."""
        self.assertIn("for TLS", self.command("health", "--ca-file", "x", status=2).stderr)


class TokenTests(SynchronousTestCase):
    """From a file or the environment, and from nowhere else."""

    def file(self, text: str) -> str:
        """A file with this text."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_the_first_of_a_file(self) -> None:
        """Comments and empty lines are passed over; the file decides over the environment."""
        self.patch(os, "environ", {"QUICKPULSE_TOKEN": "other"})
        self.assertEqual(read_token(self.file("# old\n\n secret  # new\nnext\n")), "secret")
        self.assertEqual(read_token(None), "other")

    def test_no_token(self) -> None:
        """The file is named, and not what is in it."""
        for path in (self.file("# none\n"), "/nowhere/x"):
            error = self.assertRaises(click.UsageError, read_token, path)
            self.assertIn(path, error.message)
