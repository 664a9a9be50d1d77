"""The broker: each request of v1, done at once. No waiting, no wire; the time is an argument.

Every call first lets happen what was due before it, each thing as of its own moment, so that replies do not depend on
how often `tick` is called. Time does not go back: an earlier `now_ms` counts as the latest. The queues belong to one
thread.

What is where: `named.py` is a queue, `ready.py` with `lane.py` and `runs.py` what is ready in it; `lease.py` and
`leases.py` what was handed out, `framing.py` how much of it fits into a frame; `agenda.py` what is due;
`publishing.py`, `delivering.py` and `settling.py` the three requests that messages go through (`admission.py` and
`room.py`: who comes in, `usage.py`: what counts); `directory.py` the names; `life.py` the rules that all of it obeys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from quickpulse.errors import InvalidArgument
from quickpulse.interfaces import QueueReading
from quickpulse.queues import describing, redriving
from quickpulse.queues.delivering import deliver
from quickpulse.queues.directory import Directory
from quickpulse.queues.framing import HEAD_BYTES
from quickpulse.queues.leases import Leases
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.plain import PlainQueue
from quickpulse.queues.policies import (
    LONGEST_LEASE_MS,
    LONGEST_MS,
    MOST_RECEIPTS,
    SERVER_POLICY,
    Limits,
    over,
    require_between,
    require_policy,
)
from quickpulse.queues.publishing import publish
from quickpulse.queues.settling import require_settle, settle
from quickpulse.requests import (
    Count,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Pause,
    Peek,
    Policy,
    Publish,
    PublishReply,
    Pull,
    Purge,
    QueueInfo,
    QueuePage,
    Redrive,
    Resume,
    ServerInfo,
    SetPolicy,
    Settle,
    SettleReply,
)

MOST_PULLED_QUEUES = 100
"""That one pull may name; each is looked into."""

CAPABILITIES = (
    "leases",
    "delays",
    "ttl",
    "priorities",
    "dedup",
    "dead_letters",
    "redrive",
    "peek",
    "pause",
    "drop_oldest",
)
"""What this broker honours, all that v1 has."""

NOTHING = Deliveries("")
"""There was no message."""


class Broker:
    """All queues of a server.

    :param limits: what they share.
    :param defaults: how a queue behaves where its own policy does not say; what is None in it is as in SERVER_POLICY.
    :param first_receipt: receipts start here; above all that a server before this one can have given.
    :param instance: tells this start of the server from others.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        defaults: Policy | None = None,
        first_receipt: int = 1,
        instance: str = "",
        version: str = "",
    ) -> None:
        require_policy("", defaults or SERVER_POLICY)
        self._leases = Leases(first_receipt)
        self._directory = Directory(limits or Limits(), over(SERVER_POLICY, defaults), self._leases)
        self._agenda = self._directory.agenda
        self._woken = self._directory.woken
        self.has_deadline_before = self._agenda.has_before
        """Whether `next_deadline` may be before a moment: a quick look, which may say so in vain."""
        self._most_room = self._directory.limits.max_batch_bytes - HEAD_BYTES
        self._instance = instance
        self._version = version
        self._now_ms = 0

    # ---- messages ----

    def publish(self, request: Publish, now_ms: int) -> PublishReply:
        """Put messages in; the queue is made on need."""
        now_ms = self._advance(now_ms)
        queue = self._directory.open(request.queue, now_ms)
        queue.touched = now_ms
        reply = publish(queue, request, now_ms, self._directory.limits)
        if self._woken:
            self._wake()
        return reply

    def pull(self, request: Pull, now_ms: int) -> Deliveries:
        """Take messages out of the first queue that has any; queues are made on need."""
        _require_pull(request)
        now_ms = self._advance(now_ms)
        if len(request.queues) > 1:
            self._directory.require_names(request.queues)
        for name in request.queues:
            queue = self._directory.open(name, now_ms)
            queue.touched = now_ms
            if not queue.is_paused and queue.ready:
                return self._hand_out(queue, request, now_ms)
        return NOTHING

    def settle(self, request: Settle, now_ms: int) -> SettleReply:
        """Say what became of leased messages."""
        require_settle(request)
        now_ms = self._advance(now_ms)
        queue = self._directory.get(request.queue)
        queue.touched = now_ms
        reply = settle(queue, self._leases, request, now_ms)
        if self._woken:
            self._wake()
        return reply

    def give_back(self, holder: object, now_ms: int) -> int:
        """A holder of leases is gone: what it holds goes back at once, and counts as delivered; how many that are."""
        messages = self._leases.give_back(holder, self._advance(now_ms))
        self._wake()
        return messages

    def holds(self, holder: object) -> bool:
        """Whether there is anything that `give_back` would give back."""
        return self._leases.holds(holder)

    def peek(self, request: Peek, now_ms: int) -> Deliveries:
        """The next messages, as they are: how often each was delivered so far, when it was accepted, its sequence."""
        now_ms = self._advance(now_ms)
        return describing.peek(self._directory.get(request.queue), request, self._room(request.max_bytes))

    def redrive(self, request: Redrive, now_ms: int) -> Count:
        """Put dead letters back where they came from, or into another queue, while there is room."""
        now_ms = self._advance(now_ms)
        moved = redriving.redrive(self._directory, request, now_ms)
        self._wake()
        return Count(moved)

    # ---- queues ----

    def list_queues(self, request: ListQueues, now_ms: int) -> QueuePage:
        """The queues whose names begin so, by name: a page of them."""
        return describing.page(self._directory, request, self._advance(now_ms))

    def get_queue(self, request: GetQueue, now_ms: int) -> QueueInfo:
        """One queue."""
        now_ms = self._advance(now_ms)
        return describing.info(self._directory.get(request.queue), now_ms)

    def set_policy(self, request: SetPolicy, now_ms: int) -> QueueInfo:
        """Let a queue, made on need, behave so from now on."""
        now_ms = self._advance(now_ms)
        require_policy(request.queue, request.policy)
        self._require_graves(request)
        queue = self._directory.open(request.queue, now_ms)
        queue.touched = now_ms
        queue.keys.drop_old(now_ms)
        queue.own_policy = request.policy
        queue.apply(over(self._directory.defaults, request.policy))
        return describing.info(queue, now_ms)

    def pause(self, request: Pause, now_ms: int) -> QueueInfo:
        """Deliver nothing, as if the queue were empty; and take nothing, if that is asked for."""
        return self._set_pause(request.queue, True, request.publishes, now_ms)

    def resume(self, request: Resume, now_ms: int) -> QueueInfo:
        """End both pauses."""
        return self._set_pause(request.queue, False, False, now_ms)

    def purge(self, request: Purge, now_ms: int) -> Count:
        """Throw away what is ready or delayed."""
        now_ms = self._advance(now_ms)
        queue = self._directory.get(request.queue)
        queue.touched = now_ms
        return Count(queue.purge())

    def delete_queue(self, request: DeleteQueue, now_ms: int) -> Count:
        """Throw away a queue with all that is in it. Nobody watches it from then on."""
        self._advance(now_ms)
        return Count(self._directory.remove(self._directory.get(request.queue)))

    def get_server_info(self, request: GetServerInfo, now_ms: int) -> ServerInfo:
        """What a client must know."""
        return describing.server(self._directory, self._version, self._instance, CAPABILITIES)

    @property
    def depth(self) -> int:
        """Messages in all queues: ready, delayed and leased."""
        return sum(map(len, self._directory.queues.values()))

    def read_queues(self, waiters: Mapping[str, int], now_ms: int) -> list[QueueReading]:
        """All queues, for metrics.

        :param waiters: how many wait, by queue: here it is only known that somebody does.
        """
        return self._directory.readings.take(waiters, self._advance(now_ms))

    # ---- time ----

    def tick(self, now_ms: int) -> int | None:
        """Do what is due; when to call again, in ms since 1970. None: nothing will be due."""
        self._advance(now_ms)
        return self._agenda.next_moment

    def next_deadline(self) -> int | None:
        """When to call `tick`."""
        return self._agenda.next_moment

    # ---- who waits ----

    def watch(self, name: str, woken: Callable[[], None]) -> None:
        """Call `woken` whenever messages of the queue, made on need, have become ready: at the end of that call.

        A queue that is watched is not idle. `woken` may call the broker, and must not raise.
        """
        queue = self._directory.open(name, self._now_ms)
        queue.watchers.append(woken)
        queue.is_slow = True

    def unwatch(self, name: str, woken: Callable[[], None]) -> None:
        """No more. A queue that is gone was unwatched with it."""
        queue = self._directory.queues.get(name)
        if queue is not None and woken in queue.watchers:
            queue.watchers.remove(woken)
            queue.touched = self._now_ms
            queue.review()

    # ---- v0 ----

    def queue(self, name: str, seconds: Callable[[], float] = time.time) -> PlainQueue:
        """A queue as v0 uses it: an IMessageQueue. v0 gives no time, so it is asked for.

        :param seconds: since 1970.
        """
        return PlainQueue(partial(self._directory.open, name), seconds, self._advance, self._wake)

    # ---- what the requests share ----

    def _advance(self, now_ms: int) -> int:
        """Let happen what was due by now, and tell who waits for it; the moment that counts as now."""
        if now_ms > self._now_ms:
            self._now_ms = now_ms
        self._agenda.run(self._now_ms)
        if self._woken:
            self._wake()
        return self._now_ms

    def _wake(self) -> None:
        """Tell those who watch queues that have something new."""
        while self._woken:
            queue, _ = self._woken.popitem()
            for woken in tuple(queue.watchers):
                woken()

    def _room(self, max_bytes: int) -> int:
        return min(max_bytes, self._most_room) if max_bytes else self._most_room

    def _hand_out(self, queue: NamedQueue, request: Pull, now_ms: int) -> Deliveries:
        most = min(request.max_messages or 1, MOST_RECEIPTS)
        pieces = queue.ready.take(most, self._room(request.max_bytes), queue.extras)
        counts = [piece.deliveries + 1 for piece in pieces]
        if request.delivery is Delivery.TAKEN:
            deliveries = deliver(queue, pieces, counts, 0, 0, request.with_enqueued_at)
            for piece in pieces:
                queue.counts.taken += len(piece.payloads)
                if piece.deliveries:
                    queue.counts.redelivered += len(piece.payloads)
                queue.gone(piece.sequences, piece.size_bytes, piece.beside_bytes)
            return deliveries
        lease_ms: int = request.lease_ms or queue.policy.lease_ms  # type: ignore[assignment]
        lease_ms = min(lease_ms, LONGEST_LEASE_MS)
        first_receipt = self._leases.grant(queue, pieces, now_ms + lease_ms, request.holder)
        return deliver(queue, pieces, counts, first_receipt, lease_ms, request.with_enqueued_at)

    def _require_graves(self, request: SetPolicy) -> None:
        """Raise TooManyQueues where a policy names a new queue for dead letters, for which there is no place.

        When they come, that queue is made in any case: by policies in turn there would be any number of them.
        """
        name, queue = request.policy.dead_letter_queue, self._directory.queues.get(request.queue)
        if name and (queue is None or queue.policy.dead_letter_queue != name):
            self._directory.require_place(name)

    def _set_pause(self, name: str, is_paused: bool, is_publish_paused: bool, now_ms: int) -> QueueInfo:
        now_ms = self._advance(now_ms)
        queue = self._directory.get(name)
        queue.touched = now_ms
        queue.is_paused, queue.is_publish_paused = is_paused, is_publish_paused
        queue.review()
        if queue.ready:
            queue.wake()
            self._wake()
        return describing.info(queue, now_ms)


def _require_pull(request: Pull) -> None:
    if (
        0 < len(request.queues) <= MOST_PULLED_QUEUES
        and 0 <= request.max_messages <= MOST_RECEIPTS
        and 0 <= request.max_bytes <= LONGEST_MS
        and 0 <= request.lease_ms <= LONGEST_MS
        and type(request.queues) is not str
    ):
        return  # as nearly every pull; what follows says what is wrong
    require_between("queues: number of names", len(request.queues), 1, MOST_PULLED_QUEUES)
    require_between("max_messages", request.max_messages, 0, 1 << 32)
    require_between("max_bytes", request.max_bytes, 0, 1 << 62)
    require_between("lease_ms", request.lease_ms, 0, 1 << 62)
    if isinstance(request.queues, str):
        raise InvalidArgument("queues is one name, expected a list of them")
