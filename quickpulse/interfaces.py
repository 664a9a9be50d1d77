"""The ports of QuickPulse, as zope interfaces. Only interfaces and the frozen snapshots they return belong here.

A provider declares itself with `@implementer(IMessageQueue)`; a foreign object becomes one by adaptation, as in
`IMessageQueue(collections.deque())`. The adapters live in `quickpulse.backends`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from quickpulse.errors import QuickPulseError
    from quickpulse.messages import Item
    from quickpulse.requests import (
        DeleteQueue,
        Deliveries,
        GetQueue,
        GetServerInfo,
        ListQueues,
        Pause,
        Peek,
        Publish,
        Pull,
        Purge,
        Redrive,
        Resume,
        SetPolicy,
        Settle,
        Subscribe,
    )


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A queue at one moment.

    :param depth: messages held.
    :param size_bytes: sum of their payloads, in bytes; `None` where an adapted object does not say.
    :param capacity: most messages it will hold; `None` is unbounded.
    :param capacity_bytes: most payload bytes it will hold; `None` is unbounded.
    :param enqueued: messages accepted since it was made.
    :param dequeued: messages taken out since it was made.
    :param refused: messages that were refused because a bound was reached.
    """

    depth: int
    size_bytes: int | None
    capacity: int | None
    capacity_bytes: int | None
    enqueued: int
    dequeued: int
    refused: int


@dataclass(frozen=True, slots=True)
class QueueReading:
    """A named queue at one moment, or several together, as metrics show them.

    :param name: of the queue; one that no queue can have stands for several.
    :param queues: how many there are now; 0: it is gone, and only its counts are told.
    :param dead_letters: messages in its dead-letter queue, leased and delayed ones included.
    :param oldest_ms: age of the oldest ready message, in milliseconds; 0 where none is ready.
    :param waiters: pulls that wait for messages, and subscriptions.
    :param counts: what happened, by the names that `QueueInfo` has. No count goes down as long as a name is told.
    :param rejected: messages that were not accepted, by the code of the error.
    """

    name: str
    queues: int
    ready: int
    leased: int
    delayed: int
    dead_letters: int
    size_bytes: int
    oldest_ms: int
    waiters: int
    counts: Mapping[str, int]
    rejected: Mapping[str, int]


class IMessageQueue(Interface):
    """A bounded first-in, first-out queue.

    Every method but `statistics` returns its value, or a Deferred of it when something slow is behind; an error is
    raised, or is the Deferred's failure. Each call is atomic: nothing of another caller comes between its messages.
    What was accepted comes out once, unchanged, in the order of acceptance.
    """

    depth: int = Attribute("Messages held now; a plain int, the last known one where a remote store is behind.")
    capacity: int | None = Attribute("Most messages it will hold; None is unbounded.")

    def enqueue(message: Item) -> Any:
        """Put one message in, behind all others.

        :raises quickpulse.errors.QueueFull: a bound forbids it; nothing changed.
        :raises TypeError: `message` is neither `bytes` nor a `Message`.
        """

    def dequeue() -> Any:
        """Take the oldest message out and return what was put in, id included.

        :raises quickpulse.errors.QueueEmpty: there is none.
        """

    def enqueue_many(messages: Sequence[Item]) -> Any:
        """Put in as many of `messages` as fit, from the first on, and return how many that were (an int)."""

    def dequeue_many(count: int) -> Any:
        """Take up to `count` of the oldest messages and return them as a list, oldest first; it may be empty."""

    def exchange_many(messages: Sequence[Item]) -> Any:
        """For each message in order: put it in, then take the oldest. Return what was taken, as a list.

        In a full queue the oldest is taken first, so that an exchange works at any depth and leaves it as it was. Only
        a bound in bytes can still forbid one: the list then ends before that message, which was not put in and for
        which nothing was taken.
        """

    def statistics() -> QueueStatistics:
        """A frozen snapshot, at once (never a Deferred)."""


class ISubscription(Interface):
    """What a subscriber holds. Its messages come by the `deliver` that it gave."""

    def add_credit(messages: int, size_bytes: int = 0) -> None:
        """Ask for more. `size_bytes` is nothing to a subscription without a bound in bytes.

        :raises quickpulse.errors.InvalidArgument: there would be more than anybody can hold; nothing changed.
        """

    def hold() -> None:
        """Give nothing for now: its reader does not keep up."""

    def release() -> None:
        """Go on."""

    def end() -> None:
        """Give nothing more, for ever; `ended(None)` is called."""

    def lost() -> int:
        """The subscriber is gone: give nothing more, and take back what it holds, if it asked for that: how many.

        After `end` too: what was given before it may still be held.
        """

    def holds() -> bool:
        """Whether `lost` would take anything back now. One that has ended and holds nothing may be forgotten."""


