"""Making payloads, and reading them back. What became of them is the ledger's matter; no sockets here.

A payload is, with all numbers in network order:

| bytes | what |
|---|---|
| 0-3 | the run's tag: a message of another run is told apart |
| 4-7 | the producer's number |
| 8-11 | the sequence, from 0, of this producer |
| 12-15 | a check over the three |
| 16- | filler: a stretch of the run's pattern that begins where producer and sequence say |

So a body under the wrong header is found too. `make` and `read` are the plain form; `make_block` and
`read_block` say the same of many payloads at once, in numpy, since the load must be faster than the server
that it measures.
"""

from __future__ import annotations

import random
import struct

import numpy as np

MIN_PAYLOAD_BYTES = 16
"""The header alone."""

SHIFTS = 251
"""Places where a filler may begin; prime, so that neighbours in sequence and in producer differ."""

_HEADER = struct.Struct(">IIII")
_WORD = 0xFFFFFFFF
_PRODUCER_FACTOR = 0x9E3779B1
_SEQUENCE_FACTOR = 0x85EBCA77
_MIX_FACTOR = 0x2C1B3C6D


class PayloadFormat:
    """The payloads of one run.

    run_tag: 32 bits that other runs do not share
    payload_bytes: the size of each, MIN_PAYLOAD_BYTES or more
    """

    def __init__(self, run_tag: int, payload_bytes: int) -> None:
        if payload_bytes < MIN_PAYLOAD_BYTES:
            raise ValueError(f"a payload has {MIN_PAYLOAD_BYTES} bytes at least")
        self.run_tag = run_tag
        self.payload_bytes = payload_bytes
        self._filler_bytes = payload_bytes - MIN_PAYLOAD_BYTES
        self._pattern = random.Random(run_tag).randbytes(self._filler_bytes + SHIFTS)
        pattern = np.frombuffer(self._pattern, np.uint8)
        self._fillers = np.lib.stride_tricks.sliding_window_view(pattern, self._filler_bytes or 1)[:SHIFTS]

    def make(self, producer: int, sequence: int) -> bytes:
        """The payload of one message."""
        check = self._check(producer, sequence)
        return _HEADER.pack(self.run_tag, producer, sequence, check) + self._filler(producer, sequence)

    def make_block(self, producer: int, first: int, count: int) -> np.ndarray:
        """The payloads of `count` messages from `first` on: an array of bytes, one row each."""
        sequences = np.arange(first, first + count, dtype=np.uint32)
        producers = np.full(count, producer, np.uint32)
        header = np.empty((count, 4), ">u4")
        header[:, 0] = self.run_tag
        header[:, 1] = producers
        header[:, 2] = sequences
        header[:, 3] = self._checks(producers, sequences)
        block = np.empty((count, self.payload_bytes), np.uint8)
        block[:, :MIN_PAYLOAD_BYTES] = header.view(np.uint8)
        if self._filler_bytes:
            block[:, MIN_PAYLOAD_BYTES:] = self._fillers[_shifts(producers, sequences)]
        return block

    def read(self, payload: bytes) -> tuple[int, int, int, bool] | None:
        """(run tag, producer, sequence, whether the body is intact), or None where the header is not ours."""
        if len(payload) < MIN_PAYLOAD_BYTES:
            return None
        run_tag, producer, sequence, check = _HEADER.unpack_from(payload)
        if check != _mixed(run_tag, producer, sequence):
            return None
        intact = payload[MIN_PAYLOAD_BYTES:] == self._filler(producer, sequence)
        return run_tag, producer, sequence, intact

    def read_block(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """(producers, sequences) of the rows, or None unless all are intact and of this run."""
        header = np.ascontiguousarray(block[:, :MIN_PAYLOAD_BYTES]).view(">u4").astype(np.uint32)
        producers, sequences = header[:, 1], header[:, 2]
        if not (header[:, 0] == self.run_tag).all():
            return None
        if not (header[:, 3] == self._checks(producers, sequences)).all():
            return None
        if self._filler_bytes:
            expected = self._fillers[_shifts(producers, sequences)]
            if not np.array_equal(block[:, MIN_PAYLOAD_BYTES:], expected):
                return None
        return producers, sequences

    def _filler(self, producer: int, sequence: int) -> bytes:
        shift = (producer * 7 + sequence) % SHIFTS
        return self._pattern[shift : shift + self._filler_bytes]

    def _check(self, producer: int, sequence: int) -> int:
        return _mixed(self.run_tag, producer, sequence)

    def _checks(self, producers: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        mixed = producers * np.uint32(_PRODUCER_FACTOR)
        mixed ^= sequences * np.uint32(_SEQUENCE_FACTOR)
        mixed ^= np.uint32(self.run_tag)
        mixed ^= mixed >> np.uint32(15)
        mixed *= np.uint32(_MIX_FACTOR)
        mixed ^= mixed >> np.uint32(13)
        return mixed


def _mixed(run_tag: int, producer: int, sequence: int) -> int:
    """Each step can be undone, so a change in any one of the three changes the check."""
    mixed = (producer * _PRODUCER_FACTOR & _WORD) ^ (sequence * _SEQUENCE_FACTOR & _WORD) ^ run_tag
    mixed ^= mixed >> 15
    mixed = mixed * _MIX_FACTOR & _WORD
    return mixed ^ (mixed >> 13)


def _shifts(producers: np.ndarray, sequences: np.ndarray) -> np.ndarray:
    return (producers.astype(np.int64) * 7 + sequences) % SHIFTS
