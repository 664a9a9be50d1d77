"""The queues of a server by name: making one, forgetting one that nobody uses, and where dead letters go."""

from __future__ import annotations

from collections.abc import Iterable

from quickpulse.errors import NotFound, TooManyQueues
from quickpulse.queues.agenda import IDLE, Agenda
from quickpulse.queues.leases import Leases
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import DEFAULT_QUEUE, Limits, dead_name, require_name
from quickpulse.queues.readings import Readings
from quickpulse.queues.runs import RUN_MESSAGES, Extra, Run
from quickpulse.queues.usage import Usage
from quickpulse.requests import DeadLetter, Policy


class Directory:
    """All queues.

    :ivar woken: queues whose watchers are to be told at the end of the broker's call.
    """

    __slots__ = ("agenda", "defaults", "leases", "limits", "queues", "readings", "usage", "woken")

    def __init__(self, limits: Limits, defaults: Policy, leases: Leases) -> None:
        self.limits = limits
        self.defaults = defaults
        self.leases = leases
        self.agenda = Agenda()
        self.usage = Usage(limits.total_bytes)
        self.queues: dict[str, NamedQueue] = {}
        self.readings = Readings(self.queues)
        self.woken: dict[NamedQueue, None] = {}

    def get(self, name: str) -> NamedQueue:
        """A queue that is there.

        :raises NotFound: it is not.
        """
        queue = self.queues.get(name)
        if queue is None:
            require_name(name)
            raise NotFound(f"there is no queue {name}")
        return queue

    def open(self, name: str, now_ms: int) -> NamedQueue:
        """A queue, made on need.

        :raises InvalidArgument: no queue may be called so.
        :raises TooManyQueues: it would be one too many.
        """
        queue = self.queues.get(name)
        if queue is None:
            require_name(name)
            self.require_place(name)
            queue = self.make(name, now_ms)
        return queue

    def require_names(self, names: Iterable[str]) -> None:
        """Raise InvalidArgument where one of them is none, before any queue is made."""
        for name in names:
            if name not in self.queues:
                require_name(name)

    def require_place(self, name: str) -> None:
        """Raise TooManyQueues where a queue is not there and would be one too many."""
        if name not in self.queues and len(self.queues) >= self.limits.max_queues and name != DEFAULT_QUEUE:
            raise TooManyQueues(self.limits.max_queues)

    def remove(self, queue: NamedQueue) -> int:
        """Forget a queue with all that is in it; how many messages that were."""
        count = len(queue)
        if queue.leased:
            self.leases.forget(queue)
        queue.open_lease = None
        queue.purge()
        queue.counts.purged += queue.leased
        self.readings.removed(queue)
        queue.account(-queue.leased, -queue.size_bytes)
        queue.charge(-queue.beside)
        queue.held = queue.held_bytes = queue.leased = 0
        queue.extras.clear()
        queue.keys.clear()
        queue.watchers.clear()
        queue.is_gone = queue.is_slow = True
        del self.queues[queue.name]
        return count

    def dead_letter_queue(self, queue: NamedQueue, now_ms: int) -> NamedQueue:
        """Where its dead letters go, made on need: also where it is one queue too many, for nothing is lost."""
        name = queue.policy.dead_letter_queue or dead_name(queue.name)
        target = self.queues.get(name)
        if target is None:
            target = self.make(name, now_ms)
        target.is_dead_letters = True
        return target

    def bury(self, queue: NamedQueue, run: Run, reason: str, moment: int) -> None:
        """Put dead letters of `queue` into its dead-letter queue, whatever its bounds are.

        They begin anew there: accepted now, never delivered, without delay and time to live.
        """
        target = self.dead_letter_queue(queue, moment)
        letter = DeadLetter(queue.name, reason, run.deliveries)
        for start in range(0, len(run.payloads), RUN_MESSAGES):
            part = run.slice(start, start + RUN_MESSAGES, queue.extras)
            sequences = target.lane.skip(len(part.payloads))
            for old, new in zip(part.sequences, sequences, strict=True):
                extra = queue.extras.get(old)
                target.keep(
                    new,
                    Extra(None, run.weight, letter) if extra is None else Extra(extra.properties, extra.weight, letter),
                )
            dead = part.like(part.payloads, sequences, moment, part.size_bytes, part.beside)
            dead.deliveries = dead.expires_at = 0
            target.charge(dead.beside_bytes)
            target.admit(dead, 0, moment)
        target.buried += len(run.payloads)
        target.touched = moment

    def make(self, name: str, now_ms: int) -> NamedQueue:
        """A new queue, whatever the limit."""
        queue = NamedQueue(name, self.defaults, self.agenda, self.usage, self.woken, self.bury)
        queue.touched = now_ms
        self.queues[name] = queue
        if name != DEFAULT_QUEUE:
            idle_ms: int = queue.policy.idle_expiry_ms  # type: ignore[assignment]
            self.agenda.add(now_ms + idle_ms, IDLE, 0, Idle(self, queue))
        return queue


class Idle:
    """A queue without a policy of its own is looked at: it may be that nobody uses it.

    One that is paused stays, because the pause would be lost with it; and one that remembers keys, because a repeat
    would be stored.
    """

    __slots__ = ("directory", "queue")

    def __init__(self, directory: Directory, queue: NamedQueue) -> None:
        self.directory = directory
        self.queue = queue

    def is_pending(self, moment: int) -> bool:
        """Until it is gone, or has a policy."""
        return not self.queue.is_gone and self.queue.own_policy is None

    def happen(self, moment: int) -> None:
        """Forget it, or look again when it may be so far."""
        queue = self.queue
        idle_ms: int = queue.policy.idle_expiry_ms  # type: ignore[assignment]
        is_used = (
            len(queue) or queue.watchers or queue.own_policy is not None or queue.is_paused or queue.is_publish_paused
        )
        since = moment if is_used else queue.touched
        at = since + idle_ms
        newest = queue.keys.newest_at
        if newest is not None:
            at = max(at, newest + queue.keys.window_ms)
        if at <= moment:
            self.directory.remove(queue)
        else:
            queue.agenda.add(at, IDLE, 0, self)
