"""The budget of each path: its parts, the whole, and what lies between the parts; as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perf.micro.layers import Layer, Place

BETWEEN = "between the layers"


@dataclass(frozen=True)
class Line:
    """One line: name, place, and nanoseconds by size of batch."""

    name: str
    place: Place
    nanoseconds: Mapping[int, float]


def budget(measured: Mapping[Layer, Mapping[int, float]]) -> dict[str, list[Line]]:
    """Path -> lines; before the whole stands what it takes beyond its parts."""
    paths: dict[str, list[Line]] = {}
    for layer, costs in measured.items():
        lines = paths.setdefault(layer.path, [])
        if layer.place is Place.WHOLE:
            parts = [line.nanoseconds for line in lines if line.place is Place.PART]
            rest = {batch: cost - sum(part[batch] for part in parts) for batch, cost in costs.items()}
            lines.append(Line(BETWEEN, Place.PART, rest))
        lines.append(Line(layer.name, layer.place, costs))
    return paths


def markdown(paths: Mapping[str, Sequence[Line]], batches: Sequence[int]) -> str:
    """A table; a part that is inside another is indented, the whole is bold."""
    head = ["path", "layer", *(f"{batch} in a read" for batch in batches)]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * len(batches)]
    for path, its_lines in paths.items():
        for line in its_lines:
            costs = [f"{line.nanoseconds[batch]:,.0f}" for batch in batches]
            cells = [path, line.name, *costs]
            if line.place is Place.INSIDE:
                cells[1] = f"&nbsp;&nbsp;{line.name}"
            elif line.place is Place.WHOLE:
                cells[1:] = [f"**{cell}**" for cell in cells[1:]]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
