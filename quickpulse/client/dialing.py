"""From an address to what speaks with the server there: the link, and TLS around it. No socket is opened here."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from quickpulse.client.errors import ConnectionLost, ConnectionRefused, TlsFailed
from quickpulse.client.options import Address, Options
from quickpulse.errors import InvalidArgument, QuickPulseError

_NO_TLS = {"HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "WRONG_VERSION_NUMBER"}
"""OpenSSL's words for bytes that are no TLS."""

_NO_COMMON = {"NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION"}
"""And for TLS of another time."""

_CAN_HEAL = {"TLSV1_ALERT_INTERNAL_ERROR", "TLSV1_ALERT_USER_CANCELLED"}
"""Alerts that the next attempt may not get; all others are the server's last word."""

_NO_ISSUER = {2, 18, 19, 20, 21}
"""OpenSSL's numbers for a certificate of which nobody is trusted who vouches for it."""


def make_link(address: Address, options: Options) -> Any:
    """A GrpcLink or a WsLink for a new connection. What either needs is imported when it is needed."""
    if address.is_websocket:
        from quickpulse.client.ws_link import WsLink

        return WsLink(str(address), options.token or "")
    from quickpulse.client.grpc_link import GrpcLink

    return GrpcLink(str(address), options.token or "", is_tls=address.is_tls)


def ssl_context(address: Address, options: Options) -> ssl.SSLContext | None:
    """How a server proves who it is; None: without TLS. One serves all connections of a client.

    :raises InvalidArgument: a file in the options cannot be read, or has no certificate or key.
    """
    if not address.is_tls:
        if options.ca_file or options.cert_file:
            raise InvalidArgument(f"ca_file and cert_file are for TLS, which {address.scheme}:// has not")
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except OSError as error:
        raise InvalidArgument(f"ca_file {options.ca_file!r}: {error}") from None
    context.set_alpn_protocols([_alpn_of(address)])
    if options.cert_file:
        try:
            context.load_cert_chain(options.cert_file, options.key_file or None)
        except OSError as error:
            raise InvalidArgument(f"cert_file {options.cert_file!r}: {error}") from None
    return context


def fault_of(error: BaseException | None, address: Address, *, is_mute: bool = False) -> QuickPulseError:
    """Why there is no connection, from what was raised: TlsFailed where the next one would not be better.

    :param error: None: the server has closed it.
    :param is_mute: the server had accepted it, and has not said a word.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "; ca_file names certificates to trust" if error.verify_code in _NO_ISSUER else ""
        return TlsFailed(f"{address} is not to be trusted: {error.verify_message}{hint}")
    reason = str(getattr(error, "reason", None)) if isinstance(error, ssl.SSLError) else ""
    if reason in _NO_TLS:
        return TlsFailed(f"{address} does not speak TLS ({reason})")
    if reason in _NO_COMMON or ("ALERT" in reason and reason not in _CAN_HEAL):
        return TlsFailed(f"{address} refuses this client's TLS ({reason})")
    if is_mute and not address.is_tls:
        tls = "quickpulse+wss" if address.is_websocket else "quickpulses"
        return ConnectionLost(f"the server closed the connection and said nothing; does it want TLS ({tls}://)?")
    if error is None:
        return ConnectionLost("the connection ended: the server closed it")
    if isinstance(error, ConnectionRefusedError):
        return ConnectionRefused(f"no connection to {address}: connection refused")
    text = str(error)
    if not isinstance(error, OSError | asyncio.TimeoutError):
        text = f"{type(error).__name__}: {text}"
    elif not text:  # a server without TLS may wait for more of what it cannot read
        text = "timeout; does it speak TLS?" if address.is_tls else "timeout"
    return ConnectionLost(f"no connection to {address}: {text}")


def fault_in_tls(transport: Any, address: Address) -> QuickPulseError | None:
    """Why a connection that has just been made is of no use; None: it is."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None or address.is_websocket:  # HTTP/1.1 is what a server without ALPN speaks
        return None
    chosen = tls.selected_alpn_protocol()
    if chosen == _alpn_of(address):
        return None
    return TlsFailed(f"{address} speaks TLS, but has not agreed to HTTP/2 in it (ALPN {_alpn_of(address)})")


def _alpn_of(address: Address) -> str:
    return "http/1.1" if address.is_websocket else "h2"
