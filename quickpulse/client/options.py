"""What a client may be told: where the server is, and how long what may take."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from quickpulse.errors import InvalidArgument

_TOKEN = re.compile("[!-~]*")
"""Of anything else a header could be made that nobody meant."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the part of a URL before `://` means.

    :param port: where the URL names none: as the server has it.
    :param is_websocket: WebSocket carries the frames, not gRPC.
    :param is_tls: TLS carries that.
    """

    port: int
    is_websocket: bool = False
    is_tls: bool = False


SCHEMES = {
    "quickpulse": Scheme(50051),
    "quickpulses": Scheme(50051, is_tls=True),
    "quickpulse+ws": Scheme(8081, is_websocket=True),
    "quickpulse+wss": Scheme(8081, is_websocket=True, is_tls=True),
}

_MEANT = {
    "http": "quickpulse",
    "https": "quickpulses",
    "grpc": "quickpulse",
    "grpcs": "quickpulses",
    "ws": "quickpulse+ws",
    "wss": "quickpulse+wss",
    "quickpulse+grpc": "quickpulse",
    "quickpulse+grpcs": "quickpulses",
    "quickpulse+http": "quickpulse",
    "quickpulse+https": "quickpulses",
    "quickpulse+ssl": "quickpulses",
    "quickpulse+tls": "quickpulses",
    "quickpulses+ws": "quickpulse+wss",
    "quickpulses+wss": "quickpulse+wss",
}
"""What somebody may have had in mind."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and how it is spoken to."""

    host: str
    port: int
    scheme: str = "quickpulse"

    @classmethod
    def of(cls, url: str) -> Address:
        """Read `quickpulse://host:port`, or one of another scheme.

        :raises InvalidArgument: it is none.
        """
        if not isinstance(url, str):
            raise InvalidArgument(f"the URL is {url!r}, expected a str such as quickpulse://127.0.0.1:50051")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidArgument(f"{url!r}: {error}") from None
        if parts.username or parts.password:  # which is not repeated here: it would be in logs
            raise InvalidArgument("the URL has a name or a password: a token belongs into the options (token=...)")
        if parts.scheme not in SCHEMES:
            raise InvalidArgument(_no_scheme(url, parts.scheme))
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise InvalidArgument(f"{url!r} is not {parts.scheme}://host:port")
        return cls(parts.hostname, SCHEMES[parts.scheme].port if port is None else port, parts.scheme)

    @property
    def is_tls(self) -> bool:
        """Whether the server has to prove who it is, and nobody else can read along."""
        return SCHEMES[self.scheme].is_tls

    @property
    def is_websocket(self) -> bool:
        """Whether WebSocket carries the frames; else it is gRPC."""
        return SCHEMES[self.scheme].is_websocket

    @property
    def url(self) -> str:
        """As `of` reads it."""
        return f"{self.scheme}://{self}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _no_scheme(url: str, scheme: str) -> str:
    """What to say of a URL whose scheme is none of ours."""
    known = ", ".join(f"{name}://" for name in SCHEMES)
    if "://" not in url:
        return f"{url!r} has no scheme; did you mean quickpulse://{url}? There are {known}"
    meant = _MEANT.get(scheme)
    hint = f"; did you mean {meant}://?" if meant else "."
    return f"{url!r}: there is no scheme {scheme}://{hint} There are {known}"


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
    :param token: bearer token. Without TLS, whoever carries the bytes can read it.
    :param ca_file: PEM, with TLS: certificates to trust, in place of the system's.
    :param cert_file: PEM, with TLS: the client's own certificate, for a server that wants one.
    :param key_file: PEM: the key of that; "": it is in `cert_file`.
    """

    timeout_seconds: float = 30.0
    connect_seconds: float = 5.0
    keepalive_seconds: float = 15.0
    flush_seconds: float = 0.005
    first_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0
    max_lease_seconds: float = 3600.0
    token: str | None = field(default=None, repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token or ""):
            raise InvalidArgument("a token has printable ASCII characters only, and no blanks")


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


def milliseconds(seconds: float, name: str = "seconds") -> int:
    """As requests have it; what is more than nothing stays so.

    :param name: what the user calls it.
    :raises InvalidArgument: it is no number, or less than nothing.
    """
    try:
        if seconds >= 0:
            return max(round(seconds * 1000), 1) if seconds else 0
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidArgument(f"{name} is {seconds!r}, expected a number of seconds, 0 or more")
