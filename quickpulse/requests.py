"""What is asked of a broker and what it answers (v1), as plain objects. No wire and no queue belongs here.

Zero, empty and None mean what docs/protocol.md says: the queue's policy, or nothing. Times are in milliseconds where
a name ends in `_ms`; a moment is milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from quickpulse.errors import InvalidArgument, QuickPulseError

if TYPE_CHECKING:
    from dataclasses import dataclass as brief
else:

    def brief(*, frozen: bool, slots: bool) -> Any:
        """A dataclass that is frozen for the type checker only: what each request and reply is made of.

        To make one that is frozen at run time takes five times as long, which was a tenth of what a request costs.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)


Range = tuple[int, int]
"""First and last, both included."""

UNBOUNDED = 1 << 62
"""A bound that is none."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What a message may have beside its payload.

    :param id: the user's own name for it.
    :param headers: the user's own names and values.
    :param priority: 0 to 9; 9 comes first.
    :param delay_ms: it is ready so long after it was accepted; 0 is at once.
    :param ttl_ms: it is void so long after it was accepted, unless it is leased then; 0 is never.
    :param dedup_key: a second one with this key is not stored while the queue's window lasts.
    """

    id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    priority: int = 0
    delay_ms: int = 0
    ttl_ms: int = 0
    dedup_key: str = ""
    reply_to: str = ""
    correlation_id: str = ""


NO_PROPERTIES = Properties()


@brief(frozen=True, slots=True)
class Batch:
    """Messages in order, as columns.

    :param common: of every message.
    :param properties: index to properties, which stand in place of `common` where they are not zero or empty.
    """

    payloads: Sequence[bytes]
    common: Properties | None = None
    properties: Mapping[int, Properties] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message of a batch that was not accepted.

    :param index: its place in the batch.
    """

    index: int
    error: QuickPulseError


@brief(frozen=True, slots=True)
class Publish:
    """Put messages in.

    :param batch_key: a repeat of it within the queue's window stores nothing and gets the first reply.
    :param atomic: all or none.
    """

    queue: str
    batch: Batch
    batch_key: bytes = b""
    atomic: bool = False


@brief(frozen=True, slots=True)
class PublishReply:
    """What became of them.

    :param sequences: of the stored ones, in order; sequences of a queue are consecutive.
    :param duplicates: indexes of those that were there already, by their `dedup_key`.
    """

    sequences: Sequence[Range] = ()
    duplicates: Sequence[int] = ()
    rejections: Sequence[Rejection] = ()


class Delivery(Enum):
    """How messages are handed out."""

    LEASED = "leased"
    """At least once: they come back unless they are settled in time."""

    TAKEN = "taken"
    """At most once: they are gone."""


class Reader(Protocol):
    """Whoever reads the replies to requests, and may not keep up."""

    is_held: bool
    """It does not: nothing should be taken out for it now."""

    def when_released(self, act: Callable[[], None]) -> None:
        """Call `act` when it does again; once, however often it was said."""

    def forget(self, act: Callable[[], None]) -> None:
        """Do not."""


@brief(frozen=True, slots=True)
class Pull:
    """Take messages out, or wait for some.

    :param queues: in this order; the first that has a message is the one.
    :param wait_ms: how long to wait for a message, when there is none.
    :param holder: who may be gone before it has settled; what is leased to it can be put back all together. Of the
        server's own making; no wire has it.
    :param reader: of the reply; a pull that waits is passed over while its reader is held. Likewise.
    """

    queues: Sequence[str]
    max_messages: int = 1
    max_bytes: int = 0
    wait_ms: int = 0
    lease_ms: int = 0
    delivery: Delivery = Delivery.LEASED
    with_enqueued_at: bool = False
    holder: object = None
    reader: Reader | None = None

    def read_by(self, reader: Reader) -> Pull:
        """The same, with who reads the reply. `dataclasses.replace` would take ten times as long."""
        return Pull(
            self.queues,
            self.max_messages,
            self.max_bytes,
            self.wait_ms,
            self.lease_ms,
            self.delivery,
            self.with_enqueued_at,
            self.holder,
            reader,
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a dead letter comes from.

    :param source: the queue it was in.
    :param reason: why it is here: a stable word, or what its consumer said.
    :param deliveries: how often it had been delivered.
    """

    source: str
    reason: str
    deliveries: int


@brief(frozen=True, slots=True)
class Deliveries:
    """Messages that were handed out, as columns; empty when there were none.

    :param first_receipt: the receipts of a batch are consecutive; 0 when there are none.
    :param lease_ms: as granted.
    :param delivery_counts: how often each was delivered, with this time; None: each the first time.
    :param enqueued_at_ms: when each was accepted; None where it was not asked for.
    :param sequences: place in the queue of each; only where a queue is looked into.
    :param dead_letters: index to where a message of a dead-letter queue comes from.
    """

    queue: str
    batch: Batch = Batch(())
    first_receipt: int = 0
    lease_ms: int = 0
    delivery_counts: Sequence[int] | None = None
    enqueued_at_ms: Sequence[int] | None = None
    sequences: Sequence[int] | None = None
    dead_letters: Mapping[int, DeadLetter] = field(default_factory=dict)


class Action(Enum):
    """What a consumer says of messages that it holds."""

    ACK = "ack"
    """Done: gone for good."""
    NACK = "nack"
    """Failed: again, after a delay."""
    RELEASE = "release"
    """Not looked at: back to its place, and this delivery is not counted."""
    EXTEND = "extend"
    """More time."""
    DEAD_LETTER = "dead_letter"
    """Hopeless: to the dead-letter queue."""


