"""Lines: who wants messages of one queue, in the order in which they came. Who they are is not known here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from quickpulse.errors import QueueUnavailable, QuickPulseError

LEAST_COMPACTED = 64
"""Places of those that have left are cleared away when they are more than half, but not for so few."""


class Party:
    """One that waits for messages, in the lines of one queue or of several."""

    __slots__ = ("is_gone", "lines")

    def __init__(self) -> None:
        self.is_gone = False
        self.lines: list[Line] = []

    @property
    def wants(self) -> bool:
        """Whether a message would be taken now."""
        return not self.is_gone

    def take(self, line: Line, now_ms: int) -> bool:
        """It is its turn: take something; whether there was anything."""
        raise NotImplementedError

    def passed_over(self) -> None:
        """It was its turn, and it wanted nothing: it has lost its place, and may stand again."""

    def end(self, error: QuickPulseError | None = None) -> None:
        """Hear that nothing more comes, and why, and leave."""
        raise NotImplementedError

    def leave(self) -> None:
        """Want nothing any more, for ever: from here on nothing is taken out for it."""
        if not self.is_gone:
            self.is_gone = True
            for line in self.lines:
                line.left(self)
            self.lines.clear()


class Line:
    """Those who want messages of a queue.

    :param queue: its name.
    :param emptied: called when the last one has left.
    """

    __slots__ = ("_emptied", "_gone", "_parties", "members", "queue")

    def __init__(self, queue: str, emptied: Callable[[Line], None]) -> None:
        self.queue = queue
        self.members: dict[Party, bool] = {}
        """All that have not left, in the order in which they came; whether each has a place."""
        self._parties: deque[Party] = deque()
        self._gone = 0  # places of those that have left
        self._emptied = emptied

    def join(self, party: Party) -> None:
        """Come in, and stand at the end."""
        party.lines.append(self)
        self.members[party] = True
        self._parties.append(party)

    def stand(self, party: Party) -> None:
        """A member wants something again: at the end, unless it has its place still."""
        if not self.members[party]:
            self.members[party] = True
            self._parties.append(party)

    def left(self, party: Party) -> None:
        """A member is gone."""
        if self.members.pop(party):
            self._gone += 1
            if self._gone > LEAST_COMPACTED and 2 * self._gone > len(self._parties):
                self._parties = deque(each for each in self._parties if not each.is_gone)
                self._gone = 0
        if not self.members:
            self._emptied(self)

    def serve(self, now_ms: int, helpings: int) -> int:
        """Give to one after the other, until there is nothing, nobody wants anything, or so many have got something.

        One that got something stands at the end again; one for which nothing was there keeps its place. One whose turn
        failed, which nothing should, is ended, so that the others have theirs; then the exception goes on.

        :returns: how many helpings are left; 0: it may have to go on.
        """
        while self._parties and helpings:
            party = self._parties.popleft()
            if party.is_gone:
                self._gone -= 1
                continue
            self.members[party] = False
            if not party.wants:
                party.passed_over()
                continue
            try:
                got = party.take(self, now_ms)
            except Exception:
                party.end(QueueUnavailable())
                raise
            helpings -= got
            if not party.is_gone and not got:
                self.members[party] = True
                self._parties.appendleft(party)
                break
            if not party.is_gone and party.wants:
                self.stand(party)
        return helpings
