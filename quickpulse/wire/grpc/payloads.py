"""A protobuf message with nothing but `bytes payload = 1`, read and written without protobuf.

That is what nearly every v0 message is, and over gRPC each one is parsed by itself, so that the general way costs as
much as the queue. Whatever has another form is left to protobuf.

Source: https://protobuf.dev/programming-guides/encoding/ (field 1, wire type 2, length as a base-128 varint).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAYLOAD_TAG = 0x0A
"""Field number 1, wire type 2 (a length and that many bytes)."""


def read_payload(data: bytes, otherwise: Callable[[bytes], T]) -> bytes | T:
    """The payload of a message that is that one field, or nothing at all.

    :param otherwise: makes the result of a message that has any other form.
    """
    size = len(data)
    if size < 2:
        return otherwise(data) if size else b""
    length = data[1]
    if data[0] != PAYLOAD_TAG:
        return otherwise(data)
    if length < 0x80:
        return data[2:] if length == size - 2 else otherwise(data)
    length &= 0x7F
    for at in range(2, min(size, 6)):  # five bytes hold more than a gRPC message may have
        byte = data[at]
        length |= (byte & 0x7F) << 7 * (at - 1)
        if byte < 0x80:
            return data[at + 1 :] if length == size - at - 1 else otherwise(data)
    return otherwise(data)


def write_payload(payload: bytes) -> bytes:
    """The message with this payload, as protobuf writes it: an empty field is left out."""
    size = len(payload)
    if size < 0x80:
        return b"\x0a%c%b" % (size, payload) if size else b""
    length = bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return b"\x0a" + length + payload


FRAMED_HEADS = {size + 7: b"\0\0\0\0%c\x0a%c" % (size + 2, size) for size in range(1, 0x80)}
"""Length of a body -> how it begins, if it is one uncompressed gRPC message with a short payload and nothing else."""


def short_payloads(bodies: list[bytes]) -> list[bytes | None]:
    """The payload of each body that has the form of `FRAMED_HEADS`, else None."""
    heads = FRAMED_HEADS.get
    return [body[7:] if body[:7] == heads(len(body)) else None for body in bodies]


def framed_payloads(payloads: list[bytes]) -> list[bytes]:
    """The message with each payload, framed for gRPC."""
    try:
        return [_HEADS[len(payload)] + payload for payload in payloads]
    except KeyError:  # one that is empty or long
        return [_framed(write_payload(payload)) for payload in payloads]


_HEADS = {size - 7: head for size, head in FRAMED_HEADS.items()}


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(5, "big") + message
