"""One named queue: where its messages are, how many there are, and every way in, back and out.

Who asks, in what words, is known elsewhere; so is where dead letters go. Belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quickpulse.queues.agenda import DUE, VOID, Agenda
from quickpulse.queues.counts import Counts
from quickpulse.queues.dedup import Keys
from quickpulse.queues.due import Coming, Voiding
from quickpulse.queues.ready import Ready
from quickpulse.queues.runs import Extra, Run
from quickpulse.queues.usage import Usage
from quickpulse.requests import Overflow, Policy

if TYPE_CHECKING:
    from quickpulse.queues.lease import Lease

MESSAGE_BYTES = 64
"""What a message takes of `total_bytes` beside its own bytes: the object's head and its places in the columns."""

REASON_DELIVERIES = "max_deliveries"
REASON_TIME = "time_to_live"


class NamedQueue:
    """The messages of one queue.

    :ivar policy: in force; nothing in it is None.
    :ivar own_policy: as it was set; None: it was not.
    :ivar held: messages that are leased or delayed, so neither ready nor gone.
    :ivar held_bytes: their size.
    :ivar size_bytes: of all messages, payloads and properties.
    :ivar beside: bytes of memory that count for the server only: what is kept of messages beside payloads and texts.
    :ivar extras: what single messages have, by sequence.
    :ivar blocks: what is leased of it, with some that are at their end; more than `most_blocks` are swept.
    :ivar buried: dead letters of others that came in.
    :ivar touched: when it was last asked for anything, or became empty.
    :ivar is_slow: v0's short ways do not hold: something is here that they do not look at.
    :ivar on_dead: given a run of dead letters with the reason and the moment; puts them where they belong.
    """

    __slots__ = (
        "agenda",
        "beside",
        "blocks",
        "buried",
        "capacity",
        "capacity_bytes",
        "counts",
        "delayed",
        "extras",
        "held",
        "held_bytes",
        "is_dead_letters",
        "is_gone",
        "is_paused",
        "is_publish_paused",
        "is_slow",
        "keys",
        "lane",
        "leased",
        "max_deliveries",
        "most_blocks",
        "name",
        "on_dead",
        "open_lease",
        "own_policy",
        "policy",
        "ready",
        "size_bytes",
        "touched",
        "usage",
        "watchers",
        "woken",
    )

    def __init__(
        self,
        name: str,
        policy: Policy,
        agenda: Agenda,
        usage: Usage,
        woken: dict[NamedQueue, None],
        on_dead: Callable[[NamedQueue, Run, str, int], None],
    ) -> None:
        self.name = name
        self.agenda = agenda
        self.usage = usage
        self.woken = woken
        self.on_dead = on_dead
        self.counts = Counts()
        self.ready = Ready()
        self.lane = self.ready.lane
        self.delayed: set[Run] = set()
        self.extras: dict[int, Extra] = {}
        self.keys = Keys(agenda, usage)
        self.watchers: list[Callable[[], None]] = []
        self.open_lease: Lease | None = None
        self.blocks: list[Lease] = []
        self.most_blocks = 0
        self.held = self.held_bytes = self.size_bytes = self.leased = self.buried = self.touched = self.beside = 0
        self.is_paused = self.is_publish_paused = self.is_dead_letters = self.is_gone = self.is_slow = False
        self.own_policy: Policy | None = None
        self.apply(policy)

    def __len__(self) -> int:
        return len(self.ready) + self.held

    def apply(self, policy: Policy) -> None:
        """Behave so from now on. What is here already stays, if it is more than the bounds allow now."""
        self.policy = policy
        self.capacity: int = policy.capacity  # type: ignore[assignment]  # nothing in it is None
        self.capacity_bytes: int = policy.capacity_bytes  # type: ignore[assignment]
        self.keys.window_ms = policy.dedup_window_ms  # type: ignore[assignment]
        self.review()

    def review(self) -> None:
        """Look again whether v0's short ways hold."""
        self.is_slow = bool(
            self.is_gone
            or self.ready.in_runs
            or self.lane.gaps
            or self.extras
            or self.watchers
            or self.is_paused
            or self.is_publish_paused
            or self.policy.overflow is Overflow.DROP_OLDEST
        )

    @property
    def published(self) -> int:
        """Messages that were published to it: each got a sequence, as did dead letters of others."""
        return self.lane.stored - self.buried

    @property
    def has_dead_letters(self) -> bool:
        """Whether there is a queue for them: not for those of a dead-letter queue, unless its policy says where."""
        if self.policy.dead_letter_queue == self.name:  # the server's policy names one queue for all
            return False
        return not self.is_dead_letters or bool(self.own_policy and self.own_policy.dead_letter_queue)

    @property
    def keeps_void(self) -> bool:
        """Whether a message is a dead letter when its time is up: where the policy speaks of dead letters at all."""
        return self.has_dead_letters and bool(self.policy.max_deliveries or self.policy.dead_letter_queue)

    # ---- in ----

    def store(self, payloads: Sequence[bytes], size_bytes: int, now_ms: int) -> int:
        """Put plain messages behind all others; the sequence of the first."""
        first = self.lane.stored + 1
        self.lane.put(payloads, now_ms)
        self.account(len(payloads), size_bytes)
        if self.watchers:
            self.wake()
        return first

    def admit(self, run: Run, delay_ms: int, now_ms: int) -> None:
        """Put a run in whose sequences are of `lane.skip`."""
        self.is_slow = True
        self.account(len(run.payloads), run.size_bytes)
        if delay_ms:
            self.delay(run, now_ms + delay_ms)
        else:
            self.make_ready(run)

    def account(self, count: int, size_bytes: int) -> None:
        """So much came in; negative: it left for good."""
        self.size_bytes += size_bytes
        self.usage.used += size_bytes + count * MESSAGE_BYTES

    def charge(self, beside: int) -> None:
        """So much is kept beside what came in; negative: not any more."""
        self.beside += beside
        self.usage.used += beside

    def keep(self, sequence: int, extra: Extra) -> None:
        """Keep what a single message has, and count it."""
        self.extras[sequence] = extra
        self.charge(extra.beside)

    def wake(self) -> None:
        """Who watches is told at the end of the broker's call."""
        if self.watchers and not self.is_paused:
            self.woken[self] = None

    # ---- between ready and delayed ----

    def make_ready(self, run: Run) -> None:
        """Put a run at its place."""
        self.is_slow = True
        if self.ready.put(run) and run.expires_at:
            self.agenda.add(run.expires_at, VOID, run.sequences[0], Voiding(self, run))
        self.wake()

    def delay(self, run: Run, due_at: int) -> None:
        """Keep a run until then."""
        self.delayed.add(run)
        self.held += len(run.payloads)
        self.held_bytes += run.size_bytes
        self.agenda.add(due_at, DUE, run.sequences[0], Coming(self, run))
        if run.expires_at:
            self.agenda.add(run.expires_at, VOID, run.sequences[0], Voiding(self, run))

    def undelay(self, run: Run) -> Run:
        """Take a run out of those that are delayed."""
        self.delayed.remove(run)
        self.held -= len(run.payloads)
        self.held_bytes -= run.size_bytes
        return run.moved()

    # ---- out ----

    def lease(self, run: Run) -> None:
        """A run that was taken is leased: counted as delivered once more."""
        count = len(run.payloads)
        self.leased += count
        self.held += count
        self.held_bytes += run.size_bytes
        self.counts.leased += count
        if run.deliveries:
            self.counts.redelivered += count
        run.deliveries += 1

    def unlease(self, count: int, size_bytes: int) -> None:
        """So much is leased no more."""
        self.leased -= count
        self.held -= count
        self.held_bytes -= size_bytes

    def gone(self, sequences: Sequence[int], size_bytes: int, beside: int) -> None:
        """These messages left for good, from wherever they were.

        :param beside: of their runs.
        """
        self.account(-len(sequences), -size_bytes)
        if self.extras:
            beside += self._forget_extras(sequences)
        if beside:
            self.charge(-beside)

    def _forget_extras(self, sequences: Sequence[int]) -> int:
        """How many bytes of memory that sets free."""
        beside, pop = 0, self.extras.pop
        for sequence in sequences:
            extra = pop(sequence, None)
            if extra is not None:
                beside += extra.beside
        return beside

    def drop_oldest(self, count: int, room: int, each_bytes: int) -> None:
        """Drop ready messages with the lowest sequences, as `Ready.take_oldest` takes them."""
        run = self.ready.take_oldest(count, room, each_bytes, self.extras)
        if run is not None:
            self.counts.dropped += len(run.payloads)
            self.gone(run.sequences, run.size_bytes, run.beside_bytes)

    # ---- back ----

    def put_back(self, run: Run, delay_ms: int, moment: int) -> None:
        """What is leased no more goes to its place, now or later; or is void if its time was up meanwhile."""
        if run.expires_at and run.expires_at <= moment:
            self.void(run, moment)
        elif delay_ms:
            self.delay(run, moment + delay_ms)
        else:
            self.make_ready(run)

    def fail(self, run: Run, delay_ms: int, moment: int) -> None:
        """A delivery failed: back, or a dead letter if it was the last."""
        most: int = self.policy.max_deliveries  # type: ignore[assignment]
        if most and run.deliveries >= most and self.has_dead_letters:
            self.bury(run, REASON_DELIVERIES, moment)
        else:
            self.put_back(run, delay_ms, moment)

    def bury(self, run: Run, reason: str, moment: int) -> None:
        """Messages that are nowhere here any more become dead letters."""
        self.counts.dead_lettered += len(run.payloads)
        self.on_dead(self, run, reason, moment)
        self.gone(run.sequences, run.size_bytes, run.beside_bytes)

    def void(self, run: Run, moment: int) -> None:
        """The time of messages that are nowhere here any more is up."""
        self.touched = moment
        self.counts.void += len(run.payloads)
        if self.keeps_void:
            self.bury(run, REASON_TIME, moment)
        else:
            self.gone(run.sequences, run.size_bytes, run.beside_bytes)

    def retry_delay(self, deliveries: int) -> int:
        """How long a message waits that failed so often."""
        delays: Sequence[int] = self.policy.retry_delays_ms  # type: ignore[assignment]
        return delays[min(deliveries, len(delays)) - 1] if delays else 0

    def purge(self) -> int:
        """Throw away what is ready or delayed; how many that were."""
        count = len(self.ready) + self.held - self.leased
        if self.beside or self.extras:
            for run in [*self.ready.look(1 << 62), *self.delayed]:
                self.charge(-run.beside_bytes - self._forget_extras(run.sequences))
        delayed_bytes = 0
        for run in self.delayed:
            delayed_bytes += run.size_bytes
            self.held -= len(run.payloads)
            run.moved()
        self.delayed.clear()
        self.ready.clear()
        leased_bytes = self.held_bytes - delayed_bytes
        self.account(-count, leased_bytes - self.size_bytes)
        self.held_bytes = leased_bytes
        self.counts.purged += count
        self.review()
        return count
