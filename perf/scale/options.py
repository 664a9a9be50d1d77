"""The command line of `python -m perf scale`, as one frozen object."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from perf.arguments import whole
from perf.load.rows import MODES, MOST_CONNECTIONS, MOST_MESSAGES, MOST_PAYLOAD_BYTES
from perf.scale.curves import AXES, DEFAULT_POINTS, Curve

LEAST = {"connections": 1, "idle": 0, "depth": 0, "payload": 1}
MOST = {
    "connections": MOST_CONNECTIONS,
    "idle": MOST_CONNECTIONS,
    "depth": MOST_MESSAGES,
    "payload": MOST_PAYLOAD_BYTES,
}

DEFAULT_MESSAGES = 500_000
"""Of each point: a second or less. Large payloads lessen them; ten thousand connections are served more than once."""


@dataclass(frozen=True)
class ScaleOptions:
    """One run.

    curves: what is measured
    messages: of each point
    rounds: times that each point is measured
    ours: further options of our server
    is_pinned: server and load keep to a core each
    silence_seconds: after which an answer is taken for lost
    json: file to write
    png: folder for a chart of each curve
    """

    curves: tuple[Curve, ...]
    messages: int = DEFAULT_MESSAGES
    rounds: int = 1
    ours: tuple[str, ...] = ()
    is_pinned: bool = False
    silence_seconds: float = 30.0
    json: str | None = None
    png: str | None = None


def parse(arguments: Sequence[str]) -> ScaleOptions:
    """The options of a command line. Exits with status 2 on an error."""
    given = _parser().parse_args(arguments)
    chosen = {axis: getattr(given, axis) for axis in AXES if getattr(given, axis) is not None}
    chosen = chosen or DEFAULT_POINTS
    return ScaleOptions(
        curves=tuple(
            Curve(kind, axis, points) for kind in dict.fromkeys(given.kinds) for axis, points in chosen.items()
        ),
        messages=given.messages,
        rounds=given.rounds,
        ours=tuple(shlex.split(given.ours)),
        is_pinned=given.pin,
        json=given.json,
        png=given.png,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m perf scale",
        description="Measure what a message costs our server against connections, depth and payload. "
        "Without an axis all are measured, with their usual points.",
        epilog="Exit status: 0 every answer was right, 1 one was not, 2 wrong usage, 5 the server did not start.",
        allow_abbrev=False,
    )
    parser.add_argument("kinds", nargs="*", type=_kind, default=["ws-publish"], metavar="KIND", help=", ".join(MODES))
    for axis, meaning in AXES.items():
        usual = ",".join(map(str, DEFAULT_POINTS[axis]))
        parser.add_argument(f"--{axis}", type=_points(axis), metavar="N,N...", help=f"{meaning} (usually {usual})")
    parser.add_argument("--messages", type=whole(1, MOST_MESSAGES), default=DEFAULT_MESSAGES, metavar="N")
    parser.add_argument("--rounds", type=whole(1, 99), default=1, metavar="N")
    parser.add_argument("--ours", default="", metavar="OPTIONS", help='for our server: --ours "--ws-frames plain"')
    parser.add_argument("--pin", action="store_true", help="keep server and load to a core each")
    parser.add_argument("--json", metavar="FILE", help="write the whole result")
    parser.add_argument("--png", metavar="FOLDER", help="draw each curve")
    return parser


def _kind(text: str) -> str:
    if text not in MODES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(MODES)}")
    return text


def _points(axis: str):  # type: ignore[no-untyped-def] # what argparse calls a type
    number = whole(LEAST[axis], MOST[axis])

    def read(text: str) -> tuple[int, ...]:
        return tuple(sorted({number(part) for part in text.split(",")}))

    return read
