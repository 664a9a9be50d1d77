"""Who may use the HTTP API: by the peer's address, the Host, the page that a browser speaks for, and the token.

A browser on this machine reaches loopback for any page that it shows. A page elsewhere is known by its Origin, or by
what the browser says in Sec-Fetch-Site where it sends no Origin; one that has turned its own name to our address (DNS
rebinding), by the Host.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from quickpulse.errors import PermissionDenied
from quickpulse.wire.origin import ANY_ORIGIN, REFUSAL, is_origin_allowed

if TYPE_CHECKING:
    from quickpulse.transports.tokens import Tokens

ANY_HOST = "*"

FORM_TYPES = frozenset(("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"))
"""What a page of anybody may send anywhere without asking first (https://fetch.spec.whatwg.org/, CORS-safelisted)."""

_ELSEWHERE = ("cross-site", "same-site")
"""Sec-Fetch-Site of what another host's page has asked for; without an Origin nobody can say which."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules.

    :param http_api: "loopback": only peers on this machine; "on": any; "auto": any that has a token, or without tokens
        as "loopback".
    :param allow_origin: pages of other hosts that may ask, as in `is_origin_allowed`.
    :param allow_host: names under which the server may be addressed, beside loopback's and its own address.
    :param tokens: who asks must have one of them; None: nobody must.
    """

    http_api: str = "auto"
    allow_origin: tuple[str, ...] = ()
    allow_host: tuple[str, ...] = ()
    tokens: Tokens | None = None

    def check(self, request: Any) -> bytes:
        """Look whether a request may be served. Its line need not be known yet, its headers must.

        :returns: what its token is known by; b"" where none is asked for.
        :raises PermissionDenied: whatever the token.
        :raises Unauthenticated: last of all.
        """
        if self._is_local_only and not is_local(request.getClientAddress()):
            raise PermissionDenied("the HTTP API answers this machine only: start the server with --http-api on")
        hosts = header_texts(request, b"Host")
        if len(hosts) != 1 or not self.is_host_allowed(hosts[0], request.getHost()):
            raise PermissionDenied("this Host is not ours: start the server with --allow-host to admit it")
        origins = header_texts(request, b"Origin")
        if not all(is_origin_allowed(origin, hosts[0], self.allow_origin) for origin in origins):
            raise PermissionDenied(REFUSAL)
        if not origins and self._is_from_elsewhere(request):
            raise PermissionDenied(REFUSAL)
        if self.tokens is None:
            return b""
        return self.tokens.check(request.requestHeaders.getRawHeaders(b"Authorization") or [])

    @property
    def _is_local_only(self) -> bool:
        return self.http_api == "loopback" or (self.http_api == "auto" and self.tokens is None)

    def is_host_allowed(self, host: str, address: Any) -> bool:
        """Whether the server may be called so. Where a token is asked for any name will do: no page has one by itself.

        :param host: the Host header.
        :param address: where the connection came in.
        """
        if ANY_HOST in self.allow_host or self.tokens is not None:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:  # an unclosed bracket, for one
            return False
        if name == "localhost" or name.endswith(".localhost") or is_loopback(name):
            return True
        return name != "" and (name == getattr(address, "host", None) or name in self.allow_host)

    def _is_from_elsewhere(self, request: Any) -> bool:
        return ANY_ORIGIN not in self.allow_origin and any(
            site in _ELSEWHERE for site in header_texts(request, b"Sec-Fetch-Site")
        )


def header_texts(request: Any, name: bytes) -> list[str]:
    """A header's values. Any bytes may come, not UTF-8 alone."""
    return [value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(name) or []]


def is_local(peer: Any) -> bool:
    """Whether a peer is on this machine; who uses a UNIX socket is."""
    host = getattr(peer, "host", None)
    return is_loopback(host) if host is not None else hasattr(peer, "name")


def is_loopback(host: str) -> bool:
    """Whether a literal address is one of loopback's."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def media_type(request: Any) -> str:
    """The Content-Type without its parameters, in small letters; "" where there is none, several, or no UTF-8."""
    values = header_texts(request, b"Content-Type")
    if len(values) != 1:
        return ""
    kind, *parameters = [part.strip().lower() for part in values[0].split(";")]
    charsets = [each.partition("=")[2].strip('"') for each in parameters if each.startswith("charset=")]
    return kind if charsets in ([], ["utf-8"]) else ""
