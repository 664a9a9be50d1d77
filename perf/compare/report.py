"""A comparison as a Markdown table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from perf.compare.figures import Figures
from perf.hardware import Hardware
from perf.load.rows import DEFAULT_PAYLOAD_BYTES, Row

JSON_FORM = 1
"""Goes up when a field of the JSON changes its meaning or disappears."""

LIMITED = "the load is the limit: the server may be faster"

_COLUMNS = (
    ("row", "---"),
    ("server", "---"),
    ("messages/s", "--:"),
    ("slowest to fastest", "--:"),
    ("to stock", "--:"),
    ("to echo", "--:"),
    ("server CPU, us/message", "--:"),
    ("server CPU", "--:"),
    ("load CPU", "--:"),
    ("", "---"),
)


def markdown(results: Mapping[Row, Mapping[str, Figures]], hardware: Hardware, how: str) -> str:
    """The table, with a line on how it was made and on what machine.

    how: rounds and pinning, for people
    """
    lines = [_line([name for name, _ in _COLUMNS]), _line([rule for _, rule in _COLUMNS], "")]
    lines += [_line(_cells(row, name, each)) for row, servers in results.items() for name, each in servers.items()]
    return "\n".join([*lines, "", how, machine(hardware), ""])


def as_json(
    results: Mapping[Row, Mapping[str, Figures]], hardware: Hardware, options: dict[str, Any]
) -> dict[str, Any]:
    """The whole result; rates in messages a second."""
    rows = [
        {"row": row.text, "options": asdict(row), "servers": {name: asdict(each) for name, each in servers.items()}}
        for row, servers in results.items()
    ]
    return {"form": JSON_FORM, "options": options, "rows": rows, "hardware": asdict(hardware)}


def machine(hardware: Hardware) -> str:
    """On what it was measured, in one line."""
    return (
        f"{hardware.cpu}, {hardware.cores} cores, {hardware.memory_bytes / 2**30:.1f} GiB, {hardware.system}, "
        f"{hardware.python}, uvloop {hardware.uvloop}, grpcio {hardware.grpcio}, Twisted {hardware.twisted}, "
        f"quickpulse {hardware.quickpulse}"
    )


def _cells(row: Row, name: str, each: Figures) -> Sequence[str]:
    remarks = [LIMITED] if each.is_load_limited else []
    if row.payload != DEFAULT_PAYLOAD_BYTES:
        remarks.insert(0, f"{each.rate * row.payload / 2**20:,.0f} MiB/s")
    return (
        row.text,
        name,
        f"{each.rate:,.0f}",
        f"{each.slowest:,.0f} to {each.fastest:,.0f}",
        _number(each.to_stock, ".2f"),
        _number(each.to_echo, ".2f"),
        _number(each.server_microseconds, ".2f"),
        _number(each.server_share, ".0%"),
        f"{each.load_share:.0%}",
        "; ".join(remarks),
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _line(cells: Sequence[str], space: str = " ") -> str:
    return "|" + "|".join(f"{space}{cell}{space}" for cell in cells) + "|"
