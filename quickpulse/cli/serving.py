"""`quickpulse serve`: twistd's application in the foreground, with the same options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from quickpulse.settings import MODE_VARIABLES, MODES, OPTIONS, read_settings

DEFAULT_MODE = "all"

F = Callable[..., Any]


def with_settings(function: F) -> F:
    """Give a command an option for each setting."""
    for option in reversed(OPTIONS):
        function = click.option(
            f"--{option.name}",
            option.field,
            is_flag=option.is_switch,
            metavar=None if option.is_switch else "VALUE",
            help=option.full_help,
        )(function)
    return function


@click.command(short_help="Run the server, in the foreground.")
@click.option(
    "--mode", metavar="|".join(MODES), help=f"What to serve. [environment: QUICKPULSE_MODE; default: {DEFAULT_MODE}]"
)
@with_settings
def serve(mode: str | None, **values: Any) -> None:
    """Run the server in the foreground, until SIGINT or SIGTERM.

    The same as `twistd --pidfile= -n quickpulse`, with the same options and environment; without a mode, every
    transport is served.
    """
    if mode is None and not chooses_mode(os.environ):
        mode = DEFAULT_MODE
    flags = {"mode": mode, **{option.name: text_of(values[option.field]) for option in OPTIONS}}
    read_settings(flags, os.environ)  # what is wrong is told here, as of all commands
    run(arguments_of(flags))


def chooses_mode(environment: Mapping[str, str]) -> bool:
    """Whether the environment says which mode it is, rightly or wrongly."""
    return any(environment.get(name, "") not in ("", "0") for name in ("QUICKPULSE_MODE", *MODE_VARIABLES))


def text_of(value: str | bool | None) -> str | None:
    """As it was typed; None: it was not."""
    if isinstance(value, bool):
        return "1" if value else None
    return value


def arguments_of(flags: Mapping[str, str | None]) -> list[str]:
    """The flags as twistd takes them."""
    switches = {option.name for option in OPTIONS if option.is_switch}
    given = [(name, text) for name, text in flags.items() if text is not None]
    return [f"--{name}" if name in switches else f"--{name}={text}" for name, text in given]


def run(arguments: list[str]) -> None:
    """What the script twistd does; it ends the process."""
    from twisted.scripts.twistd import run

    sys.argv = ["twistd", "--pidfile=", "--nodaemon", "quickpulse", *arguments]
    run()
