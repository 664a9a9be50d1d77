"""What of a queue is ready, and the order in which it is taken: priority 9 first, and the lowest sequence in it.

Fresh plain messages are in the lane; all others are in runs, in a heap for each priority, by their first sequence: what
came back, what was delayed, what has a priority or common properties. A take goes on in one place until
the other's head has a lower sequence. Runs of which nothing is left (their time is up) are passed over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace, merge
from itertools import count as counting
from itertools import islice

from quickpulse.queues.lane import Lane
from quickpulse.queues.runs import RUN_MESSAGES, Extras, Run, fitting

LEAST_SWEPT = 64
"""Empty runs in a heap; fewer are not worth a sweep."""


class Ready:
    """The ready messages of a queue.

    :ivar lane: fresh plain ones.
    :ivar in_runs: how many there are beside the lane.
    :ivar priorities: of the heaps, the highest first; those of which nothing is left may still be here.
    """

    __slots__ = ("_empty", "_heaps", "_last", "in_runs", "lane", "priorities")

    def __init__(self) -> None:
        self.lane = Lane()
        self.in_runs = 0
        self.priorities: list[int] = []
        self._heaps: dict[int, list[tuple[int, Run]]] = {}
        self._empty = 0  # runs in the heaps that were emptied there
        self._last: Run | None = None  # the last that was put

    def __len__(self) -> int:
        return len(self.lane.payloads) + self.in_runs

    def put(self, run: Run) -> bool:
        """Make a run ready. False: its messages were added to a run that is here already."""
        last = self._last
        self.in_runs += len(run.payloads)
        if last is not None and len(last.payloads) < RUN_MESSAGES and last.can_take_on(run):
            last.take_on(run)  # messages that come one by one need no run each
            return False
        heap = self._heaps.get(run.priority)
        if heap is None:
            heap = self._heaps[run.priority] = []
            self.priorities = sorted(self._heaps, reverse=True)
        heappush(heap, (run.sequences[0], run))
        self._last = run
        return True

    def take(self, count: int, room: int, extras: Extras) -> list[Run]:
        """Take out the first messages, at least one if there is any.

        :param count: at most so many.
        :param room: at most so many bytes of a frame, unless the first alone has more.
        """
        pieces: list[Run] = []
        while count > 0:
            piece = self._take_piece(count, room, extras)
            if piece is None and not pieces:
                piece = self._take_piece(1, 1 << 62, extras)
            if piece is None:
                break
            count -= len(piece.payloads)
            if count:
                room -= piece.framed(extras)
            if (
                pieces
                and len(pieces[-1].payloads) + len(piece.payloads) <= RUN_MESSAGES
                and pieces[-1].can_take_on(piece)
            ):
                pieces[-1].take_on(piece)  # what came back one by one is handed out together
            else:
                pieces.append(piece)
        return pieces

    def emptied(self, run: Run) -> Run:
        """Take out all of a run, wherever it stands in its heap."""
        taken = run.moved()
        self.in_runs -= len(taken.payloads)
        self._empty += 1
        if self._empty > LEAST_SWEPT and 2 * self._empty > sum(map(len, self._heaps.values())):
            for priority in list(self._heaps):
                heap = [entry for entry in self._heaps[priority] if entry[1].payloads]
                heapify(heap)
                self._heaps[priority] = heap
            self._empty = 0
        return taken

    def take_oldest(self, count: int, room: int, each_bytes: int, extras: Extras) -> Run | None:
        """Take out messages with the lowest sequences of all, whatever their priority: at least one if there is any.

        :param count: at most so many.
        :param room: only as far as they are within so many bytes.
        :param each_bytes: that a message counts for beside payload and texts; 0: nothing else counts.
        """
        heaps = [heap for heap in map(self._head, self.priorities) if heap is not None] if self.in_runs else []
        heap = min(heaps, key=lambda heap: heap[0][0], default=None)
        lane = self.lane
        if heap is None or (lane.payloads and lane.head < heap[0][0]):
            if not lane.payloads:
                return None
            count = min(count, heap[0][0] - lane.head) if heap is not None else count
            payloads = list(islice(lane.payloads, min(count, RUN_MESSAGES)))
            sequences: Sequence[int] = range(lane.head, lane.head + len(payloads))  # as far as there is no gap
            if extras or sum(map(len, payloads)) + len(payloads) * each_bytes > room:
                count = fitting(payloads, sequences, room, 0, each_bytes, extras)
            return lane.take(max(count, 1), 1 << 62, extras)
        others = [other[0][0] for other in heaps if other is not heap] + [entry[0] for entry in heap[1:3]]
        if lane.payloads:
            others.append(lane.head)
        run = heap[0][1]
        count = _before(run, count, min(others, default=1 << 62))
        if each_bytes:
            each_bytes += run.beside if isinstance(run.beside, int) else max(run.beside)
        if extras or run.size_bytes + len(run.payloads) * each_bytes > room:
            count = fitting(run.payloads[:count], run.sequences[:count], room, run.weight, each_bytes, extras)
        return self._cut(heap, max(count, 1), extras)

    def look(self, count: int) -> Iterator[Run]:
        """Copies of what is ready, in the order of taking, `count` messages or more; sizes are not told."""
        for priority in sorted({*self._heaps, 0}, reverse=True):
            runs = _by_first(self._heaps.get(priority, []))
            yield from _in_order(runs if priority else merge(runs, self.lane.look(count), key=_first))

    def runs(self) -> Iterator[Run]:
        """The runs in the heaps, in no order."""
        return (run for heap in self._heaps.values() for _, run in heap if run.payloads)

    def clear(self) -> None:
        """Forget all messages."""
        for run in self.runs():
            run.moved()
        self.lane.clear()
        self._heaps.clear()
        self.priorities = []
        self.in_runs = self._empty = 0
        self._last = None

    @property
    def oldest_at(self) -> int | None:
        """When the oldest was accepted: of the first of each priority, the earliest."""
        if not self.in_runs:
            return self.lane.oldest_at if self.lane.payloads else None
        moments = [self.lane.oldest_at] if self.lane.payloads else []
        for priority in self.priorities:
            heap = self._head(priority)
            if heap is not None:
                moments.append(heap[0][1].accepted_each()[0])
        return min(moments, default=None)

    def _head(self, priority: int) -> list[tuple[int, Run]] | None:
        """The heap of this priority, with something at its head; None: it has nothing."""
        heap = self._heaps[priority]
        while heap and not heap[0][1].payloads:
            heappop(heap)
            self._empty -= 1
        return heap or None

    def _take_piece(self, count: int, room: int, extras: Extras) -> Run | None:
        lane = self.lane
        if not self.in_runs:
            return lane.take(count, room, extras) if lane.payloads else None
        for priority in self.priorities:
            heap = self._head(priority)
            if priority == 0 and heap is not None and lane.payloads and lane.head < heap[0][0]:
                return lane.take(min(count, heap[0][0] - lane.head), room, extras)
            if heap is not None:
                return self._take_run(heap, count, room, extras)
            if priority == 0:
                break
        return lane.take(count, room, extras) if lane.payloads else None

    def _take_run(self, heap: list[tuple[int, Run]], count: int, room: int, extras: Extras) -> Run | None:
        """From the run at the head of `heap`, as far as no other has a lower sequence."""
        run = heap[0][1]
        next_sequence = min((entry[0] for entry in heap[1:3]), default=1 << 62)
        if run.priority == 0 and self.lane.payloads:
            next_sequence = min(next_sequence, self.lane.head)
        count = _before(run, count, next_sequence)
        framing = run.framing
        if extras or run.size_bytes + len(run.payloads) * framing > room:
            count = fitting(run.payloads[:count], run.sequences[:count], room, run.weight, framing, extras)
        return self._cut(heap, count, extras) if count else None

    def _cut(self, heap: list[tuple[int, Run]], count: int, extras: Extras) -> Run:
        run = heap[0][1]
        piece = run.cut(count, extras)
        self.in_runs -= count
        if run.payloads:
            heapreplace(heap, (run.sequences[0], run))
        else:
            heappop(heap)
        return piece


def _before(run: Run, count: int, sequence: int) -> int:
    """How many of the first `count` messages of a run come before that sequence."""
    count = min(count, len(run.payloads))
    return count if run.sequences[count - 1] <= sequence else bisect_left(run.sequences, sequence, 0, count)


def _first(run: Run) -> int:
    return run.sequences[0]


def _by_first(heap: list[tuple[int, Run]]) -> Iterator[Run]:
    """The runs of a heap by their first sequences, found as they are asked for: a look need not sort them all."""
    next_places = [(heap[0][0], 0)] if heap else []
    while next_places:
        _, place = heappop(next_places)
        if heap[place][1].payloads:
            yield heap[place][1]
        for below in (2 * place + 1, 2 * place + 2):
            if below < len(heap):
                heappush(next_places, (heap[below][0], below))


def _in_order(runs: Iterator[Run]) -> Iterator[Run]:
    """Copies of runs that come by their first sequences, cut so that all sequences rise."""
    rest: list[tuple[int, int, Run]] = []
    coming = next(runs, None)
    for serial in counting():
        while coming is not None and (not rest or _first(coming) < rest[0][0]):
            heappush(rest, (_first(coming), serial, coming))
            coming = next(runs, None)
        if not rest:
            return
        _, _, run = heappop(rest)
        bound = min(rest[0][0] if rest else 1 << 62, _first(coming) if coming is not None else 1 << 62)
        stop = bisect_left(run.sequences, bound)
        yield run.slice(0, stop, {})
        if stop < len(run.payloads):
            tail = run.slice(stop, len(run.payloads), {})
            heappush(rest, (_first(tail), serial, tail))
