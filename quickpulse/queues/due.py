"""What becomes due of messages that wait in a queue: their delay is over, or their time to live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quickpulse.queues.runs import Run

if TYPE_CHECKING:
    from quickpulse.queues.named import NamedQueue


class Coming:
    """A delayed run becomes ready."""

    __slots__ = ("queue", "run")

    def __init__(self, queue: NamedQueue, run: Run) -> None:
        self.queue = queue
        self.run = run

    def is_pending(self, moment: int) -> bool:
        """Unless it was purged, or its time was up."""
        return bool(self.run.payloads)

    def happen(self, moment: int) -> None:
        """To its place."""
        self.queue.make_ready(self.queue.undelay(self.run))


class Voiding:
    """The time of a run is up."""

    __slots__ = ("queue", "run")

    def __init__(self, queue: NamedQueue, run: Run) -> None:
        self.queue = queue
        self.run = run

    def is_pending(self, moment: int) -> bool:
        """As long as there is something in it, ready or delayed: what is taken is in another run."""
        return bool(self.run.payloads)

    def happen(self, moment: int) -> None:
        """Wherever it is."""
        queue, run = self.queue, self.run
        queue.void(queue.undelay(run) if run in queue.delayed else queue.ready.emptied(run), moment)
