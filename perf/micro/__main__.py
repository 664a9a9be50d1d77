"""`python -m perf.micro`: the table of what a message costs in each layer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from perf import hardware
from perf.arguments import whole
from perf.compare.report import machine
from perf.micro import grpc, websocket
from perf.micro.budget import budget, markdown
from perf.micro.layers import nanoseconds

LAYERS = (*websocket.LAYERS, *grpc.LAYERS)

BATCHES = (1, 20, 200)
"""Messages in a read: one in flight, a client's usual window, and a deep one."""

JSON_FORM = 1
"""Goes up when a field of the JSON changes its meaning or disappears."""

MESSAGES, SAMPLES = 20_000, 7

MOST = 10_000_000
"""Of each; nobody waits for more."""


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    given = _parser().parse_args(arguments)
    chosen = [layer for layer in LAYERS if given.path in layer.path]
    if not chosen:
        _parser().error(f"no path has {given.path!r} in its name")
    measured = {
        layer: {batch: nanoseconds(layer, batch, given.messages, given.samples) for batch in BATCHES}
        for layer in chosen
    }
    where = hardware.describe()
    print(markdown(budget(measured), BATCHES))
    print(
        f"\nNanoseconds a message of 11 bytes, the fastest of {given.samples} samples; no sockets.\n{machine(where)}\n"
    )
    if given.json is not None:
        figures = [
            {"path": layer.path, "layer": layer.name, "place": layer.place.value, "nanoseconds": costs}
            for layer, costs in measured.items()
        ]
        text = json.dumps({"form": JSON_FORM, "layers": figures, "hardware": asdict(where)}, indent=1)
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perf.micro", description=__doc__, allow_abbrev=False)
    parser.add_argument("path", nargs="?", default="", help="only paths with this in their name, such as Produce")
    parser.add_argument("--messages", type=whole(1, MOST), default=MESSAGES, metavar="N", help="of a sample")
    parser.add_argument(
        "--samples", type=whole(1, MOST), default=SAMPLES, metavar="N", help="the fastest of which counts"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
