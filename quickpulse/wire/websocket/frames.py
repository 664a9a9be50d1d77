"""Server frames as bytes (RFC 6455, section 5.2): unmasked, in one piece. Reading frames is not done here."""

from __future__ import annotations

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
    size = len(payload)
    if size < 126:
        return bytes((first_byte, size)) + payload
    if size < 65_536:
        return pack("!BBH", first_byte, 126, size) + payload
    return pack("!BBQ", first_byte, 127, size) + payload
