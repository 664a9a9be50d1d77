"""Huffman decoding of HPACK, a byte at a time: hpack's table goes by half bytes, and short strings come often."""

from __future__ import annotations

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE

_steps: dict[int, tuple[int, bytes, bool]] = {}
"""(state << 8 | byte) -> next state, what it emits, whether the string may end here. Filled as it is asked for.

One for the process. A peer can fill it: there are 256 states, so that it never has more than 65,536 entries, about
16 MB."""


def decode_huffman(data: bytes) -> bytes:
    """The text.

    :raises HPACKDecodingError: it is no Huffman string, or its padding is wrong.
    """
    state, is_complete, text = 0, True, b""
    for byte in data:
        step = _steps.get(state << 8 | byte) or _step(state, byte)
        state, emitted, is_complete = step
        text += emitted
    if not is_complete:
        raise HPACKDecodingError("Incomplete Huffman string")
    return text


def _step(state: int, byte: int) -> tuple[int, bytes, bool]:
    key, emitted, flags = state << 8 | byte, b"", 0
    for nibble in (byte >> 4, byte & 0x0F):
        state, flags, symbol = HUFFMAN_TABLE[state * 16 + nibble]
        if flags & HUFFMAN_FAIL:
            raise HPACKDecodingError("Invalid Huffman string")
        if flags & HUFFMAN_EMIT_SYMBOL:
            emitted += bytes((symbol,))
    step = _steps[key] = state, emitted, bool(flags & HUFFMAN_COMPLETE)
    return step
