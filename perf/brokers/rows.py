"""What is measured, on which sides, and the bars: one table."""

from __future__ import annotations

from dataclasses import dataclass

QUICKPULSE, REDIS, NATS, BEANSTALKD = "quickpulse", "redis", "nats", "beanstalkd"

RATE, LATENCY, MEMORY = "rate", "latency", "memory"


@dataclass(frozen=True)
class Side:
    """A server and the code of its clients.

    name: in tables, once in a row
    server: which is started
    module: of `perf.brokers.sides`
    works: its functions; one is a process. The consumer comes last
    share: of the messages that a queue is filled with: slow clients get fewer
    """

    name: str
    server: str
    module: str
    works: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True)
class Row:
    """One kind of work.

    key: on the command line
    kind: what is told of it: RATE, LATENCY or MEMORY
    """

    key: str
    title: str
    kind: str
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Bar:
    """What a side has to reach.

    row, side: whose figure
    figure: which; of `figures.FIGURES`
    limit: the least where rates are told, else the most
    of: (row, side) of whose figure the limit is a multiple; None: it is the figure itself
    """

    text: str
    row: str
    side: str
    figure: str
    limit: float
    of: tuple[str, str] | None = None


def _both(name: str, works: tuple[str, ...]) -> tuple[Side, Side]:
    return (
        Side(f"QuickPulse, asyncio{name}", QUICKPULSE, "quickpulse_aio", works),
        Side(f"QuickPulse, blocking{name}", QUICKPULSE, "quickpulse_blocking", works),
    )


def _redis(name: str, *works: str) -> Side:
    return Side(name, REDIS, "redis_client", works)


def _nats(name: str, *works: str, share: float = 1.0) -> Side:
    return Side(name, NATS, "nats_client", works, share)


def _beanstalkd(*works: str, share: float = 1.0) -> Side:
    return Side("beanstalkd", BEANSTALKD, "beanstalkd_client", works, share)


AIO, BLOCKING = "QuickPulse, asyncio", "QuickPulse, blocking"

STREAMS, PIPELINED = "Redis Streams", "Redis Streams, XACK pipeline"

LIST = "Redis list"

BATCHED, SINGLE = "QuickPulse, in batches", "QuickPulse, singly"

FEW, MANY = "1,000 leased", "1,000,000 leased"
"""With the default number of messages."""

ROWS = {
    row.key: row
    for row in (
        Row(
            "batches",
            "At least once in batches: 1,000 messages a publish, each batch confirmed, pulled, acked",
            RATE,
            (
                *_both("", ("publish_batches", "consume_batches")),
                _redis(STREAMS, "publish_batches", "consume_batches"),
                _redis(PIPELINED, "publish_batches", "consume_batches_by_pipeline"),
                _nats("NATS JetStream", "publish_batches", "consume_batches"),
            ),
        ),
        Row(
            "singly",
            "At least once, one by one in the user's code: every message confirmed, an ack for each",
            RATE,
            (
                *_both("", ("publish_singly", "consume_singly")),
                _redis(STREAMS, "publish_singly", "consume_singly"),
                _nats("NATS JetStream", "publish_singly", "consume_singly"),
                _beanstalkd("publish_singly", "consume_singly"),
            ),
        ),
        Row(
            "taken",
            "At most once in batches of 1,000",
            RATE,
            (*_both("", ("publish_batches", "take_batches")), _redis(LIST, "push_batches", "pop_batches")),
        ),
        Row(
            "round-trip",
            "One at a time, publish then consume, in one process",
            LATENCY,
            (
                *_both(", taken", ("round_trips_taken",)),
                Side(f"{BLOCKING}, acked", QUICKPULSE, "quickpulse_blocking", ("round_trips_acked",)),
                _redis(LIST, "round_trips"),
                _beanstalkd("round_trips"),
            ),
        ),
        Row(
            "wake-up",
            "From publish to delivery, where a consumer waits",
            LATENCY,
            (
                *_both(", get", ("publish_stamps", "wait_by_get")),
                *_both(", subscription", ("publish_stamps", "wait_by_subscription")),
                _redis("Redis list, BLPOP", "publish_stamps", "wait_by_pop"),
                _nats("core NATS", "publish_core_stamps", "wait_by_core_subscription"),
                _nats("NATS JetStream", "publish_stamps", "wait_by_subscription"),
                _beanstalkd("publish_stamps", "wait_by_reserve"),
            ),
        ),
        Row(
            "leased",
            "One at a time, publish, consume, ack and its confirmation, beside messages that are leased",
            LATENCY,
            (
                Side(f"{AIO}, {FEW}", QUICKPULSE, "quickpulse_aio", ("round_trips_beside_leased",), 0.001),
                Side(f"{AIO}, {MANY}", QUICKPULSE, "quickpulse_aio", ("round_trips_beside_leased",)),
            ),
        ),
        Row(
            "memory",
            "Memory of the server for a queued message",
            MEMORY,
            (
                Side(BATCHED, QUICKPULSE, "quickpulse_aio", ("fill_and_lease",)),
                Side(SINGLE, QUICKPULSE, "quickpulse_aio", ("fill_and_lease_singly",), 0.2),
                _redis(STREAMS, "fill_and_lease"),
                _redis(LIST, "fill_list"),
                _nats("NATS JetStream", "fill_and_lease", share=0.2),
                _beanstalkd("fill_and_lease", share=0.2),
            ),
        ),
    )
}

_STREAMS = ("batches", STREAMS)

BARS = (
    Bar("batches: 8 times Redis Streams", "batches", AIO, "rate", 8, _STREAMS),
    Bar("batches: 1,000,000 a second is the aim", "batches", AIO, "rate", 1_000_000),
    Bar("one by one: 3 times Redis Streams in batches", "singly", AIO, "rate", 3, _STREAMS),
    Bar("one by one: 3 times Redis Streams one by one", "singly", AIO, "rate", 3, ("singly", STREAMS)),
    Bar("at most once in batches: 1 time a Redis list", "taken", AIO, "rate", 1, ("taken", LIST)),
    Bar(
        "one at a time: p50 within 3 times a Redis list's",
        "round-trip",
        f"{BLOCKING}, taken",
        "p50",
        3,
        ("round-trip", LIST),
    ),
    Bar("wake-up of a long poll, asyncio: p50 below 300 us", "wake-up", f"{AIO}, get", "p50", 300),
    Bar("wake-up of a long poll, asyncio: p99 below 2 ms", "wake-up", f"{AIO}, get", "p99", 2_000),
    Bar("wake-up of a long poll, blocking: p50 below 300 us", "wake-up", f"{BLOCKING}, get", "p50", 300),
    Bar("wake-up of a long poll, blocking: p99 below 2 ms", "wake-up", f"{BLOCKING}, get", "p99", 2_000),
    Bar(
        "ack beside 1,000,000 leased: within 1.5 times",
        "leased",
        f"{AIO}, {MANY}",
        "p50",
        1.5,
        ("leased", f"{AIO}, {FEW}"),
    ),
    Bar("memory, in batches: 200 bytes ready", "memory", BATCHED, "ready_bytes", 200),
    Bar("memory, in batches: 400 bytes leased", "memory", BATCHED, "leased_bytes", 400),
    Bar("memory, singly: 200 bytes ready", "memory", SINGLE, "ready_bytes", 200),
    Bar("memory, singly: 400 bytes leased", "memory", SINGLE, "leased_bytes", 400),
)
