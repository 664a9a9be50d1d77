"""Masking what a client sends (RFC 6455, section 5.3), as fast as bytes can be changed without other packages."""

from __future__ import annotations

from quickpulse.wire.websocket.plain_frames import KEY_BYTES, unmask

LONG_BYTES = 8_192
"""From here on four translations, one for each byte of the key, are faster than one XOR of big integers."""

_TABLES: list[bytes] = []


def mask(payload: bytes, key: bytes) -> bytes:
    """`payload` under `key`, four bytes that nobody can foresee; the same call takes the mask away again."""
    size = len(payload)
    if size < LONG_BYTES:
        return unmask(payload, key)
    if not _TABLES:  # 64 KiB, which a client that sends nothing long does not need
        _TABLES.extend(bytes(each ^ byte for each in range(256)) for byte in range(256))
    masked = bytearray(size)
    for at, byte in enumerate(key):
        masked[at::KEY_BYTES] = payload[at::KEY_BYTES].translate(_TABLES[byte])
    return bytes(masked)
