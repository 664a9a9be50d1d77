"""Measured curves as Markdown tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from perf.compare.report import LIMITED, machine
from perf.hardware import Hardware
from perf.scale.curves import AXES, Curve, Point

JSON_FORM = 1
"""Goes up when a field of the JSON changes its meaning or disappears."""


def markdown(results: Mapping[Curve, Sequence[Point]], hardware: Hardware, how: str) -> str:
    """A table for each curve.

    how: messages, rounds and pinning, for people
    """
    return "\n".join([*(_table(curve, points) for curve, points in results.items()), how, machine(hardware), ""])


def as_json(results: Mapping[Curve, Sequence[Point]], hardware: Hardware, options: dict[str, Any]) -> dict[str, Any]:
    """The whole result."""
    curves = [{**asdict(curve), "measured": [asdict(point) for point in points]} for curve, points in results.items()]
    return {"form": JSON_FORM, "options": options, "curves": curves, "hardware": asdict(hardware)}


def _table(curve: Curve, points: Sequence[Point]) -> str:
    is_payload = curve.axis == "payload"
    columns = [AXES[curve.axis], "messages/s", "server CPU, us/message", "to the first", "server CPU", "load CPU"]
    columns += ["MiB/s", "ns for each byte more"] if is_payload else ["memory, MiB", "bytes for each more"]
    lines = [f"{curve.kind}:", "", _line([*columns, ""]), "|" + "--:|" * len(columns) + "---|"]
    for point in points:
        each = point.figures
        cells = [
            f"{point.at:,}",
            f"{each.rate:,.0f}",
            _number(point.microseconds, ".2f"),
            _number(point.to_first, ".2f"),
            _number(each.server_share, ".0%"),
            f"{each.load_share:.0%}",
        ]
        if is_payload:
            cells += [f"{each.rate * point.at / 2**20:,.1f}", _number(point.nanoseconds_a_byte, ".2f")]
        else:
            held = None if each.server_bytes is None else each.server_bytes / 2**20
            cells += [_number(held, ",.0f"), _number(point.bytes_each, ",.0f")]
        lines.append(_line([*cells, LIMITED if each.is_load_limited else ""]))
    return "\n".join([*lines, ""])


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
