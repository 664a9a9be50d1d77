"""Requests of a session that are not on their way: they wait for a connection, for a place on it, or a next server."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from quickpulse.client.calls import Call

MOST_OPEN = 1_000
"""Requests and subscriptions on a connection; the server takes 1,024. The rest waits here."""

MOST_WITH_PULLS = 900
"""With so many no pull that may wait is sent, so that there is a place for what is done at once."""


class Unsent:
    """First come, first sent; pulls that the server may keep stand in a line of their own.

    `used` is always the number of requests and subscriptions on the connection.
    """

    def __init__(self) -> None:
        self._line: deque[Call] = deque()
        self._pulls: deque[Call] = deque()
        self._refused: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        yield from self._refused
        yield from self._line
        yield from self._pulls

    def __bool__(self) -> bool:
        return bool(self._line or self._pulls or self._refused)

    def lets_pass(self, call: Call, used: int) -> bool:
        """Whether a new call is sent at once."""
        if self._line:
            return False
        if used < MOST_WITH_PULLS and not self._pulls:
            return True
        return used < MOST_OPEN and not call.is_long

    def add(self, call: Call) -> None:
        """It is sent when its turn comes."""
        self._line_of(call).append(call)

    def add_refused(self, call: Call) -> None:
        """A server that drains has not done it: it waits for the next connection."""
        self._refused.append(call)

    def was_refused(self, call: Call) -> bool:
        """Whether it is one of those."""
        return call in self._refused

    def put_back(self, calls: Iterable[Call]) -> None:
        """The connection ended: these come first on the next one, and then what was refused."""
        for call in reversed([*calls, *self._refused]):
            self._line_of(call).appendleft(call)
        self._refused = []

    def next(self, used: int) -> Call | None:
        """The one whose turn it is, taken out."""
        if self._line and used < MOST_OPEN:
            return self._line.popleft()
        if self._pulls and used < MOST_WITH_PULLS:
            return self._pulls.popleft()
        return None

    def remove(self, call: Call) -> bool:
        """Whether it was here."""
        line = self._refused if call in self._refused else self._line_of(call)
        if call not in line:
            return False
        line.remove(call)
        return True

    def forget_answered(self) -> None:
        """Of those whose time is up nothing is kept."""
        self._line = deque(call for call in self._line if call.done is not None)
        self._pulls = deque(call for call in self._pulls if call.done is not None)
        self._refused = [call for call in self._refused if call.done is not None]

    def _line_of(self, call: Call) -> deque[Call]:
        return self._pulls if call.is_long else self._line
