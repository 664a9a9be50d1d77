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
    RATE: "messages a second; the line goes from slowest to fastest (more is better)",
    LATENCY: "microseconds, p50 (less is better)",
    MEMORY: "bytes a message when it is ready (less is better)",
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
    axes.set_xlim(0, max(max(ends) * 1.3, 1.0))
    axes.set_title(f"{row.title}\n{UNITS[row.kind]}", fontsize=8, loc="left")
    axes.tick_params(axis="x", labelsize=7)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)


def _bar(row: Row, each: Figures) -> tuple[float, float, float, str]:
    """Its length, where its line begins and ends, and what stands beside it."""
    if row.kind == RATE:
        return each.rate or 0.0, each.least, each.most, f"{each.rate:,.0f}"
    if row.kind == LATENCY:
        return each.p50 or 0.0, each.least, each.most, f"{each.p50:,.0f}  (p99 {each.p99:,.0f})"
    ready = each.ready_bytes or 0.0
    leased = "" if each.leased_bytes is None else f"  (leased {each.leased_bytes:,.0f})"
    return ready, ready, ready, f"{ready:,.0f}{leased}"
