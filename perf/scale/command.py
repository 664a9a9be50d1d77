"""`python -m perf scale`: every round measures every point of every curve on a server of its own; then the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from perf import hardware
from perf.compare.command import guarded
from perf.compare.figures import figures
from perf.compare.measure import Measurement, measure
from perf.compare.servers import OURS, make_server
from perf.load.files import raise_file_limit
from perf.load.rows import Row
from perf.outcome import CHECK_FAILED
from perf.scale import chart, report
from perf.scale.curves import Curve, Point, points
from perf.scale.options import ScaleOptions, parse


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    options = parse(arguments)
    raise_file_limit()
    return guarded(lambda: _tell(options, run(options)))


def run(options: ScaleOptions) -> dict[Curve, list[Point]]:
    """All points. Raises at the first measurement that is worth nothing."""
    rows = {curve: curve.rows(options.messages) for curve in options.curves}
    measured: dict[tuple[Curve, Row], list[Measurement]] = {}
    for _ in range(options.rounds):
        for curve, its_rows in rows.items():
            for row in its_rows:
                server = make_server(row, OURS, options.ours, ())
                each = measure(row, server, options.is_pinned, options.silence_seconds)
                measured.setdefault((curve, row), []).append(each)
                print(f"{row.text}: {each.rate:,.0f}/s", file=sys.stderr, flush=True)
    return {
        curve: points(curve, [figures({OURS: measured[curve, row]})[OURS] for row in its_rows])
        for curve, its_rows in rows.items()
    }


def _tell(options: ScaleOptions, results: dict[Curve, list[Point]]) -> int:
    machine = hardware.describe()
    pinned = "pinned to a core each" if options.is_pinned else "not pinned"
    how = f"{options.messages:,} messages a point (fewer large ones), median of {options.rounds}; {pinned}."
    print(report.markdown(results, machine, how))
    try:
        if options.json is not None:
            text = json.dumps(report.as_json(results, machine, asdict(options)), indent=1)
            Path(options.json).write_text(text + "\n", encoding="utf-8")
        if options.png is not None:
            Path(options.png).mkdir(parents=True, exist_ok=True)
            for curve, its_points in results.items():
                chart.draw(str(Path(options.png) / f"{curve.name}.png"), curve, its_points, machine)
    except OSError as error:
        print(f"not written: {error}", file=sys.stderr)
        return CHECK_FAILED
    return 0
