"""Queues and messages as tables: which columns there are, and how a state or a policy is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from quickpulse.cli import output
from quickpulse.cli.forms import deliveries_of_peeked, form_of_queue
from quickpulse.cli.output import duration, number, readable, size
from quickpulse.client import Batch
from quickpulse.requests import QueueInfo

Counts = Callable[[QueueInfo], Mapping[str, int]]
"""Gives what a queue has done, by name."""

PREVIEW_BYTES = 200
"""Of a payload in a table; --json has all of it."""


def state(info: QueueInfo) -> str:
    """What is unusual."""
    if info.publish_paused:
        return "closed" if info.paused else "refusing"
    return "paused" if info.paused else "-"


SORTS: dict[str, Callable[[QueueInfo, Counts], int]] = {
    "ready": lambda info, _: info.ready,
    "leased": lambda info, _: info.leased,
    "delayed": lambda info, _: info.delayed,
    "size": lambda info, _: info.size_bytes,
    "oldest": lambda info, _: info.oldest_ms,
    "in": lambda info, counts: counts(info)["published"],
    "out": lambda info, counts: counts(info)["delivered"],
}
"""By what queues can be put in order, beside their names; the most comes first."""


def in_order(found: Sequence[QueueInfo], by: str, counts: Counts = lambda info: info.counts) -> Sequence[QueueInfo]:
    """The queues, by one of SORTS or by name.

    :param counts: what `in` and `out` are read from.
    """
    if by == "name":
        return found
    return sorted(found, key=lambda info: SORTS[by](info, counts), reverse=True)


def table_of_queues(found: Sequence[QueueInfo]) -> Table:
    """What each holds."""
    columns = ("QUEUE", "READY", "LEASED", "DELAYED", "SIZE", "OLDEST", "WAITERS", "STATE")
    rows = [
        [
            each.name,
            *(number(count) for count in (each.ready, each.leased, each.delayed)),
            size(each.size_bytes),
            duration(each.oldest_ms) if each.ready else "-",
            number(each.waiters),
            state(each),
        ]
        for each in found
    ]
    return output.table(columns, rows, left=("STATE",))


def table_of_counts(found: Sequence[QueueInfo]) -> Table:
    """What each has done."""
    names = ("published", "delivered", "acked", "nacked", "expired", "dead_lettered", "dropped")
    columns = ("QUEUE", "IN", "OUT", "ACKED", "NACKED", "EXPIRED", "DEAD", "DROPPED", "REJECTED")
    rows = [[each.name, *(number(each.counts[name]) for name in names), number(rejected(each))] for each in found]
    return output.table(columns, rows)


def rejected(info: QueueInfo) -> int:
    """Messages that were not accepted, whatever the reason."""
    return sum(count for name, count in info.counts.items() if name.startswith("rejected:"))


def table_of_one(info: QueueInfo) -> Table:
    """All that is known of a queue."""
    return pairs(
        [
            ["queue", info.name],
            ["state", state(info)],
            *([name, number(getattr(info, name))] for name in ("ready", "leased", "delayed", "waiters")),
            ["size", size(info.size_bytes)],
            ["oldest", duration(info.oldest_ms) if info.ready else "-"],
            *([name, number(count)] for name, count in sorted(info.counts.items())),
            *rows_of_policy(info),
        ]
    )


def rows_of_policy(info: QueueInfo) -> list[list[str]]:
    """Its policy, under the names that `policy --set` takes."""
    rows = [[name, text_of_policy(value)] for name, value in form_of_queue(info)["policy"].items()]
    return [[name, text or f"({info.name}.dead)"] for name, text in rows]


def text_of_policy(value: Any) -> str:
    """As it can be set."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "unbounded" if value is None else str(value)


def table_of_messages(batch: Batch, now_ms: float) -> Table:
    """Those that were looked at."""
    rows = []
    for index, message in enumerate(batch):
        enqueued = message.enqueued_at_ms
        rows.append(
            [
                readable(message.payload[:PREVIEW_BYTES]) + ("..." if len(message.payload) > PREVIEW_BYTES else ""),
                str(batch.column("sequences", index) or "-"),
                "-" if enqueued is None else duration(max(round(now_ms - enqueued), 0)),
                size(len(message.payload)),
                str(message.properties.priority),
                str(deliveries_of_peeked(batch, index)),
            ]
        )
    return output.table(("PAYLOAD", "SEQUENCE", "AGE", "SIZE", "PRIORITY", "DELIVERIES"), rows, folds=True)


def pairs(rows: Sequence[Sequence[str]]) -> Table:
    """Names and values."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
