"""`python -m perf compare brokers`: every round measures every side of every row in turn; then the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from perf import hardware
from perf.brokers import chart, report
from perf.brokers.figures import Figures, figures, verdicts
from perf.brokers.measure import Run, measure
from perf.brokers.options import BrokersOptions, parse
from perf.brokers.report import Results
from perf.brokers.rows import MEMORY, Row, Side
from perf.brokers.servers import missing
from perf.compare.command import guarded
from perf.compare.measure import WrongRunError
from perf.compare.process import ServerEndedError
from perf.outcome import CHECK_FAILED
from perf.spawn import SpawnError


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    options = parse(arguments)
    absent = {name: why for name in options.servers if (why := missing(name, _has_module))}
    for name, why in absent.items():
        print(f"{name} is left out: {why}", file=sys.stderr, flush=True)
    return guarded(lambda: _tell(options, *run(options, absent), absent))


def run(options: BrokersOptions, absent: Mapping[str, str]) -> tuple[Results, dict[str, str]]:
    """All rounds, and what is left out because it failed: a side, and why."""
    servers = [name for name in options.servers if name not in absent]
    todo = [(row, side) for row in options.rows for side in row.sides if side.server in servers]
    measured: dict[tuple[Row, Side], list[Run]] = {key: [] for key in todo}
    failed = {}
    for number in range(options.rounds):
        for row, side in todo:
            if (row, side) not in measured or (row.kind == MEMORY and number):
                continue
            try:
                each = _measure(side, options)
            except (WrongRunError, ServerEndedError, SpawnError) as error:
                del measured[row, side]
                failed[f"{row.key} on {side.name}"] = str(error).splitlines()[-1]
                print(f"FAULT: {row.key} on {side.name}: {error}", file=sys.stderr, flush=True)
                continue
            measured[row, side].append(each)
            print(f"round {number + 1}: {row.key} on {side.name}: {each.seconds:.2f} s", file=sys.stderr, flush=True)
    results: dict[Row, dict[Side, Figures]] = {}
    for (row, side), runs in measured.items():
        results.setdefault(row, {})[side] = figures(row, side, runs, options.load)
    return results, failed


def _measure(side: Side, options: BrokersOptions) -> Run:
    """Once more where the first time was worth nothing: one of a hundred measurements must not spoil all others."""
    try:
        return measure(side, options.load)
    except (WrongRunError, ServerEndedError, SpawnError) as error:
        print(f"once more: {side.name}: {error}", file=sys.stderr, flush=True)
        return measure(side, options.load)


def _tell(options: BrokersOptions, results: Results, failed: Mapping[str, str], absent: Mapping[str, str]) -> int:
    machine, bars = hardware.describe(), verdicts(results)
    left_out = {**absent, **failed}
    text = report.markdown(results, bars, left_out, machine, options)
    print(text)
    try:
        if options.json is not None:
            result = report.as_json(results, bars, left_out, machine, options)
            Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if options.png is not None and results:
            chart.draw(options.png, results, machine)
        if options.document is not None:
            report.put_into(options.document, text)
    except (OSError, ValueError) as error:
        print(f"not written: {error}", file=sys.stderr)
        return CHECK_FAILED
    return CHECK_FAILED if failed or not results else 0


def _has_module(name: str) -> bool:
    return find_spec(name) is not None
