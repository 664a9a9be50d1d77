"""Requests of a session that wait for their replies, and what a session wants of the face that it lives in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from quickpulse.requests import DeleteQueue, Delivery, Pull, Purge, Redrive

_ONCE = (Purge, DeleteQueue, Redrive)
"""Not asked again when the connection ended before the reply: they may have been done."""

Done = Callable[[Any], None]


class Host(Protocol):
    """What a session wants of the face that it lives in. `settle_soon` may be called by any thread."""

    def write_soon(self) -> None:
        """There is something for `data_to_send`."""

    def tick_at(self, when: float) -> None:
        """Call `tick` then, at the latest."""

    def settle_soon(self) -> None:
        """Call `flush` within `flush_seconds`."""

    def ready(self) -> None:
        """The server answers."""

    def cut(self) -> None:
        """End the connection: it is lost."""


class Call:
    """A request that waits for its reply."""

    __slots__ = ("asked_at", "deadline", "done", "id", "is_repeated", "request")

    def __init__(self, request: Any, done: Done, deadline: float, asked_at: float) -> None:
        self.request = request
        self.done: Done | None = done
        self.deadline = deadline
        self.asked_at = asked_at
        self.is_repeated = False
        self.id = 0
        """The request_id on this connection; 0: it was not sent."""

    @property
    def is_long(self) -> bool:
        """Whether the server may keep it for a while."""
        request = self.request
        return type(request) is Pull and request.wait_ms > 0

    def shorten(self, now: float) -> None:
        """Of a wait that has begun here, only the rest is asked for."""
        if self.is_long:
            waited_ms = round((now - self.asked_at) * 1000)
            self.request = replace(self.request, wait_ms=max(self.request.wait_ms - waited_ms, 0))
            self.asked_at = now

    @property
    def repeats(self) -> bool:
        """Whether it can be asked again when its reply was lost."""
        request = self.request
        if isinstance(request, Pull):
            return request.delivery is Delivery.LEASED
        return not isinstance(request, _ONCE)

    def answer(self, reply: Any) -> None:
        """With a reply or an error."""
        done, self.done = self.done, None
        if done is not None:
            done(reply)
