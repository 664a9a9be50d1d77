"""Commands that look and change nothing: queues, stats, peek, info, health."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from rich.live import Live
from rich.table import Table

from quickpulse.cli import output
from quickpulse.cli.completing import complete_queue
from quickpulse.cli.connecting import Seconds, Server, Whole, with_server
from quickpulse.cli.exits import Exit, say
from quickpulse.cli.forms import form_of_peeked, form_of_queue, form_of_server
from quickpulse.cli.output import duration, number, show, show_json, size
from quickpulse.cli.tables import (
    SORTS,
    in_order,
    pairs,
    state,
    table_of_counts,
    table_of_messages,
    table_of_one,
    table_of_queues,
)
from quickpulse.client import Client
from quickpulse.requests import QueueInfo, ServerInfo

as_json = click.option("--json", "is_json", is_flag=True, help="JSON, for programs.")

with_prefix = click.option("--prefix", default="", metavar="TEXT", help="Only those whose names begin so.")

with_sort = click.option(
    "--sort", type=click.Choice(["name", *SORTS]), default="name", show_default=True, help="The most comes first."
)

Look = Callable[[], Sequence[QueueInfo]]


@click.command(short_help="List the queues.")
@with_prefix
@with_sort
@as_json
@with_server
def queues(server: Server, prefix: str, sort: str, is_json: bool) -> None:
    """List the queues: what is in each now."""
    with server.connect() as client:
        found = in_order(client.list_queues(prefix), sort)
    if is_json:
        show_json([form_of_queue(info) for info in found])
    elif found:
        show(table_of_queues(found))
    else:
        say("no queues")


@click.command(short_help="Show what queues hold and have done.")
@click.argument("queue", required=False, shell_complete=complete_queue)
@click.option("--watch", is_flag=True, help="Again and again, with rates, until SIGINT.")
@click.option(
    "--interval",
    type=Seconds(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks.",
)
@with_prefix
@with_sort
@as_json
@with_server
def stats(
    server: Server, queue: str | None, watch: bool, interval: float, prefix: str, sort: str, is_json: bool
) -> None:
    """Show what each queue has done since it was made; of one QUEUE, all that is known.

    When a screen has no room for all that --watch looks at, it shows the busiest, unless --sort says which.
    """
    if queue is not None and (prefix or sort != "name"):
        raise click.UsageError("--prefix and --sort are for many queues: leave out QUEUE")
    with server.connect() as client:
        look = look_at(client, queue, prefix)
        if watch:
            keep_looking(look, interval, sort, is_json)
            return
        found = in_order(look(), sort)
    if is_json:
        forms = [form_of_queue(info) for info in found]
        show_json(forms if queue is None else forms[0])
    elif queue is not None:
        show(table_of_one(found[0]))
    elif found:
        show(table_of_counts(found))
    else:
        say("no queues")


@click.command(short_help="Look at the next messages.")
@click.argument("queue", shell_complete=complete_queue)
@click.option("--count", type=Whole(min=1), default=10, show_default=True, metavar="N", help="At most so many.")
@as_json
@with_server
def peek(server: Server, queue: str, count: int, is_json: bool) -> Exit:
    """Look at the next messages of QUEUE and leave them where they are."""
    with server.connect() as client:
        batch = client.queue(queue).peek(count)
    if not batch:
        say(f"{queue} has no message that is ready")
        return Exit.NOTHING
    if is_json:
        for index in range(len(batch)):
            show_json(form_of_peeked(batch, index))
    else:
        show(table_of_messages(batch, time.time() * 1000))
    return Exit.OK


@click.command(short_help="Show what the server says of itself.")
@as_json
@with_server
def info(server: Server, is_json: bool) -> None:
    """Show the server's version, limits and capabilities."""
    with server.connect() as client:
        found = server_of(client)
    if is_json:
        show_json(form_of_server(found))
        return
    rows = [["version", found.version], ["instance", found.instance]]
    rows += [
        [name, size(each) if name.endswith("bytes") else number(each)] for name, each in sorted(found.limits.items())
    ]
    rows.append(["capabilities", ", ".join(found.capabilities) or "-"])
    show(pairs(rows))


@click.command(short_help="Ask whether the server answers.")
@as_json
@with_server
def health(server: Server, is_json: bool) -> None:
    """Ask whether the server answers: status 0 when it does, 5 when not."""
    start = time.monotonic()
    with server.connect() as client:
        found = server_of(client)
        ms = round((time.monotonic() - start) * 1000)
    if is_json:
        show_json({"url": server.url, "version": found.version, "instance": found.instance, "answered_ms": ms})
    else:
        click.echo(f"{server.url} answers: version {found.version}, {ms} ms")


def server_of(client: Client) -> ServerInfo:
    """What it said when the client connected."""
    found = client.server
    assert found is not None
    return found


def look_at(client: Client, queue: str | None, prefix: str) -> Look:
    """What to ask, of one queue or all."""
    return lambda: client.list_queues(prefix) if queue is None else [client.queue(queue).stats()]


def keep_looking(look: Look, interval: float, sort: str, is_json: bool) -> None:
    """Until SIGINT."""
    try:
        if is_json:
            while True:
                show_json([form_of_queue(info) for info in in_order(look(), sort)])
                sys.stdout.flush()
                time.sleep(interval)
        watch = Watch(look, sort)
        if not sys.stdout.isatty():
            while True:
                show(watch.table())
                time.sleep(interval)
        screen = output.console()
        with Live(watch.table(screen.height), console=screen, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                live.update(watch.table(screen.height), refresh=True)
    except KeyboardInterrupt:
        pass


class Watch:
    """What queues hold, and how fast they go since the last look."""

    RATES = ("published", "delivered", "acked")

    BESIDE = 4
    """Lines of a screen that are no queue's: the heading, what did not fit, how many more there are, the cursor's."""

    def __init__(self, look: Look, sort: str) -> None:
        self._look = look
        self._sort = sort
        self._counts: dict[str, Any] = {}
        self._at = time.monotonic()

    def table(self, height: int | None = None) -> Table:
        """One look, of as many queues as there are lines for."""
        now, found = time.monotonic(), self._look()
        seconds = max(now - self._at, 0.001)
        rates = {info.name: self._rates(info, seconds) for info in found}
        self._counts, self._at = {info.name: info.counts for info in found}, now
        shown = in_order(found, self._sort, lambda info: rates[info.name])
        most = len(found) if height is None else max(height - self.BESIDE, 1)
        if len(found) > most and self._sort == "name":  # those where something happens, or lies
            shown = sorted(found, key=lambda info: (sum(rates[info.name].values()), info.ready), reverse=True)
        rows = [self._row(info, rates[info.name]) for info in shown[:most]]
        columns = ("QUEUE", "READY", "LEASED", "DELAYED", "IN/S", "OUT/S", "ACKED/S", "OLDEST", "STATE")
        more = f"and {number(len(found) - most)} more" if len(found) > most else ""
        return output.table(columns, rows, left=("STATE",), note=more)

    def _rates(self, info: QueueInfo, seconds: float) -> dict[str, int]:
        before = self._counts.get(info.name, info.counts)
        return {name: round((info.counts[name] - before[name]) / seconds) for name in self.RATES}

    def _row(self, info: QueueInfo, rates: Mapping[str, int]) -> list[str]:
        numbers = [number(each) for each in (info.ready, info.leased, info.delayed, *rates.values())]
        return [info.name, *numbers, duration(info.oldest_ms) if info.ready else "-", state(info)]