class IBroker(Interface):
    """Named queues with leases: v1, one method for each request of `quickpulse.requests`.

    Every method returns its reply, or a Deferred of it when something slow is behind or messages are waited for; an
    error of `quickpulse.errors` is raised, or is the Deferred's failure. Requests take effect in the order of calls.
    """

    def publish(request: Publish) -> Any:
        """Put messages in; a PublishReply."""

    def pull(request: Pull) -> Any:
        """Take messages out; Deliveries, empty when `wait_ms` went by without one.

        Cancelling the Deferred ends the waiting: nothing is leased or taken for it from then on.
        """

    def settle(request: Settle) -> Any:
        """Say what became of leased messages; a SettleReply."""

    def subscribe(
        request: Subscribe, deliver: Callable[[Deliveries], None], ended: Callable[[QuickPulseError | None], None]
    ) -> Any:
        """Have messages pushed; an ISubscription.

        :param deliver: called with each helping, never from within this call.
        :param ended: called once at the end, with the reason; None: it was asked for.
        """

    def list_queues(request: ListQueues) -> Any:
        """Which queues there are: QueuePage."""

    def get_queue(request: GetQueue) -> Any:
        """One queue: QueueInfo."""

    def set_policy(request: SetPolicy) -> Any:
        """How a queue behaves from now on: QueueInfo."""

    def pause(request: Pause) -> Any:
        """Stop deliveries: QueueInfo."""

    def resume(request: Resume) -> Any:
        """Go on: QueueInfo."""

    def purge(request: Purge) -> Any:
        """Throw away what nobody holds: Count."""

    def delete_queue(request: DeleteQueue) -> Any:
        """Throw away a queue with all that is in it: Count."""

    def peek(request: Peek) -> Any:
        """Look at messages: Deliveries without receipts."""

    def redrive(request: Redrive) -> Any:
        """Put dead letters back: Count."""

    def get_server_info(request: GetServerInfo) -> Any:
        """What the server is: ServerInfo."""

    def queue(name: str) -> Any:
        """What becomes an IMessageQueue by adaptation: the queue as v0 uses it, without leases."""

    def drain() -> None:
        """Take no new work: publishing, pulling and subscribing are refused with Draining, and waiting ends."""

    def close() -> None:
        """The server ends: call nobody any more."""


class IQueueReadings(Interface):
    """A broker whose queues are on `/metrics`. Optional: without it they are not."""

    def read_queues() -> Sequence[QueueReading]:
        """All queues at this moment, at once (never a Deferred): few, because each is kept by who reads it.

        A bounded number of queues by name, and one reading for all others together.
        """


class IMetricsCollector(Interface):
    """What an instrumented queue reports, once a batch. Calls are cheap, do not block and do not raise."""

    def increment_enqueue(count: int = 1) -> None:
        """`count` messages were accepted."""

    def increment_dequeue(count: int = 1) -> None:
        """`count` messages were taken out."""

    def observe_enqueue_latency(seconds: float, count: int = 1) -> None:
        """`count` messages of one batch were each accepted after `seconds`."""

    def set_queue_depth(depth: int) -> None:
        """The queue holds `depth` messages now."""

    def enqueue_throughput() -> float:
        """Messages accepted in the last second."""

    def dequeue_throughput() -> float:
        """Messages taken out in the last second."""


MetricsCollector = IMetricsCollector
"""The name under which the interface is known to users."""


class IBatchMetrics(Interface):
    """A metrics provider that takes a whole batch in one call. Optional: it is asked in place of the single calls."""

    def record_batch(now: float, enqueued: int, dequeued: int, seconds: float) -> None:
        """At `now` (seconds of time.perf_counter) a batch was done.

        `enqueued` messages were accepted, each after `seconds`; `dequeued` were taken out.
        """

    def watch_depth(read: Any) -> None:
        """From now on the depth is what `read()` says at the time of looking, in place of `set_queue_depth`."""


class IMetricsSource(Interface):
    """A metrics provider that can also be scraped. Optional: a provider without it is only reported to."""

    def collect() -> Any:
        """Yield `prometheus_client` metric families, read now."""


class ITraffic(Interface):
    """What the transports count. Plain integers, for the reactor's thread."""

    def of(transport: str) -> Any:
        """The counts of one transport ("ws", "grpc", "http").

        An object with the integers `connections_open`, `connections_total`, `received_bytes` and `sent_bytes`, to add
        to, and with `opened()` and `closed()` for a connection.
        """

    def refused(reason: str, count: int = 1) -> None:
        """`count` requests were refused for `reason`, one of a closed set of words."""

    def failed(error: QuickPulseError) -> None:
        """A request of v1 was answered with this error, whoever found it."""

    def undelivered(count: int) -> None:
        """`count` messages were taken for a connection that ended before they were on their way."""


class ITransportService(Interface):
    """A listener of the service, as a Twisted IService with an orderly end."""

    addresses: list[str] = Attribute("Where it listens, for people: ['127.0.0.1:8081']. Filled by startService.")

    def when_listening() -> Any:
        """A Deferred that fires with None when connections are accepted."""

    def drain(seconds: float) -> Any:
        """Stop listening, answer what was read, close every connection in order.

        Returns a Deferred that fires with None when the last connection has ended, `seconds` from now at the latest:
        what is still open then is cut.
        """
