"""A comparison as a PNG: rates, and how many times stock's they are."""

from __future__ import annotations

from collections.abc import Mapping

from perf import panels
from perf.compare.figures import Figures
from perf.compare.servers import ECHO, OURS, STOCK
from perf.hardware import Hardware
from perf.load.rows import Row
from perf.panels import Bar, Panel

TITLE = "messages a second, median of the rounds; the line goes from slowest to fastest"

COLOURS = {OURS: panels.OUR_COLOUR, STOCK: panels.STOCK_COLOUR, ECHO: panels.ECHO_COLOUR}


def draw(path: str, results: Mapping[Row, Mapping[str, Figures]], hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    drawn = [Panel(row.text, [_bar(*each) for each in servers.items()]) for row, servers in results.items()]
    panels.draw(path, TITLE, drawn, hardware)


def _bar(name: str, each: Figures) -> Bar:
    ratio = "" if each.to_stock is None else f"  ({each.to_stock:.1f} times stock)"
    colour = COLOURS.get(name, panels.OTHER_COLOUR)
    return Bar(name, each.rate, each.slowest, each.fastest, f"{each.rate:,.0f}{ratio}", colour)
