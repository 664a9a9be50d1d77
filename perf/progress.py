"""The live bar of a run, on standard error. Without a terminal there is none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from perf.exchange import Exchange
from perf.options import Options


@contextlib.contextmanager
def progress_bar(console: Console, options: Options) -> Iterator[Callable[[Exchange], None]]:
    """What to call with the exchange now and then, while the bar is shown."""
    if not options.progress or not console.is_terminal:
        yield lambda exchange: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]:>12,.0f}/s"),
        TextColumn("{task.fields[count]:>12,}"),
        TimeElapsedColumn(),
    )
    # Drawn by the caller's ticks alone: a thread that draws would show in the latencies.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        published = bar.add_task("published", total=1.0, rate=0, count=0)
        received = bar.add_task("received", total=1.0, rate=0, count=0)

        def show(exchange: Exchange) -> None:
            seconds = max(exchange.clock() - exchange.started_at, 1e-9)
            ledger = exchange.ledger
            acknowledged, came = ledger.acknowledged_count, ledger.received_count
            done = _share_published(exchange, seconds)
            bar.update(published, completed=done, rate=acknowledged / seconds, count=acknowledged)
            share = min(came / acknowledged, 1.0) * done if acknowledged else 0.0
            bar.update(received, completed=share, rate=came / seconds, count=came)
            bar.refresh()

        yield show


def _share_published(exchange: Exchange, seconds: float) -> float:
    options = exchange.options
    if options.messages is not None:
        return min(exchange.ledger.sent_count / options.messages, 1.0)
    return min(seconds / (options.seconds or seconds), 1.0)
