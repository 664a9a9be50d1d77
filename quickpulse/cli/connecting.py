"""Which server: the options that all commands share, and a client made of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from quickpulse.client import Client, ConnectionLost, ConnectionRefused, Options, connect
from quickpulse.errors import NotFound, QuickPulseError
from quickpulse.settings import suggest

URL = "quickpulse://127.0.0.1:50051"

WS_URL = "quickpulse+ws://127.0.0.1:8081"
"""Where a server of mode ws is by default, which has no gRPC."""

TIMEOUT_SECONDS = 5.0

REFUSED_SECONDS = 1.5
"""Where nobody listens, and nothing was said of how long to wait."""

TOKEN_VARIABLE = "QUICKPULSE_TOKEN"

NEAR = 0.7
"""How much alike names of queues are, one of which may be meant: `jobs` and `jbos`, not `jobs` and `jobs.dead`."""

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A time, of an option."""

    name = "number of seconds, such as 300 or 0.5"


class Whole(click.IntRange):
    """How many, of an option."""

    name = "whole number"


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and how long to wait for it.

    :param url: `quickpulse://host:port`.
    :param token: bearer token; "" is none.
    :param timeout_seconds: for a connection, and for each reply.
    :param refused_seconds: for a connection, while nobody listens there.
    :param ca_file: certificates to trust, with TLS; "": the system's.
    """

    url: str
    token: str
    timeout_seconds: float
    refused_seconds: float
    ca_file: str = ""

    def connect(self) -> Client:
        """A client.

        :raises ConnectionLost: nobody answers in time.
        """
        options = Options(timeout_seconds=self.timeout_seconds, token=self.token, ca_file=self.ca_file)
        try:
            return connect(self.url, options=options, wait_seconds=self.refused_seconds)
        except ConnectionLost as lost:
            left = self.timeout_seconds - self.refused_seconds
            if isinstance(lost, ConnectionRefused) and self.url == URL:
                raise ConnectionRefused(f"{lost}; a server of mode ws is reached by --url {WS_URL}") from None
            if left <= 0 or isinstance(lost, ConnectionRefused):
                raise
        return connect(self.url, options=options, wait_seconds=left)  # it is slow, or does not speak yet

    def near(self, name: str) -> str:
        """The end of an error about a queue that is not there: one with nearly the same name."""
        try:
            with self.connect() as client:
                return suggest(name, [info.name for info in client.list_queues()], NEAR)
        except QuickPulseError:
            return ""


def read_token(path: str | None) -> str:
    """The first token of a file, or that of the environment; never a flag's value, which others could see.

    :raises UsageError: the file cannot be read, or has none.
    """
    if path is None:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--token-file {path}: {getattr(error, 'strerror', None) or 'not readable'}") from None
    words = [line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not words:
        raise click.UsageError(f"--token-file {path}: there is no token in it")
    return words[0]


def with_server(function: F) -> F:
    """Give a command the options about the server; it gets a `Server` as its first argument."""

    @click.option(
        "--url", envvar="QUICKPULSE_URL", default=URL, show_default=True, show_envvar=True, help="The server's address."
    )
    @click.option(
        "--token-file",
        envvar="QUICKPULSE_TOKEN_FILE",
        show_envvar=True,
        metavar="PATH",
        help=f"File with the bearer token; the environment's {TOKEN_VARIABLE} is the token itself.",
    )
    @click.option(
        "--ca-file",
        envvar="QUICKPULSE_CA_FILE",
        show_envvar=True,
        metavar="PATH",
        help="With TLS: certificates to trust (PEM), in place of the system's.",
    )
    @click.option(
        "--timeout",
        envvar="QUICKPULSE_TIMEOUT",
        default=TIMEOUT_SECONDS,
        show_default=True,
        show_envvar=True,
        metavar="SECONDS",
        type=Seconds(min=0, max=86_400, min_open=True),
        help="How long to wait for a connection, and for each reply.",
    )
    @functools.wraps(function)
    def with_it(url: str, token_file: str | None, ca_file: str | None, timeout: float, **others: Any) -> Any:
        is_said = click.get_current_context().get_parameter_source("timeout") is not ParameterSource.DEFAULT
        refused_seconds = timeout if is_said else REFUSED_SECONDS
        server = Server(url, read_token(token_file), timeout, refused_seconds, ca_file or "")
        try:
            return function(server, **others)
        except NotFound as error:
            raise NotFound(f"{error}{server.near(others.get('queue', ''))}") from None

    return with_it  # type: ignore[return-value]
