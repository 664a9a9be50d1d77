"""What is told of all queues to who watches them: each by its name, as long as they are few, and the rest as one.

A name of its own costs who reads it, for as long as he keeps what he read; so `MOST_NAMED` names have a place, and a
queue without one is counted among `OTHER`. The rules:

- Places are given when readings are taken, to the queues that were made first.
- A name keeps its place, and its counts go on, when its queue is forgotten and made anew.
- The place of a queue that is gone since `GONE_MS` goes to another when there is one without.

As long as a name has its place, none of its counts goes down, and `OTHER` has its place for ever. Each thing that
happened is counted at one name: a queue that gets a place late starts there from 0, because what it did before is
counted at `OTHER`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from quickpulse.errors import BatchRejected, InvalidArgument, MessageTooLarge, QueueFull, QueuePaused, ServerFull
from quickpulse.interfaces import QueueReading
from quickpulse.queues.counts import Counts
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import dead_name

MOST_NAMED = 200
"""Names with a place."""

GONE_MS = 3_600_000
"""How long a place is kept for a queue that is gone: names that come and go take at most 200 in an hour."""

OTHER = "$other"
"""All queues without a place; no queue can be called so."""

REASONS = tuple(
    each.code for each in (BatchRejected, InvalidArgument, MessageTooLarge, QueueFull, QueuePaused, ServerFull)
)
"""Why a message is rejected; each is told from the start, with 0."""

_ADDED = {name: attrgetter(name) for name in Counts.__slots__ if name != "rejected"}
_PREFIX = "rejected:"
_NONE_REJECTED = {_PREFIX + code: 0 for code in REASONS}


class Place:
    """Of one name.

    :ivar before: counted at it before its queue of now was made; or, negative, elsewhere before it had a place.
    :ivar gone_at: since when it has no queue; None: it has one.
    """

    __slots__ = ("before", "gone_at")

    def __init__(self) -> None:
        self.before: Counter[str] = Counter()
        self.gone_at: int | None = None


class Readings:
    """The readings of a server's queues.

    :param queues: all of them by name, in the order in which they were made.
    """

    def __init__(self, queues: Mapping[str, NamedQueue]) -> None:
        self._queues = queues
        self._places: dict[str, Place] = {}
        self._others: set[NamedQueue] = set()  # which were read as a part of OTHER
        self._before: Counter[str] = Counter()  # counted at OTHER, beside what its queues of now have

    def removed(self, queue: NamedQueue) -> None:
        """A queue is gone; to be called when all is counted that is thrown away with it."""
        place = self._places.get(queue.name)
        before = self._before if place is None else place.before
        before.update(queue.counts.as_dict(queue.published))
        self._others.discard(queue)

    def take(self, waiters: Mapping[str, int], now_ms: int) -> list[QueueReading]:
        """A reading for each name with a place, and the last for all others.

        :param waiters: how many wait for messages, by queue; who is not in it has none.
        """
        self._give_places(now_ms)
        readings = []
        for name, place in self._places.items():
            queue = self._queues.get(name)
            if queue is None:
                readings.append(_reading(name, (), place.before, 0, 0, now_ms))
            else:
                dead = self._queues.get(_dead_letter_queue(queue), ())
                readings.append(_reading(name, (queue,), place.before, len(dead), waiters.get(name, 0), now_ms))
        rest = [queue for name, queue in self._queues.items() if name not in self._places]
        self._others = set(rest)
        waiting = sum(count for name, count in waiters.items() if name not in self._places)
        readings.append(_reading(OTHER, rest, self._before, self._dead_letters(rest), waiting, now_ms))
        return readings

    def _give_places(self, now_ms: int) -> None:
        places, queues = self._places, self._queues
        for name, place in places.items():
            if name in queues:
                place.gone_at = None
            elif place.gone_at is None:
                place.gone_at = now_ms
        wanting = [queue for name, queue in queues.items() if name not in places]
        self._take_back(len(wanting) - (MOST_NAMED - len(places)), now_ms)
        for queue in wanting[: MOST_NAMED - len(places)]:
            place = places[queue.name] = Place()
            if queue in self._others:
                counted = queue.counts.as_dict(queue.published)
                place.before.subtract(counted)
                self._before.update(counted)

    def _take_back(self, count: int, now_ms: int) -> None:
        """So many places are wanting: take them from those whose queues are gone the longest, if that is long."""
        if count > 0:
            gone = [(place.gone_at, name) for name, place in self._places.items() if place.gone_at is not None]
            for gone_at, name in sorted(gone)[:count]:
                if now_ms - gone_at >= GONE_MS:
                    del self._places[name]

    def _dead_letters(self, queues: Sequence[NamedQueue]) -> int:
        """What lies in the dead-letter queues of these, each counted once."""
        if not any(queue.is_dead_letters for queue in self._queues.values()):
            return 0
        names = set(map(_dead_letter_queue, queues))
        return sum(len(self._queues[name]) for name in names if name in self._queues)


def _dead_letter_queue(queue: NamedQueue) -> str:
    """The name of where its dead letters go; "": nowhere."""
    name = queue.policy.dead_letter_queue or dead_name(queue.name)
    return name if queue.has_dead_letters else ""


def _reading(
    name: str, queues: Sequence[NamedQueue], before: Counter[str], dead_letters: int, waiters: int, now_ms: int
) -> QueueReading:
    """Of these queues together."""
    counted = queues[0].counts.as_dict(queues[0].published) if len(queues) == 1 else _counted(queues)
    totals = _NONE_REJECTED | counted
    for key, count in before.items():
        totals[key] = totals.get(key, 0) + count
    rejected = {key.removeprefix(_PREFIX): totals.pop(key) for key in list(totals) if key.startswith(_PREFIX)}
    leased = sum(queue.leased for queue in queues)
    return QueueReading(
        name=name,
        queues=len(queues),
        ready=sum(len(queue.lane.payloads) + queue.ready.in_runs for queue in queues),
        leased=leased,
        delayed=sum(queue.held for queue in queues) - leased,
        dead_letters=dead_letters,
        size_bytes=sum(queue.size_bytes for queue in queues),
        oldest_ms=max(now_ms - _oldest_at(queues, now_ms), 0),
        waiters=waiters,
        counts=totals,
        rejected=rejected,
    )


def _oldest_at(queues: Iterable[NamedQueue], now_ms: int) -> int:
    """When the oldest ready message of all was accepted; `now_ms` where there is none."""
    moments = [queue.ready.oldest_at for queue in queues]
    return min([moment for moment in moments if moment is not None], default=now_ms)


def _counted(queues: Sequence[NamedQueue]) -> dict[str, int]:
    """What they counted together, summed name by name and not queue by queue: there may be thousands."""
    counts = [queue.counts for queue in queues]
    total = Counts()
    for name, read in _ADDED.items():
        setattr(total, name, sum(map(read, counts)))
    for each in counts:
        if each.rejected:
            for code, count in each.rejected.items():
                total.reject(code, count)
    return total.as_dict(sum(queue.lane.stored - queue.buried for queue in queues))
