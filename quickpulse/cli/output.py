"""What goes to stdout: tables, JSON, bytes. Numbers and payloads as people read them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

WIDE = 100_000
"""Columns where there is no terminal: nothing is cut for a program."""

GAP = 2
"""Blanks between two columns."""

LEAST_NAME = 20
"""Columns of the screen that what begins a row keeps: what has no room beside it is left out."""

WHOLE_NAME = 40
"""Up to here it is not cut while there is a column that says nothing."""

NOTHING = ("0", "0 B", "-")
"""What says nothing."""

UNITS = ("KiB", "MiB", "GiB", "TiB")


def console() -> Console:
    """Of stdout. What stands in a message is never taken for markup."""
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else WIDE, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Sequence[str] = (),
    folds: bool = False,
    note: str = "",
) -> Table:
    """A table as wide as the screen. What begins a row and those in `left` are texts, the rest are numbers.

    Each row is one line: on a narrow screen columns that say nothing go first, then the first is cut in its middle,
    and then other columns go, from the right.

    :param folds: what begins a row goes on in the next line, and is not cut.
    :param note: stands below it.
    """
    lines = [columns, *rows]
    room = console().width
    widths = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
    places = fitting(lines, widths, room)
    name_width = room - sum(widths[place] + GAP for place in places[1:])
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for place in places:
        if place == 0:
            made.add_column(columns[0], overflow="fold")
        else:
            made.add_column(columns[place], justify="left" if columns[place] in left else "right", no_wrap=True)
    missing = [columns[place] for place in sorted({*range(len(columns))} - {*places}) if not says_nothing(lines, place)]
    notes = [*([note] if note else []), *([f"no room for {', '.join(missing)}"] if missing else [])]
    if notes:
        made.caption, made.caption_style, made.caption_justify = "\n".join(notes), "", "left"
    for row in lines[1:]:
        made.add_row(row[0] if folds else middle(row[0], name_width), *(row[place] for place in places[1:]))
    return made


def fitting(lines: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> list[int]:
    """The places of the columns that there is room for."""
    places = list(range(len(widths)))
    empty = [place for place in places[1:] if says_nothing(lines, place)]
    steps = [(place, WHOLE_NAME) for place in reversed(empty)] + [(place, LEAST_NAME) for place in reversed(places[1:])]
    for place, most in steps:
        if min(widths[0], most) + sum(widths[each] + GAP for each in places[1:]) <= room:
            break
        if place in places:
            places.remove(place)
    return places


def says_nothing(lines: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column is of nothing but zeros."""
    return all(line[place] in NOTHING for line in lines[1:])


def middle(text: str, width: int) -> str:
    """Cut in its middle where it is wider than that, as names differ at their ends; no name has a ~ of its own."""
    if len(text) <= width:
        return text
    end = max(width - 1, 0) // 2
    return f"{text[: max(width - 1, 0) - end]}~{text[len(text) - end :]}"


def show(what: Table) -> None:
    """Write a table, without spaces at the ends of lines."""
    screen = console()
    with screen.capture() as captured:
        screen.print(what)
    click.echo("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), nl=False)


def show_json(value: Any) -> None:
    """One value, on one line. It is ASCII: nothing in a message reaches the terminal as more than text."""
    click.echo(json.dumps(value))


def write(data: bytes) -> None:
    """Bytes, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def forget_stdout() -> None:
    """Its reader has gone: what is still buffered goes nowhere, and nobody complains about it at the end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):  # no file: there is nothing to be forgotten
        pass


def number(value: int) -> str:
    """1,234,567."""
    return f"{value:,}"


def size(count: int) -> str:
    """Bytes, in the unit that suits."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, len(UNITS))
    return f"{count / 1024**power:.1f} {UNITS[power - 1]}"


def duration(ms: int) -> str:
    """Milliseconds, in the two units that suit."""
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    hours = seconds // 3600
    return f"{hours} h {seconds % 3600 // 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def readable(payload: bytes) -> str:
    """A payload as text that does nothing to a terminal: what cannot be shown is escaped."""
    text = payload.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
