"""Messages: eight bytes that stand for a number, and padding that depends on it. Made and recognized many at a time.

The eight bytes are the number times an odd constant, modulo 2^64: an altered one stands for a number that was never
sent. Numbers are given out in blocks whose frames differ in a few bytes only, which are filled into a template.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

BLOCK = 256
"""Messages that are made at once; a window of requests is a few of them."""

NUMBER_BYTES = 8

MOST_BYTES = 200

_PADDED_SHARE = 0.25

_FACTOR = 0x9E3779B97F4A7C15
_FACTOR_ARRAY, _INVERSE_ARRAY = np.uint64(_FACTOR), np.uint64(pow(_FACTOR, -1, 1 << 64))


def _paddings() -> list[bytes]:
    """One for each place in a block; always the same."""
    source = random.Random(_FACTOR)
    most = MOST_BYTES - NUMBER_BYTES
    return [source.randbytes(source.randint(1, most)) if source.random() < _PADDED_SHARE else b"" for _ in range(BLOCK)]


PADDINGS = _paddings()


def coded(first: int) -> np.ndarray:
    """The numbers of the block from `first` on as they are sent: rows of eight bytes."""
    numbers = np.arange(first, first + BLOCK, dtype=np.uint64) * _FACTOR_ARRAY
    return numbers.astype(">u8").view(np.uint8).reshape(BLOCK, NUMBER_BYTES)


def payloads(first: int) -> list[bytes]:
    """The messages of a block."""
    return [number.tobytes() + padding for number, padding in zip(coded(first), PADDINGS, strict=True)]


def read_numbers(messages: Sequence[bytes]) -> tuple[np.ndarray, list[bytes]]:
    """The numbers of these messages, and those messages that are not as they were sent.

    A number that was never sent is not noticed here.
    """
    heads = b"".join([message[:NUMBER_BYTES] for message in messages])
    if len(heads) != NUMBER_BYTES * len(messages):
        whole = [message for message in messages if len(message) >= NUMBER_BYTES]
        numbers, altered = read_numbers(whole)
        return numbers, altered + [message for message in messages if len(message) < NUMBER_BYTES]
    numbers = np.frombuffer(heads, ">u8").astype(np.uint64) * _INVERSE_ARRAY
    due = [PADDINGS[place] for place in (numbers & np.uint64(BLOCK - 1)).tolist()]
    got = [message[NUMBER_BYTES:] for message in messages]
    if got == due:
        return numbers, []
    return numbers, [message for message, tail, padding in zip(messages, got, due, strict=True) if tail != padding]


class Template:
    """The frames of a block, one behind the other.

    frames: each with its own bytes but for what is filled in
    number_at: where each frame's number begins; None where frames have none
    streams_at: where each frame's stream identifiers begin
    key: what numbers are masked with
    """

    def __init__(
        self,
        frames: Sequence[bytes],
        number_at: Sequence[int] | None,
        streams_at: Sequence[Sequence[int]] = (),
        key: bytes = b"\0" * NUMBER_BYTES,
    ) -> None:
        self._bytes = np.frombuffer(b"".join(frames), np.uint8)
        starts = np.cumsum([0, *map(len, frames[:-1])])
        self._key = np.frombuffer(key, np.uint8)
        self._numbers = None if number_at is None else _places(starts, number_at, NUMBER_BYTES)
        self._streams = [_places(starts, places, 4) for places in zip(*streams_at, strict=True)] if streams_at else []

    def filled(self, first: int, stream: int = 0, step: int = 0) -> bytes:
        """The block from message `first` on, its frames' streams beginning with `stream`, `step` apart."""
        block = self._bytes.copy()
        if self._numbers is not None:
            block[self._numbers] = coded(first) ^ self._key
        if self._streams:
            streams = (np.arange(BLOCK, dtype=np.uint32) * np.uint32(step) + np.uint32(stream)).astype(">u4")
            for places in self._streams:
                block[places] = streams.view(np.uint8).reshape(BLOCK, 4)
        return block.tobytes()


def _places(starts: np.ndarray, offsets: Sequence[int], width: int) -> np.ndarray:
    return (starts + np.asarray(offsets))[:, None] + np.arange(width)
