"""Who may use the HTTP API: by the peer's address, by the Host, and by the page that a browser speaks for.

A browser on this machine reaches loopback for any page that it shows. A page elsewhere is known by its Origin, or by
what the browser says in Sec-Fetch-Site where it sends no Origin; one that has turned its own name to our address (DNS
rebinding), by the Host.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from quickpulse.errors import PermissionDenied
from quickpulse.wire.origin import ANY_ORIGIN, REFUSAL, is_origin_allowed

ANY_HOST = "*"

FORM_TYPES = frozenset(("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"))
"""What a page of anybody may send anywhere without asking first (https://fetch.spec.whatwg.org/, CORS-safelisted)."""

_ELSEWHERE = ("cross-site", "same-site")
"""Sec-Fetch-Site of what another host's page has asked for; without an Origin nobody can say which."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules.

    :param http_api: "loopback": only peers on this machine; "on": any.
    :param allow_origin: pages of other hosts that may ask, as in `is_origin_allowed`.
    :param allow_host: names under which the server may be addressed, beside loopback's and its own address.
    """

    http_api: str = "loopback"
    allow_origin: tuple[str, ...] = ()
    allow_host: tuple[str, ...] = ()

    def refusal(self, request: Any) -> PermissionDenied | None:
        """Why a request is not served; None: it may be. Its line need not be known yet, its headers must."""
        if self.http_api != "on" and not is_local(request.getClientAddress()):
            return PermissionDenied("the HTTP API answers this machine only: start the server with --http-api on")
        hosts = request.requestHeaders.getRawHeaders("Host") or []
        if len(hosts) != 1 or not self.is_host_allowed(hosts[0], request.getHost()):
            return PermissionDenied("this Host is not ours: start the server with --allow-host to admit it")
        origins = request.requestHeaders.getRawHeaders("Origin") or []
        if not all(is_origin_allowed(origin, hosts[0], self.allow_origin) for origin in origins):
            return PermissionDenied(REFUSAL)
        if not origins and self._is_from_elsewhere(request):
            return PermissionDenied(REFUSAL)
        return None

    def is_host_allowed(self, host: str, address: Any) -> bool:
        """Whether the server may be called so.

        :param host: the Host header.
        :param address: where the connection came in.
        """
        if ANY_HOST in self.allow_host:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:  # an unclosed bracket, for one
            return False
        if name == "localhost" or name.endswith(".localhost") or is_loopback(name):
            return True
        return name != "" and (name == getattr(address, "host", None) or name in self.allow_host)

    def _is_from_elsewhere(self, request: Any) -> bool:
        return ANY_ORIGIN not in self.allow_origin and request.getHeader("Sec-Fetch-Site") in _ELSEWHERE


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
    values = request.requestHeaders.getRawHeaders("Content-Type") or []
    if len(values) != 1:
        return ""
    kind, *parameters = [part.strip().lower() for part in values[0].split(";")]
    charsets = [each.partition("=")[2].strip('"') for each in parameters if each.startswith("charset=")]
    return str(kind) if charsets in ([], ["utf-8"]) else ""
