"""What a client may be told: where the server is, and how long what may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from quickpulse.errors import InvalidArgument

DEFAULT_PORT = 50051
"""Of gRPC, as the server has it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        """Read `quickpulse://host:port`.

        :raises InvalidArgument: it is none.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidArgument(f"{url!r}: {error}") from None
        if parts.scheme != "quickpulse":
            raise InvalidArgument(f"{url!r}: the scheme is not quickpulse://")
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
            raise InvalidArgument(f"{url!r} is not quickpulse://host:port")
        return cls(parts.hostname, DEFAULT_PORT if port is None else port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Options:
    """How a client behaves.

    :param timeout_seconds: of every request, reconnecting included; what a pull waits comes on top. Below the server's
        `dedup_window_ms` (120 s), so that a publish that is sent again is still known.
    :param connect_seconds: until the server has answered a new connection.
    :param keepalive_seconds: a connection that is silent so long is asked for a sign of life, and given up after as
        much again.
    :param flush_seconds: how long an ack may wait for others.
    :param first_backoff_seconds: the most to wait before the first new attempt; doubled each time.
    :param max_backoff_seconds: the most to wait before any.
    :param max_lease_seconds: no message's lease is extended for longer than this.
    :param token: bearer token.
    """

    timeout_seconds: float = 30.0
    connect_seconds: float = 5.0
    keepalive_seconds: float = 15.0
    flush_seconds: float = 0.005
    first_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0
    max_lease_seconds: float = 3600.0
    token: str = ""


class Backoff:
    """Waits between attempts to connect: exponential, with full jitter, so that clients do not come back together.

    :param options: of the client.
    :param random: gives a number from 0 to 1.
    """

    def __init__(self, options: Options, random: Callable[[], float]) -> None:
        self._options = options
        self._random = random
        self._attempts = 0

    def succeeded(self) -> None:
        """Begin anew: the server answers."""
        self._attempts = 0

    def next_seconds(self) -> float:
        """How long to wait now."""
        most = self._options.first_backoff_seconds * 2.0 ** min(self._attempts, 30)
        self._attempts += 1
        return self._random() * min(most, self._options.max_backoff_seconds)


def milliseconds(seconds: float) -> int:
    """As requests have it; what is more than nothing stays so."""
    return max(round(seconds * 1000), 1) if seconds > 0 else round(seconds * 1000)