@brief(frozen=True, slots=True)
class Settle:
    """Say what became of leased messages.

    :param receipts: exactly those that were given.
    :param delay_ms: of a NACK; None: as the queue's policy has it.
    :param lease_ms: of an EXTEND, from now on.
    :param reason: of a DEAD_LETTER.
    """

    queue: str
    receipts: Sequence[Range]
    action: Action = Action.ACK
    delay_ms: int | None = None
    lease_ms: int = 0
    reason: str = ""


@brief(frozen=True, slots=True)
class SettleReply:
    """How many were settled, and which receipts hold nothing (any more)."""

    settled: int
    unknown: Sequence[Range] = ()


# ---- subscriptions ----


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Have messages pushed, as far as there is credit; delivery spends it, and may take `credit_bytes` below zero once.

    :param credit_bytes: 0 is no bound in bytes.
    :param release_on_disconnect: what is held when the connection ends goes back at once, and counts as delivered.
    """

    queue: str
    credit_messages: int
    credit_bytes: int = 0
    lease_ms: int = 0
    delivery: Delivery = Delivery.LEASED
    release_on_disconnect: bool = False
    with_enqueued_at: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """It stands: deliveries follow."""


@dataclass(frozen=True, slots=True)
class Credit:
    """More room for a subscription. It is not answered; too much credit ends the subscription.

    :param subscription_id: the request that subscribed.
    """

    subscription_id: int
    add_messages: int = 0
    add_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Push nothing more: the subscription's end is the answer. Or wait no more, of a pull: it is answered, empty.

    :param subscription_id: the request that subscribed, or pulls.
    """

    subscription_id: int


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    """Nothing more will be pushed.

    :param error: why, unless it was asked for.
    """

    error: QuickPulseError | None = None


# ---- administration ----


class Overflow(Enum):
    """What a full queue does with a new message."""

    REJECT = "reject"
    DROP_OLDEST = "drop_oldest"
    """The oldest ready ones go, counted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a queue behaves. None: as the server has it by default.

    :param capacity_bytes: UNBOUNDED is no such bound.
    :param overflow: or its value as a str.
    :param lease_ms: of a pull that asks for none.
    :param max_deliveries: after so many it is a dead letter; 0 is unlimited.
    :param dead_letter_queue: where those go; "" is `<queue>.dead`.
    :param retry_delays_ms: after the first, second, ... failed delivery; the last repeats.
    :param dedup_window_ms: how long keys are remembered.
    :param idle_expiry_ms: a queue without a policy of its own is forgotten when it was empty and unwatched so long.
    """

    capacity: int | None = None
    capacity_bytes: int | None = None
    overflow: Overflow | None = None
    lease_ms: int | None = None
    max_deliveries: int | None = None
    dead_letter_queue: str | None = None
    retry_delays_ms: Sequence[int] | None = None
    dedup_window_ms: int | None = None
    idle_expiry_ms: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.overflow, str):
            object.__setattr__(self, "overflow", _overflow(self.overflow))


def _overflow(text: str) -> Overflow:
    try:
        return Overflow(text)
    except ValueError:
        known = ", ".join(each.value for each in Overflow)
        raise InvalidArgument(f"overflow is {text!r}, expected one of {known}") from None


@dataclass(frozen=True, slots=True)
class ListQueues:
    """Which queues there are, by name, a page of them at a time.

    :param prefix: only those whose names begin so.
    :param max_queues: at most so many; 0 is as many as the server puts into a page, and it never puts more.
    :param page_token: `next_page_token` of the page before; "" is the first page.
    """

    prefix: str = ""
    max_queues: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class GetQueue:
    """One queue, as it is now."""

    queue: str


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Give a queue, made on need, this policy; what is None in it is as the server has it by default."""

    queue: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop its deliveries.

    :param publishes: and refuse new messages.
    """

    queue: str
    publishes: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """End a pause, of both kinds."""

    queue: str


@dataclass(frozen=True, slots=True)
class Purge:
    """Throw away what is ready or delayed; what is leased is somebody's."""

    queue: str


@dataclass(frozen=True, slots=True)
class DeleteQueue:
    """Throw away a queue with all that is in it, leases included."""

    queue: str


@dataclass(frozen=True, slots=True)
class Peek:
    """Look at the next messages and leave them where they are."""

    queue: str
    max_messages: int = 1
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Redrive:
    """Put dead letters back, as new messages.

    :param queue: the dead-letter queue.
    :param target: where to; "" is the queue that each came from.
    :param max_messages: at most so many; 0 is all.
    """

    queue: str
    target: str = ""
    max_messages: int = 0


@dataclass(frozen=True, slots=True)
class GetServerInfo:
    """What the server is."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages it was about: of a purge, a deletion or a redrive."""

    messages: int


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue at one moment.

    :param counts: since it was made, by name: published, delivered, acked, nacked, released, expired, redelivered,
        dead_lettered, dropped, void (time to live), purged; and `rejected:<reason>`.
    :param policy: in force: nothing in it is None.
    :param has_policy: whether one was set.
    """

    name: str
    ready: int
    leased: int
    delayed: int
    size_bytes: int
    oldest_ms: int
    paused: bool
    publish_paused: bool
    waiters: int
    policy: Policy
    has_policy: bool
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Queues by name.

    :param next_page_token: with it the next page is asked for; "": this is the last one.
    """

    queues: Sequence[QueueInfo] = ()
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a client must know of the server.

    :param instance: another one after each start.
    :param limits: by name, as in the settings.
    """

    version: str
    instance: str
    limits: Mapping[str, int]
    capabilities: Sequence[str]
