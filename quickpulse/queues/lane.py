"""The lane: fresh messages without priority, delay or time to live, as nothing but their payloads in a deque.

This is what most messages are, and all of v0's. Their sequences follow from their place, because a queue numbers
all that it stores here, in the order of storing: what is kept elsewhere leaves a gap in the lane. When a message was
accepted is marked where the moment changes, so that a batch costs one mark and a message alone 16 bytes at most.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, repeat, starmap

from quickpulse.queues.framing import FRAME_BYTES
from quickpulse.queues.runs import RUN_MESSAGES, Extras, Run, fitting, framed, measured

GAP = -1
"""In place of a moment: no messages here."""

LEAST_TRIMMED = 64
"""Marks that are behind; fewer are not worth moving the others for."""


class Lane:
    """Payloads in order.

    :ivar payloads: the messages.
    :ivar stored: the last sequence that was given out; each message of the queue has one, in the lane or not.
    :ivar gaps: sequences behind the first message that are not in the lane.
    :ivar until: seconds since 1970; before them, messages may be put in without a mark. Of v0, who sets it.
    """

    __slots__ = ("_marked_at", "_moments", "_passed", "_starts", "gaps", "payloads", "stored", "until")

    def __init__(self) -> None:
        self.payloads: deque[bytes] = deque()
        self.stored = 0
        self.gaps = 0
        self._starts = array("q")  # marks: from this sequence on
        self._moments = array("q")  # it was this moment, or a gap
        self._passed = 0  # marks that lie behind the first message
        self._marked_at = GAP  # the last mark's moment
        self.until = 0.0

    @property
    def head(self) -> int:
        """The sequence of the first message, when there is one."""
        return self.stored + 1 - len(self.payloads) - self.gaps

    def mark(self, now_ms: int) -> None:
        """Messages put in from now on are of this moment; to be called before they are."""
        if now_ms != self._marked_at:
            self._add_mark(now_ms)

    def put(self, payloads: Sequence[bytes], now_ms: int) -> None:
        """Add messages."""
        if now_ms != self._marked_at:
            self._add_mark(now_ms)
        self.payloads.extend(payloads)
        self.stored += len(payloads)

    def skip(self, count: int) -> range:
        """Sequences for messages that are kept elsewhere."""
        if self.payloads:
            if self._marked_at != GAP:
                self._add_mark(GAP)
            self.gaps += count
        else:
            self.clear()
        first = self.stored + 1
        self.stored += count
        return range(first, first + count)

    def clear(self) -> None:
        """Forget all messages."""
        self.payloads.clear()
        self.gaps = self._passed = 0
        del self._starts[:], self._moments[:]
        self._marked_at = GAP
        self.until = 0.0

    def take(self, count: int, room: int, extras: Extras) -> Run | None:
        """Take out up to `count` of the first messages, as far as their sequences are consecutive.

        :param room: bytes that they may take of a frame; None is the answer where none fits.
        """
        payloads, starts, at = self.payloads, self._starts, self._passed
        first = self.stored + 1 - len(payloads) - self.gaps  # the head
        if at + 1 < len(starts) and starts[at + 1] <= first:
            self._pass_marks(first)
            at = self._passed
        end = starts[at + 1] if at + 1 < len(starts) else self.stored + 1
        accepted: int | array[int] = self._moments[at]
        if count > RUN_MESSAGES:
            count = RUN_MESSAGES
        if first + count > end and at + 1 < len(starts):
            end, accepted = self._stretch(first, first + count)
        count = min(count, end - first)
        taken = [payloads.popleft()] if count == 1 else list(starmap(payloads.popleft, repeat((), count)))
        sequences = range(first, first + count)
        size_bytes = measured(taken, sequences, 0, extras) if extras else sum(map(len, taken))
        in_frame = framed(size_bytes, sequences, FRAME_BYTES, extras) if extras else size_bytes + count * FRAME_BYTES
        if in_frame > room:
            count = fitting(taken, sequences, room, 0, FRAME_BYTES, extras)
            payloads.extendleft(reversed(taken[count:]))
            if not count:
                return None
            del taken[count:]
            sequences = sequences[:count]
            size_bytes = measured(taken, sequences, 0, extras)
        if not isinstance(accepted, int):
            accepted = accepted[:count]
        if self.gaps:
            self._pass_gap(first + count)
        return Run(taken, sequences, accepted, size_bytes)

    def look(self, count: int) -> Iterator[Run]:
        """Copies of the first `count` messages, in runs whose sequences are consecutive and whose moment is one."""
        if not self.payloads:
            return
        first = self.head
        self._pass_marks(first)
        rest = iter(self.payloads)
        for at in range(self._passed, len(self._starts)):
            begin = max(first, self._starts[at])
            end = self._starts[at + 1] if at + 1 < len(self._starts) else self.stored + 1
            end = min(end, begin + count)
            if self._moments[at] != GAP and end > begin:
                count -= end - begin
                yield Run(list(islice(rest, end - begin)), range(begin, end), self._moments[at], 0)

    @property
    def oldest_at(self) -> int:
        """When the first message was accepted."""
        if len(self._moments) > 1:
            self._pass_marks(self.head)
        return self._moments[self._passed]

    def _stretch(self, first: int, stop: int) -> tuple[int, array[int]]:
        """How far from `first` sequences are consecutive, `stop` at most, and the moment of each."""
        starts, moments, at = self._starts, self._moments, self._passed
        accepted = array("q")
        place = first
        while place < stop and moments[at] != GAP:
            end = starts[at + 1] if at + 1 < len(starts) else self.stored + 1
            upto = min(end, stop)
            accepted.extend(array("q", (moments[at],)) * (upto - place))
            place = upto
            at += 1
            if at == len(starts):
                break
        return place, accepted

    def _add_mark(self, moment: int) -> None:
        if not self.payloads:
            self.clear()
        elif self._passed > LEAST_TRIMMED and 2 * self._passed > len(self._starts):
            del self._starts[: self._passed], self._moments[: self._passed]
            self._passed = 0
        elif len(self._starts) > LEAST_TRIMMED:
            self._pass_marks(self.head)  # v0 takes without looking at marks
        self._starts.append(self.stored + 1)
        self._moments.append(moment)
        self._marked_at = moment
        self.until = 0.0

    def _pass_marks(self, head: int) -> None:
        starts, at = self._starts, self._passed
        last = len(starts) - 1
        while at < last and starts[at + 1] <= head:
            at += 1
        self._passed = at

    def _pass_gap(self, place: int) -> None:
        """Everything before `place` was taken: if a gap follows, the first message is behind it."""
        self._pass_marks(place)
        at = self._passed
        if self._moments[at] == GAP:
            end = self._starts[at + 1] if at + 1 < len(self._starts) else self.stored + 1
            self.gaps -= end - place
