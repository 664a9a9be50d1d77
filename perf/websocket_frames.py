"""WebSocket frames (RFC 6455, section 5), as far as a measuring client needs them: bytes in, bytes out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0

_MASKED = 0x80
_FINAL = 0x80
_KEY_BYTES = 4
_RESERVED = 0x70
_LENGTH_16, _LENGTH_64 = 126, 127
_LENGTH_WIDTHS = {_LENGTH_16: 2, _LENGTH_64: 8}


class FrameError(Exception):
    """The server sent what no server may send."""


def head(opcode: int, length: int, *, masked: bool = False) -> bytes:
    """The beginning of a final frame, up to the masking key. `length` in bytes."""
    first, mask = _FINAL | opcode, _MASKED if masked else 0
    if length < _LENGTH_16:
        return bytes((first, mask | length))
    if length < 1 << 16:
        return bytes((first, mask | _LENGTH_16)) + length.to_bytes(2, "big")
    return bytes((first, mask | _LENGTH_64)) + length.to_bytes(8, "big")


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame."""
    key = os.urandom(_KEY_BYTES)
    stretched = (key * (len(payload) // _KEY_BYTES + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return head(opcode, len(payload), masked=True) + key + masked.to_bytes(len(payload), "big")


def client_frames(payloads: np.ndarray) -> bytes:
    """Masked binary frames of the rows, each under a key of its own, one after the other."""
    count, length = payloads.shape
    beginning = head(BINARY, length, masked=True)
    start = len(beginning) + _KEY_BYTES
    keys = np.frombuffer(os.urandom(count * _KEY_BYTES), np.uint8).reshape(count, _KEY_BYTES)
    frames = np.empty((count, start + length), np.uint8)
    frames[:, : len(beginning)] = np.frombuffer(beginning, np.uint8)
    frames[:, len(beginning) : start] = keys
    stretched = np.tile(keys, (1, length // _KEY_BYTES + 1))[:, :length]
    np.bitwise_xor(payloads, stretched, out=frames[:, start:])
    return frames.tobytes()


def frame_bytes(buffer: bytes, start: int = 0) -> int:
    """The size of the frame at `start`, head included; more than there is where it is unknown yet."""
    available = len(buffer) - start
    if available < 2:
        return 2
    length = buffer[start + 1]
    if length & _MASKED:
        raise FrameError("the server masked a frame")
    if length < _LENGTH_16:
        return 2 + length
    width = _LENGTH_WIDTHS[length]
    if available < 2 + width:
        return 2 + width
    return 2 + width + int.from_bytes(buffer[start + 2 : start + 2 + width], "big")


def server_frames(buffer: bytes, start: int = 0) -> Iterator[tuple[bool, int, bytes, int]]:
    """(final, opcode, payload, where the next begins) of each complete frame from `start` on."""
    available = len(buffer)
    while (end := start + frame_bytes(buffer, start)) <= available:
        first = buffer[start]
        if first & _RESERVED:
            raise FrameError("the server set a reserved bit")
        body = start + 2 + _LENGTH_WIDTHS.get(buffer[start + 1], 0)
        yield bool(first & _FINAL), first & 0x0F, buffer[body:end], end
        start = end
