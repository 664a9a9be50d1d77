"""The ports of QuickPulse, as zope interfaces. Only interfaces and the frozen snapshots they return belong here.

A provider declares itself with `@implementer(IMessageQueue)`; a foreign object becomes one by adaptation, as in
`IMessageQueue(collections.deque())`. The adapters live in `quickpulse.backends`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quickpulse.messages import Item


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
