"""Commands that change a queue. What throws messages away asks first, or wants --yes."""

from __future__ import annotations

import sys
from typing import Any

import click

from quickpulse.cli.completing import complete_queue
from quickpulse.cli.connecting import Server, Whole, with_server
from quickpulse.cli.exits import Exit, say
from quickpulse.cli.forms import form_of_queue
from quickpulse.cli.output import number, show, show_json
from quickpulse.cli.reading import as_json
from quickpulse.cli.tables import pairs, rows_of_policy
from quickpulse.client import Client, Queue
from quickpulse.errors import NotFound
from quickpulse.requests import UNBOUNDED, Overflow, Policy
from quickpulse.settings import suggest

LOOKED_AT = 1000
"""Messages, before a redrive moves them."""

NO_NAMES = ("none", "null", "off", "no", "false", "never")
"""What nobody calls a queue, and means that there should be none."""

yes = click.option("--yes", is_flag=True, help="Do not ask.")

queue_name = click.argument("queue", shell_complete=complete_queue)


@click.command(short_help="Show or set how a queue behaves.")
@queue_name
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change it; may be repeated.")
@as_json
@with_server
def policy(server: Server, queue: str, changes: tuple[str, ...], is_json: bool) -> None:
    """Show the policy of QUEUE, or change what --set names and keep the rest.

    \b
    capacity            most messages
    capacity_bytes      most bytes, or unbounded
    overflow            reject or drop_oldest: what a full queue does
    lease_ms            how long a message is leased
    max_deliveries      then it is a dead letter; 0 is never
    dead_letter_queue   where those go, a name; empty is QUEUE.dead
    retry_delays_ms     after each failure, such as 0,1000,10000
    dedup_window_ms     how long keys are remembered
    idle_expiry_ms      when an empty queue without a policy is forgotten

    The value `default` is what the server has. A queue that does not exist is made by --set.
    """  # noqa: D301 - click's mark of lines that stay as they are
    wanted = dict(change_of(change) for change in changes)
    with server.connect() as client:
        target = client.queue(queue)
        found = target.set_policy(Policy(**{**own_policy(target), **wanted})) if wanted else target.stats()
    if is_json:
        show_json(form_of_queue(found)["policy"])
    else:
        show(pairs(rows_of_policy(found)))


def own_policy(queue: Queue) -> dict[str, Any]:
    """What is in force where it has a policy of its own; else nothing."""
    try:
        info = queue.stats()
    except NotFound:
        return {}
    return {name: getattr(info.policy, name) for name in Policy.__slots__} if info.has_policy else {}


def change_of(text: str) -> tuple[str, Any]:
    """KEY=VALUE as a field of a policy, and what it is to be."""
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: expected KEY=VALUE")
    if key not in Policy.__slots__:
        raise click.UsageError(f"--set {text}: unknown key {key}{suggest(key, list(Policy.__slots__))}")
    if value == "default":
        return key, None
    try:
        return key, value_of(key, value)
    except ValueError as error:
        raise click.UsageError(f"--set {text}: {error}") from None


def value_of(key: str, text: str) -> Any:
    """What a value means for this key; ValueError says what was expected."""
    if key == "dead_letter_queue":
        if text.lower() in NO_NAMES:
            raise ValueError("expected the name of a queue, or nothing for QUEUE.dead; max_deliveries=0 is without")
        return text
    if key == "overflow":
        if text not in (words := [each.value for each in Overflow]):
            raise ValueError(f"expected {' or '.join(words)}{suggest(text, words)}")
        return Overflow(text)
    if key == "retry_delays_ms":
        return tuple(whole(part) for part in text.split(",")) if text else ()
    if key == "capacity_bytes" and not text.isdecimal():
        if text != "unbounded":
            raise ValueError("expected a whole number, or unbounded")
        return UNBOUNDED
    return whole(text)


def whole(text: str) -> int:
    """A whole number."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("expected a whole number")
    return int(text)


@click.command(short_help="Stop the deliveries of a queue.")
@queue_name
@click.option("--publishes", is_flag=True, help="And refuse new messages.")
@with_server
def pause(server: Server, queue: str, publishes: bool) -> None:
    """Stop the deliveries of QUEUE; consumers wait as if it were empty."""
    with server.connect() as client:
        client.queue(queue).pause(publishes=publishes)
    say(f"{queue} is paused, and refuses new messages" if publishes else f"{queue} is paused")


@click.command(short_help="End a pause.")
@queue_name
@with_server
def resume(server: Server, queue: str) -> None:
    """End a pause of QUEUE, of deliveries and of new messages."""
    with server.connect() as client:
        client.queue(queue).resume()
    say(f"{queue} goes on")


@click.command(short_help="Put dead letters back.")
@queue_name
@click.option("--target", default="", metavar="QUEUE", help="Where to; without it, where each came from.")
@click.option("--count", type=Whole(min=1), metavar="N", help="At most so many.")
@click.option("--any", "is_any", is_flag=True, help="With --target: also what is no dead letter.")
@with_server
def redrive(server: Server, queue: str, target: str, count: int | None, is_any: bool) -> Exit:
    """Put the messages of the dead-letter queue QUEUE back, as new messages."""
    with server.connect() as client:
        letters = client.queue(queue)
        if target and not is_any:
            require_dead_letters(letters, min(count or LOOKED_AT, LOOKED_AT))
        moved = letters.redrive(target=target, max_messages=count or 0)
        hint = "" if moved else where_dead_letters_are(client, queue)
    say(f"{moved} put back{hint}")
    return Exit.OK if moved else Exit.NOTHING


def require_dead_letters(queue: Queue, count: int) -> None:
    """Move nobody's live messages by mistake: a redrive with a target takes whatever there is.

    :raises UsageError: among so many that come next is one that is no dead letter.
    """
    if any(message.source is None for message in queue.peek(count)):
        raise click.UsageError(f"{queue.name} has messages that are no dead letters: give --any to move them too")


def where_dead_letters_are(client: Client, name: str) -> str:
    """What to say when there were none, and those of this queue are in another."""
    try:
        place = client.queue(name).stats().policy.dead_letter_queue or f"{name}.dead"
        ready = client.queue(place).stats().ready
    except NotFound:
        return ""
    return f"; the dead letters of {name} are in {place}: {number(ready)} ready" if place != name else ""


@click.command(short_help="Throw away the messages of a queue.")
@queue_name
@yes
@with_server
def purge(server: Server, queue: str, yes: bool) -> None:
    """Throw away what is ready or delayed in QUEUE; what is leased is somebody's, and stays."""
    with server.connect() as client:
        target = client.queue(queue)
        info = target.stats()
        require_yes(yes, f"Purge {queue}: {info.ready} ready, {info.delayed} delayed?")
        count = target.purge()
    say(f"{count} thrown away")


@click.command(short_help="Throw away a queue.")
@queue_name
@yes
@with_server
def delete(server: Server, queue: str, yes: bool) -> None:
    """Throw away QUEUE with all that is in it, leased messages too, and its policy."""
    with server.connect() as client:
        target = client.queue(queue)
        info = target.stats()
        held = f"{info.ready} ready, {info.delayed} delayed, {info.leased} leased"
        require_yes(yes, f"Delete {queue}: {held}?")
        count = target.delete()
    say(f"{queue} is gone, with {count} messages")


def require_yes(given: bool, question: str) -> None:
    """Ask a person; a program has to say it before.

    :raises Abort: it was declined.
    :raises UsageError: nobody can be asked.
    """
    if given:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("nobody can be asked here: give --yes")
    click.confirm(question, abort=True, err=True)
