"""A lease block: messages of one queue that were handed out with consecutive receipts. Finding one is elsewhere.

A message that was settled leaves a None in the block's column; the block ends when nothing is left in it. One that
holds few messages stays open for a while, with receipts kept back for it, so that messages which are pulled one by
one share a block: they add their deadlines to a column, which rises.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import repeat

from quickpulse.queues.agenda import LEASE_END, Agenda
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.runs import Run

OPEN_RECEIPTS = 64
"""Receipts of an open block. Blocks of one message would cost more than the message."""

SMALL_PULL = 16
"""Messages of a pull that shares a block with others."""


NOTHING = Run([], (), 0, 0)
"""In place of the columns of a block that is at its end."""


class Unknown:
    """Receipts that hold nothing, as ranges, in the order in which they are found."""

    __slots__ = ("ranges",)

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def add(self, first: int, last: int) -> None:
        """One more range; joined to the last one if it goes on there."""
        if first > last:
            return
        if self.ranges and self.ranges[-1][1] + 1 == first:
            self.ranges[-1] = (self.ranges[-1][0], last)
        else:
            self.ranges.append((first, last))


class Lease:
    """Messages that somebody holds.

    :ivar first: the receipt of the first.
    :ivar room: receipts that are kept for it.
    :ivar left: messages that are not settled.
    :ivar holder: who may be gone before it has settled; None: nobody that is known.
    """

    __slots__ = (
        "_deadline",
        "_deadlines",
        "_is_scheduled",
        "_moved",
        "_passed",
        "first",
        "holder",
        "left",
        "queue",
        "room",
        "run",
    )

    def __init__(
        self, queue: NamedQueue, run: Run, first: int, room: int, deadline: int, holder: object = None
    ) -> None:
        self.queue = queue
        self.holder = holder
        self.run = run
        self.first = first
        self.room = room
        self.left = len(run.payloads)
        self._deadline = deadline  # of all; or the last of the column
        self._deadlines: array[int] | None = None  # of each, rising
        self._moved: dict[int, int] | None = None  # index to deadline, where a part was extended
        self._passed = 0  # of the column, what is due is looked for from here on
        self._is_scheduled = False
        self.schedule(queue.agenda)

    def schedule(self, agenda: Agenda) -> None:
        """Be told at the deadline; of the column, at the next."""
        self._is_scheduled = True
        moment = self._deadline if self._deadlines is None else self._deadlines[self._passed]
        agenda.add(moment, LEASE_END, self.first + self._passed, self)

    # ---- handing out ----

    def can_take_on(self, run: Run, deadline: int, holder: object) -> bool:
        """Whether a pull's messages may share this block."""
        return (
            self.holder is holder
            and len(self.run.payloads) + len(run.payloads) <= self.room
            and deadline >= self._deadline
            and self.run.can_take_on(run)
        )

    def take_on(self, run: Run, deadline: int) -> int:
        """Hold these messages, too; the receipt of the first."""
        held = len(self.run.payloads)
        if self._deadlines is None and (deadline != self._deadline or not self._is_scheduled):
            self._deadlines = array("q", (self._deadline,)) * held
        if self._deadlines is not None:
            self._deadlines.extend(repeat(deadline, len(run.payloads)))
        self._deadline = deadline
        self.run.take_on(run)
        self.left += len(run.payloads)
        if not self._is_scheduled:
            self._passed = held
            self.schedule(self.queue.agenda)
        return self.first + held

    # ---- settling: indexes from `start` up to `stop`; nothing is kept of a block that is settled as a whole ----

    def forget(self, start: int, stop: int, unknown: Unknown) -> int:
        """These are done: gone for good. How many that were."""
        run = self.run
        payloads = run.payloads
        if stop - start == self.left == len(payloads):
            count, sequences, size_bytes, beside = self.left, run.sequences, run.size_bytes, run.beside_bytes
            self.left = 0
            if self.queue.open_lease is self:
                run.payloads = [None] * count  # type: ignore[list-item]
        else:
            held = self._held(start, stop, unknown)
            if not held:
                return 0
            count = len(held)
            if count == 1 and not self.queue.extras:
                size_bytes, sequences = len(payloads[held[0]]) + run.weight, (0,)
                beside = run.beside if isinstance(run.beside, int) else run.beside[held[0]]
                payloads[held[0]] = None  # type: ignore[call-overload]
            else:
                part = run.pick(held, self.queue.extras)
                size_bytes, sequences, beside = part.size_bytes, part.sequences, part.beside_bytes
                self._clear(held)
            self.left -= count
        self.queue.unlease(count, size_bytes)
        self.queue.gone(sequences, size_bytes, beside)
        self._let_go()
        return count

    def take_out(self, start: int, stop: int, unknown: Unknown) -> Run | None:
        """These leave the block, to be put elsewhere: as a run; None: there are none."""
        if stop - start == self.left == len(self.run.payloads):
            self.left = 0
            part = self.run
            if self.queue.open_lease is self:
                self.run = part.like([None] * len(part.payloads), part.sequences, 0, 0, 0)  # type: ignore[list-item]
        else:
            held = self._held(start, stop, unknown)
            if not held:
                return None
            part = self.run.pick(held, self.queue.extras)
            self._clear(held)
            self.left -= len(held)
        self.queue.unlease(len(part.payloads), part.size_bytes)
        self._let_go()
        return part

    def extend(self, start: int, stop: int, deadline: int, unknown: Unknown) -> int:
        """These are held until then. How many that were."""
        held = self._held(start, stop, unknown)
        if not held:
            return 0
        agenda = self.queue.agenda
        if len(held) == self.left:
            if self.queue.open_lease is self:
                self.queue.open_lease = None  # its deadlines need not rise from here on
                self.room = len(self.run.payloads)
            self._deadline, self._deadlines, self._moved, self._passed = deadline, None, None, 0
            self.schedule(agenda)
            return len(held)
        if self._moved is None:
            self._moved = {}
        self._moved.update(zip(held, repeat(deadline)))
        agenda.add(deadline, LEASE_END, self.first + held[0], Part(self, range(held[0], held[-1] + 1)))
        return len(held)

    def end(self) -> None:
        """Its queue is gone, and with it all that is held."""
        self.left = 0
        self.run = NOTHING

    # ---- the agenda ----

    def is_pending(self, moment: int) -> bool:
        """Whether anything is held that was to be until then."""
        if not self.left and self.queue.open_lease is not self:
            return False
        if self._deadlines is None:
            return moment == self._deadline
        return self._passed < len(self._deadlines) and moment == self._deadlines[self._passed]

    def happen(self, moment: int) -> None:
        """What is still held, and was not extended, goes back."""
        start, stop = self._passed, len(self.run.payloads)
        if self._deadlines is not None:
            stop = self._passed = bisect_right(self._deadlines, moment, start)
        self._is_scheduled = False
        self.expire(
            [each for each in self._held(start, stop, None) if not self._moved or each not in self._moved], moment
        )
        if self._deadlines is not None and self._passed < len(self._deadlines) and self.left:
            self.schedule(self.queue.agenda)
        elif self._deadlines is None:
            self._passed = stop

    def expire(self, indexes: Sequence[int], moment: int) -> None:
        """The time of these is up."""
        if not indexes:
            return
        queue = self.queue
        part = self.run.pick(indexes, queue.extras)
        self._clear(indexes)
        self.left -= len(indexes)
        queue.unlease(len(part.payloads), part.size_bytes)
        self._let_go()
        queue.counts.expired += len(indexes)
        queue.touched = moment
        queue.fail(part, 0, moment)

    def is_due(self, index: int, moment: int) -> bool:
        """Whether this one was extended to that moment, and is held still."""
        return bool(self._moved and self._moved.get(index) == moment and self.run.payloads[index] is not None)

    def _held(self, start: int, stop: int, unknown: Unknown | None) -> Sequence[int]:
        """Indexes of those that are not settled; the receipts of the others are noted."""
        part = self.run.payloads[start:stop]
        if None not in part:
            return range(start, stop)
        if unknown is not None:
            for index, payload in enumerate(part, self.first + start):
                if payload is None:
                    unknown.add(index, index)
        return [index for index, payload in enumerate(part, start) if payload is not None]

    def _let_go(self) -> None:
        """Keep no columns once nothing is left, unless more is to come."""
        if not self.left and self.queue.open_lease is not self:
            self.run = NOTHING

    def _clear(self, indexes: Sequence[int]) -> None:
        payloads = self.run.payloads
        for index in indexes:
            payloads[index] = None  # type: ignore[call-overload]


class Part:
    """Some messages of a block that have a deadline of their own: of these indexes, those that are due then."""

    __slots__ = ("_passed", "indexes", "lease")

    def __init__(self, lease: Lease, indexes: range) -> None:
        self.lease = lease
        self.indexes = indexes
        self._passed = 0  # that many were found settled or extended again, and are not looked at any more

    def is_pending(self, moment: int) -> bool:
        """Whether any of them has this deadline still."""
        lease, indexes = self.lease, self.indexes
        if not lease.left:
            return False
        while self._passed < len(indexes) and not lease.is_due(indexes[self._passed], moment):
            self._passed += 1
        return self._passed < len(indexes)

    def happen(self, moment: int) -> None:
        """They go back."""
        lease = self.lease
        lease.expire([each for each in self.indexes[self._passed :] if lease.is_due(each, moment)], moment)
