"""Responses that are the same for many streams, as bytes made once and cut where the stream's number goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct

from quickpulse.wire.http2.frames import DATA, END_HEADERS, END_STREAM, HEAD, HEADERS


class Answer:
    """A response that is the same for many streams, cut where the stream's number goes.

    :param head: the block of its fields.
    :param body: its DATA; may be empty.
    :param tail: the block of its trailers; may be empty. What comes last ends the stream.
    """

    __slots__ = ("body", "head", "parts", "tail")

    def __init__(self, head: bytes, body: bytes, tail: bytes) -> None:
        self.head, self.body, self.tail = head, body, tail
        self.parts = _cut_at_stream([(HEADERS, head), (DATA, body), (HEADERS, tail)])
        """To be joined by the stream's number as four bytes."""


class Envelope:
    """A response of which only the body differs, cut where the stream's number goes.

    :param head: the block of its fields.
    :param tail: the block of its trailers.
    """

    __slots__ = ("_after_body", "_before_body", "_between", "_first", "_last", "head", "tail")

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head, self.tail = head, tail
        self._first, headed, after, self._last = _cut_at_stream([(HEADERS, head), (DATA, b"\0"), (HEADERS, tail)])
        self._before_body = _Heads(headed[:-5])
        self._after_body = after[1:]
        self._between = self._last + self._first  # of two answers

    def around(self, stream_ids: Sequence[int], bodies: Sequence[bytes], sizes: set[int]) -> list[bytes]:
        """Answers with these bodies, to be joined.

        Many are laid out column by column, which costs a third less than one by one.

        :param bodies: none of them empty.
        :param sizes: all that there are among them.
        """
        count = len(bodies)
        if count < _LEAST_COLUMNS:
            first, before, after, last = self._first, self._before_body, self._after_body, self._last
            return [
                stream_id.to_bytes(4, "big").join((first, before[len(body)], body + after, last))
                for stream_id, body in zip(stream_ids, bodies, strict=True)
            ]
        numbers = _split_numbers(count)(_join_numbers(count)(*stream_ids))
        parts = [self._between] * (_PARTS * count)
        parts[0] = self._first
        parts[1::_PARTS] = parts[3::_PARTS] = parts[6::_PARTS] = numbers
        heads = self._before_body
        parts[2::_PARTS] = [heads[len(bodies[0])]] * count if len(sizes) == 1 else [heads[len(body)] for body in bodies]
        parts[4::_PARTS] = bodies
        parts[5::_PARTS] = [self._after_body] * count
        parts.append(self._last)
        return parts


_PARTS = 7
"""Of an answer, with the stream's number in the second, fourth and last place."""

_LEAST_COLUMNS = 4
"""Answers from which on columns are faster."""


@lru_cache(maxsize=256)
def _join_numbers(count: int) -> Callable[..., bytes]:
    """Numbers of streams, each to four bytes."""
    return Struct(f">{count}I").pack


@lru_cache(maxsize=256)
def _split_numbers(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Those bytes, one by one."""
    return Struct("4s" * count).unpack


class _Heads(dict[int, bytes]):
    """Size of a body -> what goes before its stream's number. Filled as it is asked for, for short ones."""

    def __init__(self, before: bytes) -> None:
        self._before = before

    def __missing__(self, size: int) -> bytes:
        head = self._before + HEAD.pack(size << 8, 0, 0)[:5]
        if size < _MAX_KEPT_SIZE:
            self[size] = head
        return head


_MAX_KEPT_SIZE = 1024
"""Bodies from here on are long enough that their head may be made each time."""


def _cut_at_stream(frames: list[tuple[int, bytes]]) -> tuple[bytes, ...]:
    """Frames as bytes, without the stream's number: what lies between its places."""
    frames = [(kind, payload) for at, (kind, payload) in enumerate(frames) if payload or not at]
    parts = [b""]
    for at, (kind, payload) in enumerate(frames):
        flags = END_HEADERS if kind == HEADERS else 0
        flags |= END_STREAM if at == len(frames) - 1 else 0
        parts[-1] += HEAD.pack(len(payload) << 8 | kind, flags, 0)[:5]
        parts.append(payload)
    return tuple(parts)
