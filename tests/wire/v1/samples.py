"""Objects of v1's vocabulary for tests: one of each with every field set, and strategies for any."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st

from quickpulse.errors import MessageTooLarge, QueueFull, QuickPulseError
from quickpulse.requests import (
    NO_PROPERTIES,
    UNBOUNDED,
    Action,
    Batch,
    Count,
    Credit,
    DeadLetter,
    DeleteQueue,
    Deliveries,
    Delivery,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Overflow,
    Pause,
    Peek,
    Policy,
    Properties,
    Publish,
    PublishReply,
    Pull,
    Purge,
    QueueInfo,
    QueuePage,
    Redrive,
    Rejection,
    Resume,
    ServerInfo,
    SetPolicy,
    Settle,
    SettleReply,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
    Unsubscribe,
)
from quickpulse.wire.v1.errors import ERRORS, retry_after_ms

PROPERTIES = Properties("m1", {"trace": "ä"}, "text/plain", 9, 500, 60_000, "key", "answers", "c1")

BATCH = Batch([b"", b"one", b"\x00\xff"], Properties(content_type="text/plain"), {1: PROPERTIES})

POLICY = Policy(10, 1_000, Overflow.DROP_OLDEST, 5_000, 0, "", [0, 1_000], 120_000, 60_000)

QUEUE = QueueInfo("jobs", 1, 2, 3, 4, 5, True, False, 6, POLICY, True, {"published": 7, "rejected:QUEUE_FULL": 1})

REQUESTS = (
    Publish("jobs", BATCH, b"\x01key", True),
    Pull(["a", "b"], 500, 1_000_000, 5_000, 30_000, Delivery.TAKEN, True),
    Settle("jobs", [(1, 5), (9, 9)], Action.NACK, 0, 7, "why"),
    Subscribe("jobs", 1_000, 1_000_000, 30_000, Delivery.TAKEN, True, True),
    Credit(7, 100, 1_000),
    Unsubscribe(7),
    ListQueues("a", 5, "ab"),
    GetQueue("jobs"),
    SetPolicy("jobs", POLICY),
    Pause("jobs", True),
    Resume("jobs"),
    Purge("jobs"),
    DeleteQueue("jobs"),
    Peek("jobs", 10, 1_000),
    Redrive("jobs.dead", "jobs", 5),
    GetServerInfo(),
)
"""One of each, with every field set."""

REPLIES = (
    PublishReply([(1, 2)], [3], [Rejection(4, QueueFull()), Rejection(5, MessageTooLarge(11, 10))]),
    Deliveries(
        "jobs.dead",
        BATCH,
        1 << 60,
        30_000,
        [1, 2, 3],
        [1_700_000_000_000] * 3,
        [4, 5, 6],
        {0: DeadLetter("jobs", "MAX_DELIVERIES", 5)},
    ),
    SettleReply(5, [(9, 9)]),
    Subscribed(),
    SubscriptionEnded(QueueFull("because")),
    QueuePage([QUEUE, QUEUE], "jobs"),
    QUEUE,
    Count(1 << 40),
    ServerInfo("0.1.0", "i1", {"max_queues": 10_000}, ["priorities"]),
    QueueFull("because"),
)
"""One of each, with every field set."""


def comparable(value: Any) -> Any:
    """What can be compared: errors are equal to themselves only."""
    if isinstance(value, BaseException):
        return type(value), value.code, str(value), retry_after_ms(value)
    if is_dataclass(value):
        return type(value), [comparable(getattr(value, each.name)) for each in fields(value)]
    if isinstance(value, list | tuple):
        return [comparable(each) for each in value]
    return value


U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
RANGES = st.lists(st.tuples(U64, U64), max_size=3)


@st.composite
def properties(draw: st.DrawFn) -> Properties | None:
    """Properties that are not all empty, or None: what is all empty is read as None."""
    headers = st.dictionaries(TEXTS, TEXTS, max_size=2)
    made = draw(st.builds(Properties, TEXTS, headers, TEXTS, st.integers(0, 9), U64, U64, TEXTS, TEXTS, TEXTS))
    return None if made == NO_PROPERTIES else made


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """A batch, some with properties."""
    payloads = draw(st.lists(st.binary(max_size=6), max_size=4))
    own = {index: draw(properties()) for index in range(len(payloads)) if draw(st.booleans())}
    return Batch(payloads, draw(properties()), {index: each for index, each in own.items() if each is not None})


def errors() -> st.SearchStrategy[QuickPulseError]:
    """Any error with any text: one without a text is read with its reason as one."""

    def make(kind: type[QuickPulseError], text: str, after: int | None) -> QuickPulseError:
        error = kind.__new__(kind, text)
        error.retry_after_ms = after
        return error

    kinds = st.sampled_from([kind for kind in ERRORS if "code" in vars(kind)])
    return st.builds(make, kinds, TEXTS.filter(bool), st.none() | U64)


def columns() -> st.SearchStrategy[list[int] | None]:
    """A column of Deliveries: one that is empty is read as None."""
    return st.none() | st.lists(U32, min_size=1, max_size=3)


POLICIES = st.builds(
    Policy,
    st.none() | U64,
    st.none() | st.integers(1, UNBOUNDED),
    st.none() | st.sampled_from(Overflow),
    st.none() | U64,
    st.none() | U32,
    st.none() | TEXTS,
    st.none() | st.lists(U64, min_size=1, max_size=3),
    st.none() | U64,
    st.none() | U64,
)

QUEUES = st.builds(
    QueueInfo,
    TEXTS,
    *[U64] * 5,
    st.booleans(),
    st.booleans(),
    U64,
    POLICIES,
    st.booleans(),
    st.dictionaries(TEXTS, U64, max_size=2),
)

ANY_REQUEST = st.one_of(
    st.builds(Publish, TEXTS, batches(), st.binary(max_size=6), st.booleans()),
    st.builds(Pull, st.lists(TEXTS, max_size=3), U32, U64, U64, U64, st.sampled_from(Delivery), st.booleans()),
    st.builds(Settle, TEXTS, RANGES, st.sampled_from(Action), st.none() | U64, U64, TEXTS),
    st.builds(Subscribe, TEXTS, U32, U64, U64, st.sampled_from(Delivery), st.booleans(), st.booleans()),
    st.builds(Credit, U32, U32, U64),
    st.builds(Unsubscribe, U32),
    st.builds(ListQueues, TEXTS, U32, TEXTS),
    st.builds(SetPolicy, TEXTS, POLICIES),
    st.builds(Pause, TEXTS, st.booleans()),
    st.builds(Peek, TEXTS, U32, U64),
    st.builds(Redrive, TEXTS, TEXTS, U64),
    st.sampled_from([GetServerInfo(), GetQueue("q"), Resume(""), Purge("q"), DeleteQueue("q")]),
)

ANY_REPLY = st.one_of(
    st.builds(
        PublishReply, RANGES, st.lists(U32, max_size=3), st.lists(st.builds(Rejection, U32, errors()), max_size=2)
    ),
    st.builds(
        Deliveries,
        TEXTS,
        batches(),
        U64,
        U64,
        columns(),
        columns(),
        columns(),
        st.dictionaries(U32, st.builds(DeadLetter, TEXTS, TEXTS, U32), max_size=2),
    ),
    st.builds(SettleReply, U64, RANGES),
    st.builds(SubscriptionEnded, st.none() | errors()),
    st.builds(QueuePage, st.lists(QUEUES, max_size=2), TEXTS),
    QUEUES,
    st.builds(Count, U64),
    st.builds(ServerInfo, TEXTS, TEXTS, st.dictionaries(TEXTS, U64, max_size=2), st.lists(TEXTS, max_size=2)),
    errors(),
)
