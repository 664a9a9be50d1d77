"""What goes to stdout: tables, JSON, bytes. Numbers and payloads as people read them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

WIDE = 100_000
"""Columns where there is no terminal: nothing is cut for a program."""

UNITS = ("KiB", "MiB", "GiB", "TiB")


def console() -> Console:
    """Of stdout. What stands in a message is never taken for markup."""
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else WIDE, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()) -> Table:
    """A table; names that begin the row and those in `left` are texts, the rest are numbers, which are never cut."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        if number == 0 or name in left:
            made.add_column(name, overflow="fold")
        else:
            made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


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
