"""The command `quickpulse`, put together, and how it ends: errors become one line and a status here, and only here."""

from __future__ import annotations

import os
from typing import Any

import click

from quickpulse.cli import changing, reading
from quickpulse.cli.completing import completion
from quickpulse.cli.exits import Exit, complain, status_of
from quickpulse.cli.output import forget_stdout
from quickpulse.cli.publishing import pub
from quickpulse.cli.serving import serve
from quickpulse.cli.subscribing import sub
from quickpulse.errors import QuickPulseError
from quickpulse.settings import refuse_unknown_variables, suggest
from quickpulse.version import __version__

EPILOG = """\b
Exit status:
  0  done
  1  failed, interrupted or declined
  2  wrong usage
  3  no message, or no such queue
  4  refused by the server
  5  no server, or no answer
"""


class Commands(click.Group):
    """The commands, in the order in which they are told here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added: what is used most comes first."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is before the command; of an option that stands behind it that is said."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if any(error.option_name in each.opts for command in self.commands.values() for each in command.params):
                text = f"{error.option_name} stands behind the command: quickpulse COMMAND {error.option_name} ..."
                raise click.UsageError(text, ctx) from None
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What was typed, or the nearest to it in the error."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            near = suggest(args[0], list(self.commands))
            raise click.UsageError(f"no such command: {args[0]}{near}", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run one, and end with its status."""
        try:
            refuse_unknown_variables(os.environ)
            status = super().invoke(ctx)
        except QuickPulseError as error:
            complain(error)
            status = status_of(error)
        except BrokenPipeError:
            forget_stdout()
            status = Exit.OK
        ctx.exit(int(status or Exit.OK))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="quickpulse", message="%(prog)s %(version)s")
def commands() -> None:
    """QuickPulse, an in-memory message queue: serve it, fill it, empty it, look into it."""


for command in (
    serve,
    pub,
    sub,
    reading.queues,
    reading.stats,
    reading.peek,
    reading.info,
    reading.health,
    changing.policy,
    changing.pause,
    changing.resume,
    changing.redrive,
    changing.purge,
    changing.delete,
    completion,
):
    commands.add_command(command)
