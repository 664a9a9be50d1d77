"""What a process did, in a file that outlives it: a record is one write, so a kill leaves whole records."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

CONFIRMED, UNCONFIRMED, DELIVERED, ACKED, SAID, UNSURE, ALTERED = range(1, 8)
"""Kinds: of producers, what the server has confirmed, and what it has not. Of consumers, what came, before anything was
done about it; what was acked and confirmed; what is about to be acked; what was asked without an answer, or too late;
and what was not ours."""

_CODE = "I"


class Journal:
    """One process's file.

    :param path: is made, or appended to.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, kind: int, numbers: Sequence[int]) -> None:
        """A record."""
        os.write(self._file, array(_CODE, [kind, len(numbers), *numbers]).tobytes())

    def close(self) -> None:
        """No more."""
        os.close(self._file)


def records(path: Path) -> Iterator[tuple[int, array[int]]]:
    """Kind and numbers of each record, in their order."""
    words: array[int] = array(_CODE)
    words.frombytes(path.read_bytes())
    at = 0
    while at < len(words):
        kind, count = words[at], words[at + 1]
        yield kind, words[at + 2 : at + 2 + count]
        at += 2 + count
