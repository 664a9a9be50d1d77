"""What is leased to this client, and what its user has said of it until that is sent. Any thread may say it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from quickpulse.client.errors import ClientClosed
from quickpulse.errors import InvalidArgument, QuickPulseError
from quickpulse.requests import Action, Deliveries, Range, Settle

MOST_RECEIPTS = 100_000
"""That a request may speak of."""

_OPEN, _SETTLED, _LOST = 0, 1, 2


class Acks(deque[int]):
    """Receipts that are done, of one queue.

    :ivar is_known: whether they are going to be taken.
    """

    __slots__ = ("is_known", "queue")

    def __init__(self, queue: str) -> None:
        super().__init__()
        self.queue = queue
        self.is_known = False


class Leased:
    """Messages that were delivered together, and which of them are not settled.

    :param deliveries: they.
    :param settling: where is said what became of them.
    """

    __slots__ = ("__weakref__", "_flags", "acks", "deliveries", "longer_ms", "settling")

    def __init__(self, deliveries: Deliveries, settling: Settling) -> None:
        self.deliveries = deliveries
        self.settling = settling
        self.acks = settling.acks_of(deliveries.queue)
        self.longer_ms = 0
        """The longest time that its user has asked for, of any of them, since the session has looked."""
        # A message that was taken has no receipt: there is nothing to be said of it.
        initial = _OPEN if deliveries.first_receipt else _SETTLED
        self._flags = bytearray([initial]) * len(deliveries.batch.payloads)

    def ack(self, index: int) -> None:
        """One is done; the quickest way of all.

        :raises InvalidArgument: it is not leased.
        """
        if self._flags[index] and self._flags[index] != _LOST:  # of what is known to be lost, the reply is counted
            self.require_leased()
            return
        self._flags[index] = _SETTLED
        acks = self.acks
        acks.append(self.deliveries.first_receipt + index)
        if not acks.is_known:
            self.settling.know(acks)

    def is_settled(self, index: int) -> bool:
        """Whether it was said of one what became of it, or it never was leased."""
        return self._flags[index] == _SETTLED

    def require_leased(self) -> None:
        """Raise InvalidArgument if there is nothing to be said of any of them."""
        if not self.deliveries.first_receipt:
            raise InvalidArgument("these messages are not leased, as after peek: get, pull or subscribe lease them")

    def say_lost(self, first: int, last: int) -> None:
        """From index to index, both included, what is known to be lost is said all the same: the reply is counted."""
        self._flags[first : last + 1] = self._flags[first : last + 1].replace(bytes([_LOST]), bytes([_OPEN]))

    def claim(self, first: int, last: int, *, stays_open: bool = False) -> list[Range]:
        """Receipts of those from index `first` to `last` that are not settled; from now on they are, unless they stay.

        Both ends are included.
        """
        flags, found = self._flags, []
        at = flags.find(_OPEN, first, last + 1)
        while at >= 0:
            ends = (flags.find(_SETTLED, at, last + 1), flags.find(_LOST, at, last + 1))
            end = min((end for end in ends if end >= 0), default=last + 1)
            found.append((self.deliveries.first_receipt + at, self.deliveries.first_receipt + end - 1))
            if not stays_open:
                flags[at:end] = bytes([_SETTLED]) * (end - at)
            at = flags.find(_OPEN, end, last + 1)
        return found

    @property
    def is_open(self) -> bool:
        """Whether any of them is not settled."""
        return _OPEN in self._flags

    @property
    def open_ranges(self) -> list[Range]:
        """Receipts of all that are not settled."""
        return self.claim(0, len(self._flags) - 1, stays_open=True)

    def count_lost(self, first: int, last: int) -> int:
        """Of those from index to index, both included, how many the server had taken back before they were settled."""
        return self._flags.count(_LOST, first, last + 1)

    def lost(self, ranges: Iterable[Range]) -> None:
        """The server does not know these receipts any more."""
        start, end = self.deliveries.first_receipt, self.deliveries.first_receipt + len(self._flags)
        for first, last in ranges:
            for receipt in range(max(first, start), min(last + 1, end)):
                if not self._flags[receipt - start]:
                    self._flags[receipt - start] = _LOST


_settlings: WeakSet[Settling] = WeakSet()


def _forked() -> None:
    """In a child process nobody sends what is said of messages that its parent has leased."""
    for settling in _settlings:
        settling.close(ClientClosed("this was leased before the process was forked; confirm=True settles it"))
        settling.take()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Settling:
    """What was said, in the order in which it was.

    :param awake: called when there is something to send, after there was nothing; by any thread.
    """

    def __init__(self, awake: Callable[[], None]) -> None:
        self._awake = awake
        self._closed: QuickPulseError | None = None
        _settlings.add(self)
        self.is_awake = False
        # Threads only append, so that nothing is lost between them and the one that sends.
        self._acks: WeakValueDictionary[str, Acks] = WeakValueDictionary()  # as long as somebody may ack
        self._last = Acks("")  # that was asked for
        self._known: deque[Acks] = deque()  # those in which something is
        self._others: deque[tuple[Any, ...]] = deque()

    def close(self, reason: QuickPulseError) -> None:
        """From now on whoever says something is told why it is in vain; what was said before can be taken."""
        self._closed = reason

    def acks_of(self, queue: str) -> Acks:
        """Where receipts of this queue are put that are done."""
        acks = self._last
        if acks.queue != queue:
            known = self._acks.get(queue)
            acks = self._last = self._acks.setdefault(queue, Acks(queue)) if known is None else known
        return acks

    @property
    def queues(self) -> int:
        """Of how many something is leased."""
        return len(self._acks)

    def know(self, acks: Acks) -> None:
        """There is something in them.

        :raises QuickPulseError: it will not be sent.
        """
        if self._closed is not None:
            raise self._closed
        acks.is_known = True
        self._known.append(acks)
        if not self.is_awake:
            self._awake_now()

    def add(self, queue: str, ranges: list[Range], action: Action, **how: Any) -> None:
        """Say it of many.

        :raises QuickPulseError: it will not be sent; what would be put back comes again anyway.
        """
        if self._closed is not None:
            if action is Action.RELEASE:
                return
            raise self._closed
        self._others.append((queue, ranges, action, how))
        if not self.is_awake:
            self._awake_now()

    def _awake_now(self) -> None:
        self.is_awake = True
        self._awake()

    def take(self) -> list[Settle]:
        """All that was said, as requests; it is handed out once. What is extended is extended before it is settled."""
        self.is_awake = False  # before anything is read, so that what comes meanwhile wakes again
        extended: list[Settle] = []
        requests: list[Settle] = []
        for _ in range(len(self._known)):
            acks = self._known.popleft()
            acks.is_known = False
            receipts = sorted([acks.popleft() for _ in range(len(acks))])
            requests += settles(acks.queue, ranges_of(receipts), Action.ACK)
        for _ in range(len(self._others)):
            queue, ranges, action, how = self._others.popleft()
            said = extended if action is Action.EXTEND else requests
            said += settles(queue, ranges, action, **how)
        return extended + requests if extended else requests


def count_of(ranges: Iterable[Range]) -> int:
    """How many receipts are in these ranges."""
    return sum(last - first + 1 for first, last in ranges)


def ranges_of(receipts: list[int]) -> list[Range]:
    """Sorted numbers as ranges."""
    if not receipts:
        return []
    ranges, first, last = [], receipts[0], receipts[0]
    if receipts[-1] - first == len(receipts) - 1:
        return [(first, receipts[-1])]
    for receipt in receipts:
        if receipt > last + 1:
            ranges.append((first, last))
            first = receipt
        last = receipt
    ranges.append((first, last))
    return ranges


def settles(queue: str, ranges: list[Range], action: Action, **how: Any) -> list[Settle]:
    """Requests for these ranges, none of which speaks of too many receipts."""
    requests: list[Settle] = []
    part: list[Range] = []
    room = MOST_RECEIPTS
    for first, last in ranges:
        while first <= last:
            end = min(last, first + room - 1)
            part.append((first, end))
            room -= end - first + 1
            first = end + 1
            if not room:
                requests.append(Settle(queue, part, action, **how))
                part, room = [], MOST_RECEIPTS
    if part:
        requests.append(Settle(queue, part, action, **how))
    return requests
