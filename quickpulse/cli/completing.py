"""`quickpulse completion`: what the shell needs; and names of queues, asked from the server while one types."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem, get_completion_class

from quickpulse.cli.connecting import URL, Server, read_token
from quickpulse.errors import QuickPulseError

SHELLS = ("bash", "zsh", "fish")

VARIABLE = "_QUICKPULSE_COMPLETE"

PATIENCE_SECONDS = 0.5
"""Somebody waits, with a finger on the key."""

MOST_NAMES = 200


def complete_queue(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Queues whose names begin so; none where the server does not answer at once."""
    url = context.params.get("url") or os.environ.get("QUICKPULSE_URL") or URL
    try:
        token = read_token(context.params.get("token_file"))
        ca_file = context.params.get("ca_file") or os.environ.get("QUICKPULSE_CA_FILE", "")
        server = Server(url, token, PATIENCE_SECONDS, PATIENCE_SECONDS, ca_file)
        with server.connect() as client:
            queues = client.list_queues(incomplete)
    except (QuickPulseError, click.UsageError):
        return []
    return [CompletionItem(info.name, help=f"{info.ready} ready") for info in queues[:MOST_NAMES]]


@click.command(short_help="Write the script for completion in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write the script that makes SHELL complete commands, options, and names of queues.

    \b
    bash: in ~/.bashrc   eval "$(quickpulse completion bash)"
    zsh:  in ~/.zshrc    eval "$(quickpulse completion zsh)"
    fish: quickpulse completion fish > ~/.config/fish/completions/quickpulse.fish
    """  # noqa: D301 - click's mark of lines that stay as they are
    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "quickpulse", VARIABLE).source())
