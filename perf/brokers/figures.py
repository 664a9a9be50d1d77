"""The arithmetic: medians over the rounds, ratios, the limit of each measurement, and whether the bars are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from perf.brokers.measure import Load, Run
from perf.brokers.rows import BARS, LATENCY, MEMORY, RATE, Bar, Row, Side
from perf.brokers.work import BATCH

BUSY_SHARE = 0.9
"""Of a core: from there on a process is taken for the limit."""


@dataclass(frozen=True)
class Figures:
    """One side of a row, medians of the rounds.

    rate: messages a second
    p50, p99: microseconds
    ready_bytes, leased_bytes: of the server's memory for a message
    least, most: of the rounds, of the figure that the row tells first
    server_microseconds, worker_microseconds: of processor time for a message
    server_share, worker_shares: of a core
    """

    rounds: int
    rate: float | None
    p50: float | None
    p99: float | None
    ready_bytes: float | None
    leased_bytes: float | None
    least: float
    most: float
    server_microseconds: float | None
    worker_microseconds: tuple[float, ...]
    server_share: float | None
    worker_shares: tuple[float, ...]


@dataclass(frozen=True)
class Verdict:
    """A bar and what was measured; `measured` is a multiple where the bar is one."""

    bar: Bar
    measured: float
    is_held: bool


def figures(row: Row, side: Side, runs: Sequence[Run], load: Load) -> Figures:
    """Of all rounds."""
    filled = max(int(load.messages * side.share) // BATCH, 1) * BATCH
    known = {
        "rate": [run.messages / run.seconds for run in runs] if row.kind == RATE else [],
        "p50": [_percentile(run.samples, 50) for run in runs] if row.kind == LATENCY else [],
        "p99": [_percentile(run.samples, 99) for run in runs] if row.kind == LATENCY else [],
        "ready_bytes": _grown(runs, 1, filled) if row.kind == MEMORY else [],
        "leased_bytes": _grown(runs, 2, filled) if row.kind == MEMORY else [],
    }
    first = known[{RATE: "rate", LATENCY: "p50", MEMORY: "ready_bytes"}[row.kind]]
    messages = [run.messages or filled for run in runs]
    workers = list(zip(*(run.worker_seconds for run in runs), strict=True))
    return Figures(
        rounds=len(runs),
        **{name: median(values) if values else None for name, values in known.items()},
        least=min(first),
        most=max(first),
        server_microseconds=_median_ratio([run.server_seconds for run in runs], messages, 1e6),
        worker_microseconds=tuple(_median_ratio(each, messages, 1e6) or 0.0 for each in workers),
        server_share=_median_ratio([run.server_seconds for run in runs], [run.seconds for run in runs]),
        worker_shares=tuple(_median_ratio(each, [run.seconds for run in runs]) or 0.0 for each in workers),
    )


def limit(side: Side, each: Figures, cores: int) -> str:
    """Which process had no time left; "" where none is known to be the limit."""
    names = ["client"] if len(side.works) == 1 else ["producer", "consumer"]
    shares = {"server": each.server_share or 0.0, **dict(zip(names, each.worker_shares, strict=True))}
    busy = [name for name, share in shares.items() if share >= BUSY_SHARE]
    if busy:
        return " and ".join(busy)
    return "all cores" if sum(shares.values()) >= BUSY_SHARE * cores else ""


def verdicts(results: Mapping[Row, Mapping[Side, Figures]]) -> list[Verdict]:
    """Of the bars whose sides were measured."""
    by_name = {(row.key, side.name): each for row, sides in results.items() for side, each in sides.items()}
    found = []
    for bar in BARS:
        measured = _value(by_name.get((bar.row, bar.side)), bar.figure)
        if bar.of is not None and measured is not None:
            base = _value(by_name.get(bar.of), bar.figure)
            measured = measured / base if base else None
        if measured is not None:
            found.append(
                Verdict(bar, measured, measured >= bar.limit if bar.figure == "rate" else measured <= bar.limit)
            )
    return found


def _value(each: Figures | None, figure: str) -> float | None:
    value: float | None = getattr(each, figure, None)
    return value


def _percentile(samples: Sequence[int], percent: int) -> float:
    """Microseconds."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] / 1000


def _grown(runs: Sequence[Run], stop: int, messages: int) -> list[float]:
    pairs = [(run.resident[0], run.resident[stop]) for run in runs if len(run.resident) > stop]
    return [(after - before) / messages for before, after in pairs if before is not None and after is not None]


def _median_ratio(above: Sequence[float | None], below: Sequence[float], factor: float = 1.0) -> float | None:
    known = [one / other * factor for one, other in zip(above, below, strict=True) if one is not None and other]
    return median(known) if known else None
