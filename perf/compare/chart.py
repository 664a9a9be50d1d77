"""A comparison as a PNG: a panel for each row, a bar for each server, lines for slowest and fastest."""

from __future__ import annotations

from collections.abc import Mapping

from perf.compare.figures import Figures
from perf.compare.report import machine
from perf.compare.servers import ECHO, OURS, STOCK
from perf.hardware import Hardware
from perf.load.rows import Row

COLOURS = {OURS: "#2563eb", STOCK: "#a1a1aa", ECHO: "#d4d4d8"}
OTHER_COLOUR = "#ea580c"

WIDTH_INCHES, BAR_INCHES, PANEL_INCHES = 10.0, 0.32, 0.5
DOTS_PER_INCH = 130


def draw(path: str, results: Mapping[Row, Mapping[str, Figures]], hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

    heights = [len(servers) for servers in results.values()]
    size = (WIDTH_INCHES, sum(heights) * BAR_INCHES + len(heights) * PANEL_INCHES + 1.0)
    figure, panels = pyplot.subplots(
        len(heights), 1, figsize=size, layout="constrained", squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    try:
        for axes, (row, servers) in zip(panels[:, 0], results.items(), strict=True):
            _draw_row(axes, row, servers)
            axes.xaxis.set_major_formatter(EngFormatter())
        figure.suptitle("messages a second, median of the rounds; the line goes from slowest to fastest", fontsize=11)
        figure.supxlabel(machine(hardware), fontsize=6, color="#71717a")
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    finally:
        pyplot.close(figure)


def _draw_row(axes, row: Row, servers: Mapping[str, Figures]) -> None:  # type: ignore[no-untyped-def] # matplotlib's
    for place, (name, each) in enumerate(servers.items()):
        axes.barh(place, each.rate, color=COLOURS.get(name, OTHER_COLOUR), height=0.7)
        axes.plot((each.slowest, each.fastest), (place, place), color="#18181b", linewidth=1.2)
        ratio = "" if each.to_stock is None else f"  ({each.to_stock:.1f} times stock)"
        axes.annotate(
            f"{each.rate:,.0f}{ratio}",
            (each.fastest, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(servers)), list(servers), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(each.fastest for each in servers.values()) * 1.35)
    axes.set_title(row.text, fontsize=9, loc="left")
    axes.tick_params(axis="x", labelsize=7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
