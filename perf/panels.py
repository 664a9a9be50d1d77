"""Bars beside each other as a PNG: a panel for each row, a bar for each server, lines for slowest and fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perf.compare.report import machine
from perf.hardware import Hardware

OUR_COLOUR, STOCK_COLOUR, ECHO_COLOUR, OTHER_COLOUR = "#2563eb", "#a1a1aa", "#d4d4d8", "#ea580c"
LINE_COLOUR, SMALL_COLOUR = "#18181b", "#71717a"

WIDTH_INCHES, BAR_INCHES, LINE_INCHES = 10.0, 0.32, 0.2
DOTS_PER_INCH = 130


@dataclass(frozen=True)
class Bar:
    """One server.

    low, high: where its line begins and ends
    text: beside it
    """

    name: str
    value: float
    low: float
    high: float
    text: str
    colour: str


@dataclass(frozen=True)
class Panel:
    """One row; its title may have several lines."""

    title: str
    bars: Sequence[Bar]


def draw(path: str, title: str, panels: Sequence[Panel], hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

    heights = [len(panel.bars) for panel in panels]
    lines = sum(2 + panel.title.count("\n") for panel in panels) + 5
    figure, places = pyplot.subplots(
        len(panels),
        1,
        figsize=(WIDTH_INCHES, sum(heights) * BAR_INCHES + lines * LINE_INCHES),
        layout="constrained",
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    try:
        for axes, panel in zip(places[:, 0], panels, strict=True):
            _draw_panel(axes, panel)
            axes.xaxis.set_major_formatter(EngFormatter())
        figure.suptitle(title, fontsize=11)
        figure.supxlabel(machine(hardware), fontsize=6, color=SMALL_COLOUR)
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    finally:
        pyplot.close(figure)


def _draw_panel(axes, panel: Panel) -> None:  # type: ignore[no-untyped-def] # matplotlib's
    for place, bar in enumerate(panel.bars):
        axes.barh(place, bar.value, color=bar.colour, height=0.7)
        axes.plot((bar.low, bar.high), (place, place), color=LINE_COLOUR, linewidth=1.2)
        axes.annotate(bar.text, (bar.high, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(panel.bars)), [bar.name for bar in panel.bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, *(bar.high * 1.35 for bar in panel.bars)))
    axes.set_title(panel.title, fontsize=8, loc="left")
    axes.tick_params(axis="x", labelsize=7)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
