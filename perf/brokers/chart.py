"""A comparison of brokers as a PNG: rates, times or memory, as each row has them."""

from __future__ import annotations

from collections.abc import Mapping

from perf import panels
from perf.brokers.figures import Figures
from perf.brokers.rows import LATENCY, MEMORY, QUICKPULSE, RATE, Row, Side
from perf.hardware import Hardware
from perf.panels import Bar, Panel

TITLE = "v1 and other brokers, each with its Python client; medians of the rounds"

UNITS = {
    RATE: "messages a second; the line goes from slowest to fastest (more is better)",
    LATENCY: "microseconds, p50 (less is better)",
    MEMORY: "bytes a message when it is ready (less is better)",
}


def draw(path: str, results: Mapping[Row, Mapping[Side, Figures]], hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    drawn = [
        Panel(f"{row.title}\n{UNITS[row.kind]}", [_bar(row, *each) for each in sides.items()])
        for row, sides in results.items()
    ]
    panels.draw(path, TITLE, drawn, hardware)


def _bar(row: Row, side: Side, each: Figures) -> Bar:
    colour = panels.OUR_COLOUR if side.server == QUICKPULSE else panels.STOCK_COLOUR
    if row.kind == RATE:
        return Bar(side.name, each.rate or 0.0, each.least, each.most, f"{each.rate:,.0f}", colour)
    if row.kind == LATENCY:
        return Bar(side.name, each.p50 or 0.0, each.least, each.most, f"{each.p50:,.0f}  (p99 {each.p99:,.0f})", colour)
    ready = each.ready_bytes or 0.0
    leased = "" if each.leased_bytes is None else f"  (leased {each.leased_bytes:,.0f})"
    return Bar(side.name, ready, ready, ready, f"{ready:,.0f}{leased}", colour)
