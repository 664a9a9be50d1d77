"""All leases of a server, found by receipt.

Receipts rise and are never reused, so that the index of the blocks is a list that only grows at its end, and bisection
finds a block. Blocks of which nothing is left stay in it until they may be half of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from quickpulse.queues.lease import OPEN_RECEIPTS, SMALL_PULL, Lease, Unknown
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.runs import Run

LEAST_SWEPT = 64
"""An index below this is not worth a sweep."""


class Leases:
    """Who holds what.

    :param next_receipt: the first that is given out.
    """

    __slots__ = ("_blocks", "_ended", "_firsts", "_held_by", "_sweep_at", "next_receipt")

    def __init__(self, next_receipt: int) -> None:
        self.next_receipt = next_receipt
        self._blocks: list[Lease] = []
        self._firsts: list[int] = []
        self._held_by: dict[object, list[Lease]] = {}
        self._sweep_at = LEAST_SWEPT
        self._ended = 0  # blocks of queues that are gone, since the last sweep

    def grant(self, queue: NamedQueue, pieces: Sequence[Run], deadline: int, holder: object = None) -> int:
        """Lease what was taken until `deadline`; the receipt of the first message, the others follow."""
        first = self.next_receipt
        for run in pieces:
            queue.lease(run)
        if len(pieces) == 1 and len(pieces[0].payloads) <= SMALL_PULL:
            block = queue.open_lease
            if block is not None and block.can_take_on(pieces[0], deadline, holder):
                return block.take_on(pieces[0], deadline)
            queue.open_lease = self._add(queue, pieces[0], OPEN_RECEIPTS, deadline, holder)
            return first
        for run in pieces:
            self._add(queue, run, len(run.payloads), deadline, holder)
        return first

    def find(self, queue: NamedQueue, first: int, last: int, unknown: Unknown) -> Iterator[tuple[Lease, int, int]]:
        """Each block of `queue` with receipts from `first` to `last`, and the part of it: from index up to index.

        Receipts of no such block are noted in `unknown`, in their turn.
        """
        firsts, blocks = self._firsts, self._blocks
        at = max(bisect_right(firsts, first) - 1, 0)
        while first <= last and at < len(firsts) and firsts[at] <= last:
            block = blocks[at]
            begin, stop = firsts[at], min(firsts[at] + len(block.run.payloads), last + 1)
            at += 1
            if stop > first and block.left and block.queue is queue:
                start = max(first, begin)
                unknown.add(first, start - 1)
                yield block, start - begin, stop - begin
                first = stop
        unknown.add(first, last)

    def give_back(self, holder: object, now_ms: int) -> int:
        """A holder is gone: what it holds goes back at once, and counts as delivered; how many that are."""
        messages = 0
        for block in self._held_by.pop(holder, ()):
            queue = block.queue
            if queue.open_lease is block:
                queue.open_lease = None
            run = block.take_out(0, len(block.run.payloads), Unknown()) if block.left else None
            if run is not None:
                messages += len(run.payloads)
                queue.counts.released += len(run.payloads)
                queue.fail(run, 0, now_ms)
        return messages

    def holds(self, holder: object) -> bool:
        """Whether it holds anything."""
        return any(block.left for block in self._held_by.get(holder, ()))

    def forget(self, queue: NamedQueue) -> None:
        """A queue is gone, and all that was leased of it. It costs what that is."""
        queue.open_lease = None
        for block in queue.blocks:
            block.end()
        self._ended += len(queue.blocks)
        queue.blocks = []
        if 2 * self._ended > len(self._blocks):
            self._sweep()

    def _add(self, queue: NamedQueue, run: Run, room: int, deadline: int, holder: object) -> Lease:
        block = Lease(queue, run, self.next_receipt, room, deadline, holder)
        if holder is not None:
            self._held_by.setdefault(holder, []).append(block)
        queue.blocks.append(block)
        if len(queue.blocks) > queue.most_blocks:
            queue.blocks = [each for each in queue.blocks if each.left or queue.open_lease is each]
            queue.most_blocks = 2 * len(queue.blocks) + LEAST_SWEPT
        self._blocks.append(block)
        self._firsts.append(self.next_receipt)
        self.next_receipt += room
        if len(self._blocks) > self._sweep_at:
            self._sweep()
        return block

    def _sweep(self) -> None:
        last = self._blocks[-1] if self._blocks else None  # it may be about to become the open one
        self._blocks = [
            block for block in self._blocks if block.left or block.queue.open_lease is block or block is last
        ]
        self._firsts = [block.first for block in self._blocks]
        for holder, blocks in list(self._held_by.items()):
            kept = [block for block in blocks if block.left or block.queue.open_lease is block or block is last]
            if kept:
                self._held_by[holder] = kept
            else:
                del self._held_by[holder]
        self._sweep_at = 2 * len(self._blocks) + LEAST_SWEPT
        self._ended = 0
