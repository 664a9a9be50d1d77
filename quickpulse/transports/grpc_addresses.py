"""From a Twisted endpoint string to what grpcio listens on: it takes addresses only, and binds them itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from twisted.internet.endpoints import _parse as split_endpoint

from quickpulse.errors import SettingsError

ONLY_ADDRESSES = "grpcio takes addresses only: use tcp:, tcp6:, unix: or ssl:"


@dataclass(frozen=True, slots=True)
class GrpcAddress:
    """Where grpcio listens.

    :param target: in gRPC's own notation: "127.0.0.1:50051", "[::1]:50051", "unix:/run/queue.sock".
    :param credentials: for TLS; `None` is cleartext.
    """

    target: str
    credentials: Any = None

    def text(self, bound_port: int) -> str:
        """For people, with the port that was bound in place of 0."""
        if self.target.startswith("unix:"):
            return self.target
        return f"{self.target.rpartition(':')[0]}:{bound_port}"


def host_and_port(host: str, port: int) -> GrpcAddress:
    """The address of --host and --grpc-port."""
    return GrpcAddress(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def read_endpoint(option: str, endpoint: str) -> GrpcAddress:
    """The address of a Twisted endpoint string.

    :param option: the flag that an error names.
    :raises SettingsError: another kind of endpoint, or one that is not valid.
    """
    try:
        arguments, keywords = split_endpoint(endpoint)
        kind = arguments[0] if len(arguments) > 1 or keywords else "tcp"
        read = _KINDS[kind]
    except KeyError:
        raise SettingsError(f"{option} {endpoint!r}: {ONLY_ADDRESSES}") from None
    except (ValueError, IndexError) as error:
        raise SettingsError(f"{option} {endpoint!r}: {error}") from None
    try:
        return read(arguments[1:] or arguments, keywords)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise SettingsError(f"{option} {endpoint!r}: {error}") from None


def _tcp(default_host: str) -> Callable[[list[str], dict[str, str]], GrpcAddress]:
    def read(arguments: list[str], keywords: dict[str, str]) -> GrpcAddress:
        port = int(keywords.get("port") or arguments[0])
        return host_and_port(keywords.get("interface") or default_host, port)

    return read


def _unix(arguments: list[str], keywords: dict[str, str]) -> GrpcAddress:
    return GrpcAddress("unix:" + (keywords.get("address") or arguments[0]))


def _ssl(arguments: list[str], keywords: dict[str, str]) -> GrpcAddress:
    key = Path(keywords["privateKey"]).read_bytes()
    chain = Path(keywords.get("certKey") or keywords["privateKey"]).read_bytes()
    address = _tcp("0.0.0.0")(arguments, keywords)
    return GrpcAddress(address.target, grpc.ssl_server_credentials([(key, chain)]))


_KINDS = {"tcp": _tcp("0.0.0.0"), "tcp4": _tcp("0.0.0.0"), "tcp6": _tcp("::"), "unix": _unix, "ssl": _ssl}
