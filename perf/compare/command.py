"""`python -m perf compare`: every round starts every server of every row in turn; then the table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from perf import hardware
from perf.compare import chart, report
from perf.compare.figures import Figures, figures
from perf.compare.measure import Measurement, WrongRunError, measure
from perf.compare.options import CompareOptions, parse
from perf.compare.process import ServerEndedError
from perf.compare.servers import make_server, names_for, sized
from perf.load.files import raise_file_limit
from perf.load.rows import Row
from perf.outcome import CHECK_FAILED, UNAVAILABLE
from perf.spawn import SpawnError

INTERRUPTED = 130

BROKERS = "brokers"
"""In place of rows: a comparison of its own kind, with a command line of its own."""


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    if arguments and arguments[0] == BROKERS:
        status: int = import_module("perf.brokers.command").main(arguments[1:])
        return status
    options = parse(arguments)
    raise_file_limit()
    return guarded(lambda: _tell(options, run(options)))


def guarded(work: Callable[[], int]) -> int:
    """What `work` returns, or the exit status and the line that say why there are no figures."""
    try:
        return work()
    except (WrongRunError, ServerEndedError) as error:
        print(f"FAULT: {error}", file=sys.stderr)
        return CHECK_FAILED
    except SpawnError as error:
        print(f"a server did not start: {error}", file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def run(options: CompareOptions) -> dict[Row, dict[str, Figures]]:
    """All rounds. Raises at the first measurement that is worth nothing."""
    measured: dict[Row, dict[str, list[Measurement]]] = {row: {} for row in options.rows}
    for number in range(options.rounds):
        for row in options.rows:
            for name in names_for(row, options.servers, options.others):
                each = _measure(options, row, name)
                measured[row].setdefault(name, []).append(each)
                print(f"round {number + 1}: {row.text} on {name}: {each.rate:,.0f}/s", file=sys.stderr, flush=True)
    return {row: figures(servers) for row, servers in measured.items() if servers}


def _measure(options: CompareOptions, row: Row, name: str) -> Measurement:
    row = sized(row, name)
    server = make_server(row, name, options.ours, options.others)
    return measure(row, server, options.is_pinned, options.silence_seconds)


def _tell(options: CompareOptions, results: dict[Row, dict[str, Figures]]) -> int:
    machine = hardware.describe()
    pinned = "server and load pinned to cores" if options.is_pinned else "not pinned"
    print(report.markdown(results, machine, f"Medians of {options.rounds} rounds, servers in turn; {pinned}."))
    try:
        if options.json is not None:
            text = json.dumps(report.as_json(results, machine, asdict(options)), indent=1)
            Path(options.json).write_text(text + "\n", encoding="utf-8")
        if options.png is not None:
            chart.draw(options.png, results, machine)
    except OSError as error:
        print(f"not written: {error}", file=sys.stderr)
        return CHECK_FAILED
    return 0
