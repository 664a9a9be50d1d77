"""One measured curve as a PNG: the processor time for a message, and the rate below it."""

from __future__ import annotations

from collections.abc import Sequence

from perf.compare.report import machine
from perf.hardware import Hardware
from perf.scale.curves import AXES, Curve, Point

COST_COLOUR, RATE_COLOUR = "#2563eb", "#ea580c"

SIZE_INCHES = (8.0, 5.5)
DOTS_PER_INCH = 130

FLAT_TOP = 3
"""The axis of cost goes up to so many times the highest, so that a flat curve looks flat."""


def draw(path: str, curve: Curve, points: Sequence[Point], hardware: Hardware) -> None:
    """Writes the PNG. Raises OSError where the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=SIZE_INCHES, layout="constrained")
    try:
        at = [point.at for point in points]
        above.plot(at, [point.microseconds or 0.0 for point in points], "o-", color=COST_COLOUR)
        above.set_ylabel("server's processor time\n(us a message)")
        below.plot(at, [point.figures.rate for point in points], "o-", color=RATE_COLOUR)
        below.set_ylabel("messages/s")
        below.yaxis.set_major_formatter(EngFormatter())
        below.set_xlabel(AXES[curve.axis])
        for axes in (above, below):
            axes.set_xscale("symlog", linthresh=max(1, min(filter(None, at), default=1)))
            axes.grid(True, color="#e4e4e7", linewidth=0.7)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
            if curve.axis == "payload":  # linear in bytes is a straight line here, above what a message costs
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, FLAT_TOP * axes.get_ylim()[1] / 2)
        figure.suptitle(f"{curve.kind} against {AXES[curve.axis]}", fontsize=12)
        figure.supxlabel(machine(hardware), fontsize=5, color="#71717a")
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    finally:
        pyplot.close(figure)
