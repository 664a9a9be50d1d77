"""v0 over WebSocket: what a batch of client messages asks of the queue, and the frames that answer it.

An endpoint is two functions without I/O. `ask` makes the one call of the queue that serves the messages of a read;
`answer` turns the call's result into one answer for each, joined. The queue itself is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from quickpulse.errors import QueueEmpty, QueueFull, QueueUnavailable
from quickpulse.messages import Item, payload_of
from quickpulse.wire.websocket.frames import BINARY, TEXT, binary_frames, server_frame

OK = server_frame(TEXT, b"ok")


def _error(error: Exception) -> bytes:
    return server_frame(TEXT, f"error: {error}".encode())


FULL = _error(QueueFull())
EMPTY = _error(QueueEmpty())
UNAVAILABLE = _error(QueueUnavailable())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the WebSocket port.

    :param ask: `queue -> (messages -> result, or a Deferred of it)`: the call that serves a whole batch.
    :param answer: `(result, number of messages) -> (frames, refused, handed over)`: the joined answers, how many of
        them say no because the queue was full, and how many carry a message out.
    :param gives_messages: the answers may carry messages out, and are as long as those are.
    :param yes: where the result is a number, and as high as that of the messages: the answer to each.
    """

    ask: Callable[[Any], Callable[[Sequence[bytes]], Any]]
    answer: Callable[[Any, int], tuple[bytes, int, int]]
    gives_messages: bool
    yes: bytes = b""


def _ask_publish(queue: Any) -> Callable[[Sequence[bytes]], Any]:
    put: Callable[[Sequence[bytes]], Any] = queue.enqueue_many
    return put


def _answer_publish(accepted: int, asked: int) -> tuple[bytes, int, int]:
    if accepted == asked:
        return OK * asked, 0, 0
    refused = asked - accepted
    return OK * accepted + FULL * refused, refused, 0


def _ask_consume(queue: Any) -> Callable[[Sequence[bytes]], Any]:
    take = queue.dequeue_many
    return lambda messages: take(len(messages))


def _answer_consume(taken: list[Item], asked: int) -> tuple[bytes, int, int]:
    if asked == 1 and taken:  # a client that waits for each answer: it pays for every step
        return server_frame(BINARY, payload_of(taken[0])), 0, 1
    count = len(taken)
    try:
        frames = binary_frames(taken)  # type: ignore[arg-type]
    except TypeError:  # there are Messages among them: not to look costs less
        frames = binary_frames(list(map(payload_of, taken)))
    return frames if count == asked else frames + EMPTY * (asked - count), 0, count


ENDPOINTS = {
    "/ws/publish": Endpoint(_ask_publish, _answer_publish, gives_messages=False, yes=OK),
    "/ws/consume": Endpoint(_ask_consume, _answer_consume, gives_messages=True),
}
"""The contract's paths."""
