"""A comparison as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from perf.brokers.figures import Figures, Verdict, limit
from perf.brokers.options import BrokersOptions
from perf.brokers.rows import BEANSTALKD, LATENCY, MEMORY, NATS, QUICKPULSE, RATE, REDIS, Row, Side
from perf.brokers.servers import CONFIGURATIONS, version
from perf.compare.report import machine
from perf.hardware import Hardware

JSON_FORM = 1
"""Goes up when a field of the JSON changes its meaning or disappears."""

BEGIN, END = "<!-- brokers -->", "<!-- /brokers -->"
"""In a page: the tables are between them."""

CLIENTS = {REDIS: ("redis", "hiredis"), NATS: ("nats-py",), BEANSTALKD: ("greenstalk",)}

PRODUCER, CONSUMER, CLIENT = "producer, us", "consumer, us", "client, us"

_CPU = ("server, us", PRODUCER, CONSUMER, "the limit")

_HEADS = {
    RATE: ("messages/s", "slowest to fastest", *_CPU),
    LATENCY: ("p50, us", "p99, us", "p50 of the rounds", *_CPU[:-1]),
    MEMORY: ("ready, bytes", "leased, bytes"),
}

Results = Mapping[Row, Mapping[Side, Figures]]


def markdown(
    results: Results,
    verdicts: Sequence[Verdict],
    absent: Mapping[str, str],
    hardware: Hardware,
    options: BrokersOptions,
) -> str:
    """Bars first, then a table for each row, then how it was made.

    absent: servers that are not there, sides that failed, and why
    """
    parts = [_bars(verdicts)] if verdicts else []
    parts += [_table(row, sides, hardware.cores) for row, sides in results.items()]
    parts += [f"{name} is left out: {why}." for name, why in absent.items()]
    parts.append(_how(results, hardware, options))
    return "\n\n".join(parts) + "\n"


def as_json(
    results: Results,
    verdicts: Sequence[Verdict],
    absent: Mapping[str, str],
    hardware: Hardware,
    options: BrokersOptions,
) -> dict[str, Any]:
    """The whole result."""
    rows = [
        {"row": row.key, "title": row.title, "sides": {side.name: asdict(each) for side, each in sides.items()}}
        for row, sides in results.items()
    ]
    return {
        "form": JSON_FORM,
        "load": {**asdict(options.load), "rounds": options.rounds, "note": options.note},
        "bars": [
            {"bar": each.bar.text, "limit": each.bar.limit, "measured": each.measured, "held": each.is_held}
            for each in verdicts
        ],
        "rows": rows,
        "absent": dict(absent),
        "hardware": asdict(hardware),
    }


def put_into(page: str, text: str) -> None:
    """Between the marks of a page. Raises ValueError where it has none, OSError where it cannot be written."""
    old = Path(page).read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    Path(page).write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def _bars(verdicts: Sequence[Verdict]) -> str:
    lines = [_line(("bar", "measured", "")), _line(("---", "--:", "---"), "")]
    for each in verdicts:
        measured = f"{each.measured:.2f} times" if each.bar.of else f"{each.measured:,.0f}"
        lines.append(_line((each.bar.text, measured, "held" if each.is_held else "**missed**")))
    return "\n".join(lines)


def _table(row: Row, sides: Mapping[Side, Figures], cores: int) -> str:
    heads = [head for head in _HEADS[row.kind] if head != CONSUMER or max(len(side.works) for side in sides) > 1]
    if CONSUMER not in heads:
        heads = [CLIENT if head == PRODUCER else head for head in heads]
    rules = ["---" if head == "the limit" else "--:" for head in heads]
    lines = [f"**{row.title}** (`{row.key}`)", ""]
    lines += [_line(("side", *heads)), _line(("---", *rules), "")]
    lines += [_line((side.name, *_cells(row, side, each, cores))) for side, each in sides.items()]
    return "\n".join(lines)


def _cells(row: Row, side: Side, each: Figures, cores: int) -> Sequence[str]:
    if row.kind == MEMORY:
        return _number(each.ready_bytes, ",.0f"), _number(each.leased_bytes, ",.0f")
    workers = [f"{one:.2f}" for one in each.worker_microseconds]
    cpu = [_number(each.server_microseconds, ".2f"), *workers]
    if row.kind == RATE:
        spread = f"{each.least:,.0f} to {each.most:,.0f}"
        return _number(each.rate, ",.0f"), spread, *cpu, limit(side, each, cores)
    return _number(each.p50, ",.0f"), _number(each.p99, ",.0f"), f"{each.least:,.0f} to {each.most:,.0f}", *cpu


def _how(results: Results, hardware: Hardware, options: BrokersOptions) -> str:
    names = list(dict.fromkeys(side.server for sides in results.values() for side in sides))
    load = options.load
    rounds = "one round" if options.rounds == 1 else f"{options.rounds} rounds"
    lines = [
        f"Medians of {rounds} of {load.seconds:g} s, sides in turn; asyncio on {load.loop}. us are of processor time",
        f"  for a message. Memory was measured once, with {load.messages:,} messages (one by one: a fifth).",
        *(f"{_versions(name)}: {CONFIGURATIONS[name]}." for name in names),
        machine(hardware) + ".",
    ]
    if options.note:
        lines.insert(0, options.note)
    return "\n".join(line if line.startswith(" ") else f"- {line}" for line in lines)


def _versions(name: str) -> str:
    if name == QUICKPULSE:
        return "QuickPulse"
    clients = ", ".join(f"{each} {metadata.version(each)}" for each in CLIENTS[name])
    return f"{name} {version(name)} ({clients})"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _line(cells: Sequence[str], space: str = " ") -> str:
    return "|" + "|".join(f"{space}{cell}{space}" for cell in cells) + "|"
