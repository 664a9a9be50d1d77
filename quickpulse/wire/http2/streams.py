"""A stream and its states (RFC 9113, section 5.1), as one table. Nothing here reads or writes frames.

IDLE and CLOSED have no object: `stream_table` tells them by number. Pushed streams do not exist: SETTINGS forbids
them to servers, and clients may not push.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class State(IntEnum):
    """Who may still send."""

    OPEN = 0
    HALF_CLOSED_LOCAL = 1  # we have said all
    HALF_CLOSED_REMOTE = 2  # the peer has
    CLOSED = 3


class Input(IntEnum):
    """What moves a stream on."""

    RECEIVE_END = 0
    SEND_END = 1
    RESET = 2  # in either direction


TRANSITIONS = {
    (State.OPEN, Input.RECEIVE_END): State.HALF_CLOSED_REMOTE,
    (State.OPEN, Input.SEND_END): State.HALF_CLOSED_LOCAL,
    (State.OPEN, Input.RESET): State.CLOSED,
    (State.HALF_CLOSED_LOCAL, Input.RECEIVE_END): State.CLOSED,
    (State.HALF_CLOSED_LOCAL, Input.RESET): State.CLOSED,
    (State.HALF_CLOSED_REMOTE, Input.SEND_END): State.CLOSED,
    (State.HALF_CLOSED_REMOTE, Input.RESET): State.CLOSED,
}
"""What is not here is a fault: the peer's is answered before the table is asked, ours is a KeyError."""


class Stream:
    """One stream that is open or half closed.

    :ivar context: whatever the layer above keeps for it.
    :ivar send_window: bytes that the peer takes now; below zero after it has made its windows smaller.
    :ivar receive_window: bytes that the peer may still send.
    :ivar room: what it was last filled up to.
    :ivar pending: bytes that wait for a window.
    :ivar trailers: the block that ends the stream after `pending`; empty: DATA with END_STREAM does; None: no end yet.
    :ivar is_held: whether the peer gets no new room: the layer above takes no more for now.
    :ivar content_left: bytes that are to come by the peer's content-length; None where it gave none.
    :ivar has_message: a client's stream: whether the response's fields came, so that others are trailers.
    """

    __slots__ = (
        "content_left",
        "context",
        "has_message",
        "id",
        "is_held",
        "pending",
        "receive_window",
        "room",
        "send_window",
        "state",
        "trailers",
    )

    def __init__(self, stream_id: int, send_window: int, receive_window: int) -> None:
        self.id = stream_id
        self.state = State.OPEN
        self.send_window = send_window
        self.receive_window = self.room = receive_window
        self.pending = bytearray()
        self.trailers: bytes | None = None
        self.is_held = False
        self.content_left: int | None = None
        self.has_message = False
        self.context: Any = None

    def move(self, what: Input) -> State:
        """Go on by the table."""
        self.state = TRANSITIONS[self.state, what]
        return self.state

    @property
    def is_gone(self) -> bool:
        """Whether it is over in both directions."""
        return self.state is State.CLOSED

    @property
    def is_remote_closed(self) -> bool:
        """Whether the peer has said all."""
        return self.state >= State.HALF_CLOSED_REMOTE

    @property
    def is_local_closed(self) -> bool:
        """Whether we have said all; what of it waits for a window does not count as said."""
        return self.state in (State.HALF_CLOSED_LOCAL, State.CLOSED)
