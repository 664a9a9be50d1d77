"""A comparison as a PNG: a panel for each row, a bar for each side."""

from __future__ import annotations

from collections.abc import Mapping

from perf.brokers.figures import Figures
from perf.brokers.rows import LATENCY, MEMORY, QUICKPULSE, RATE, Row, Side
from perf.compare.chart import BAR_INCHES, COLOURS, DOTS_PER_INCH, PANEL_INCHES, WIDTH_INCHES
from perf.compare.report import machine
from perf.compare.servers import OURS, STOCK
from perf.hardware import Hardware

UNITS = {
    RATE: "messages a second (more is better)",
    LATENCY: "microseconds, p50; the line goes to p99 (less is better)",
    MEMORY: "bytes a message when ready; the line goes to leased (less is better)",
}

LINE_COLOUR = "#18181b"


def draw(path: str, results: Mapping[Row, Mapping[Side, Figures]], hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

    heights = [len(sides) for sides in results.values()]
    size = (WIDTH_INCHES, sum(heights) * BAR_INCHES + len(heights) * (PANEL_INCHES + 0.2) + 0.8)
    figure, panels = pyplot.subplots(
        len(heights), 1, figsize=size, layout="constrained", squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    try:
        for axes, (row, sides) in zip(panels[:, 0], results.items(), strict=True):
            _draw_row(axes, row, sides)
            axes.xaxis.set_major_formatter(EngFormatter())
        figure.suptitle("v1 and other brokers, each with its Python client; medians of the rounds", fontsize=11)
        figure.supxlabel(machine(hardware), fontsize=6, color="#71717a")
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    finally:
        pyplot.close(figure)


def _draw_row(axes, row: Row, sides: Mapping[Side, Figures]) -> None:  # type: ignore[no-untyped-def] # matplotlib's
    ends = []
    for place, (side, each) in enumerate(sides.items()):
        value, low, high, text = _bar(row, each)
        ends.append(high)
        axes.barh(place, value, color=COLOURS[OURS if side.server == QUICKPULSE else STOCK], height=0.7)
        axes.plot((low, high), (place, place), color=LINE_COLOUR, linewidth=1.2)
        axes.annotate(text, (high, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(sides)), [side.name for side in sides], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(ends) * 1.25)
    axes.set_title(f"{row.title}\n{UNITS[row.kind]}", fontsize=8, loc="left")
    axes.tick_params(axis="x", labelsize=7)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)


def _bar(row: Row, each: Figures) -> tuple[float, float, float, str]:
    """Its length, where its line begins and ends, and what stands beside it."""
    if row.kind == RATE:
        return each.rate or 0.0, each.least, each.most, f"{each.rate:,.0f}"
    first, second = (each.p50, each.p99) if row.kind == LATENCY else (each.ready_bytes, each.leased_bytes)
    first = first or 0.0
    if second is None:
        return first, first, first, f"{first:,.0f}"
    return first, first, max(first, second), f"{first:,.0f}, {second:,.0f}"
