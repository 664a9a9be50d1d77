"""Throughput and latency over time, as a PNG. matplotlib is imported only where a graph is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perf.hardware import Hardware
from perf.options import Options
from perf.outcome import Outcome
from perf.timeline import Slice

PUBLISH_COLOUR, RECEIVE_COLOUR = "#2563eb", "#ea580c"

SIZE_INCHES = (11.0, 7.0)
DOTS_PER_INCH = 130

MAX_POINTS = 400
"""Slices are averaged down to this many, so that a long run stays readable."""


def draw(path: str, options: Options, outcome: Outcome, hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=SIZE_INCHES, layout="constrained")
    try:
        _draw_throughput(above, outcome)
        _draw_latency(below, outcome.slices)
        _label(figure, options, outcome, hardware)
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    finally:
        pyplot.close(figure)


def _draw_throughput(axes: Any, outcome: Outcome) -> None:
    from matplotlib.ticker import EngFormatter

    slices = outcome.slices
    times, published = _averaged(slices, [each.published_per_second for each in slices])
    _, received = _averaged(slices, [each.received_per_second for each in slices])
    for values, colour, label, mean in (
        (published, PUBLISH_COLOUR, "published", outcome.published_per_second),
        (received, RECEIVE_COLOUR, "received", outcome.received_per_second),
    ):
        axes.plot(times, values, color=colour, linewidth=1.8, label=f"{label}, {mean:,.0f} on average")
        axes.fill_between(times, values, color=colour, alpha=0.06)
    axes.set_ylabel("throughput (messages/s)")
    axes.yaxis.set_major_formatter(EngFormatter())
    axes.set_ylim(bottom=0)
    _finish(axes)


def _draw_latency(axes: Any, slices: Sequence[Slice]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    drawn = False
    for name, colour, label in (
        ("publish", PUBLISH_COLOUR, "publish"),
        ("end_to_end", RECEIVE_COLOUR, "end to end"),
    ):
        for percentile, style in (("p50", "-"), ("p99", "--")):
            values = [getattr(getattr(each, name), percentile) for each in slices]
            points = [(each.at, value) for each, value in zip(slices, values, strict=True) if value is not None]
            if points:
                drawn = True
                times, heights = zip(*points, strict=True)
                axes.plot(times, heights, style, color=colour, linewidth=1.5, label=f"{label}, {percentile}")
    axes.set_ylabel("latency (ms, logarithmic)")
    axes.set_xlabel("time since the start (s)")
    if drawn:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    _finish(axes)


def _finish(axes: Any) -> None:
    axes.grid(True, which="major", color="#d4d4d8", linewidth=0.7)
    axes.grid(True, which="minor", axis="y", color="#e4e4e7", linewidth=0.4)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.set_xlim(left=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _label(figure: Any, options: Options, outcome: Outcome, hardware: Hardware) -> None:
    verdict = "checks passed" if not outcome.faults else f"{len(outcome.faults)} checks FAILED"
    figure.suptitle(
        f"QuickPulse, mode {options.mode}: {options.producers} producers, {options.consumers} consumers, "
        f"{options.in_flight} in flight, {options.payload_bytes:,} bytes ({verdict})",
        fontsize=13,
        fontweight="bold",
    )
    figure.supxlabel(
        f"{hardware.cpu}, {hardware.cores} cores, {hardware.system}, {hardware.python}, "
        f"uvloop {hardware.uvloop}; the load used {outcome.processor.load:.0%} of a core",
        fontsize=8,
        color="#71717a",
    )


def _averaged(slices: Sequence[Slice], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """(times, values), neighbours averaged so that there are MAX_POINTS at most."""
    together = -(-len(slices) // MAX_POINTS) or 1
    times, means = [], []
    for first in range(0, len(slices), together):
        part = values[first : first + together]
        times.append(slices[min(first + together, len(slices)) - 1].at)
        means.append(sum(part) / len(part))
    return times, means
