"""Server frames as bytes (RFC 6455, section 5.2): unmasked, in one piece. Reading frames is not done here."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

TEXT = 0x81
"""FIN and opcode 1."""

BINARY = 0x82
"""FIN and opcode 2."""


def server_frame(first_byte: int, payload: bytes) -> bytes:
    """One complete, unmasked message.

    :param first_byte: TEXT or BINARY.
    :param payload: up to 2**63 - 1 bytes.
    """
    return _header(first_byte, len(payload)) + payload


def binary_frames(payloads: Sequence[bytes]) -> bytes:
    """The frames of binary messages, joined."""
    if len(set(map(len, payloads))) == 1:  # most often; then every frame has the same header
        header = _header(BINARY, len(payloads[0]))
        return header + header.join(payloads)
    return b"".join([_header(BINARY, len(payload)) + payload for payload in payloads])


def _header(first_byte: int, size: int) -> bytes:
    if size < 126:
        return _SHORT_HEADERS[first_byte][size]
    if size < 65_536:
        return pack("!BBH", first_byte, 126, size)
    return pack("!BBQ", first_byte, 127, size)


_SHORT_HEADERS = {first: [bytes((first, size)) for size in range(126)] for first in (TEXT, BINARY)}
