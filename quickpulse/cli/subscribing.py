"""`quickpulse sub`: messages to stdout. A message is acked when it was written; what was not written goes back."""

from __future__ import annotations

import json
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from quickpulse.cli.completing import complete_queue
from quickpulse.cli.connecting import Seconds, Server, Whole, with_server
from quickpulse.cli.exits import Exit, say
from quickpulse.cli.forms import form_of, form_of_payload
from quickpulse.cli.output import forget_stdout, readable, write
from quickpulse.client import Batch, Queue

MOST_AT_ONCE = 100
"""Messages that are held and not written yet: a slow reader keeps no more from other consumers."""

SLICE_SECONDS = 0.5
"""A wait is made of such: between two of them it is seen that there was a signal, or that the reader has gone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """When it is enough.

    :param count: after so many messages; None: never.
    :param wait_seconds: when none came for so long; None: never.
    """

    count: int | None
    wait_seconds: float | None


class Stopping:
    """What ends it from outside: a signal, or that nobody reads any more."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._reader = select.poll()
        try:
            self._reader.register(sys.stdout.fileno(), 0)  # no events: it only tells that the other end is gone
        except (OSError, ValueError):  # no file
            self._reader = None  # type: ignore[assignment]

    def look(self) -> bool:
        """Whether to stop now."""
        if self._reader is not None and any(event & select.POLLERR for _, event in self._reader.poll(0)):
            self.is_wanted = True
        return self.is_wanted

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM lets the message be finished that is being written; the next does not."""

        def first(number: int, _frame: Any) -> None:
            self.is_wanted = True
            signal.signal(number, signal.default_int_handler)

        before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@click.command(short_help="Print messages as they come.")
@click.argument("queue", shell_complete=complete_queue)
@click.option("--count", type=Whole(min=1), metavar="N", help="End after N messages.")
@click.option("--wait", type=Seconds(min=0), metavar="SECONDS", help="End when none came for so long.")
@click.option("--take", is_flag=True, help="At most once: they are gone before they are printed.")
@click.option("--no-ack", is_flag=True, help="Hold what is printed, and put it back at the end.")
@click.option("--json", "is_json", is_flag=True, help="A JSON object a line, with all that is known.")
@click.option("--null", is_flag=True, help="A NUL byte behind each payload, in place of a line's end.")
@click.option("--raw", is_flag=True, help="Payloads and nothing else.")
@with_server
def sub(
    server: Server,
    queue: str,
    count: int | None,
    wait: float | None,
    take: bool,
    no_ack: bool,
    is_json: bool,
    null: bool,
    raw: bool,
) -> Exit:
    """Print the messages of QUEUE as they come, each on a line, and ack each when it was printed.

    Runs until --count, --wait, SIGINT, or the end of its reader (`| head`). Printed is what was written to stdout;
    what was fetched and not written goes back to its place. On a terminal, what could control it is escaped.
    """
    if is_json + null + raw > 1:
        raise click.UsageError("give one of: --json, --null, --raw")
    if take and no_ack:
        raise click.UsageError("give one of: --take, --no-ack")
    stopping = Stopping()
    client = server.connect()
    with stopping.on_signals(), client:
        printing = Printing(client.queue(queue), stopping, form(is_json, null, raw))
        try:
            (printing.take if take else printing.lease)(Wanted(count, wait), keep=no_ack)
        except BrokenPipeError:
            forget_stdout()
        lost = client.lost_leases
    if lost:
        say(f"quickpulse: {lost} of the messages may come again: their leases had ended before they were acked")
    if printing.dropped:
        say(f"quickpulse: {printing.dropped} messages were taken and not printed")
    return Exit.OK if printing.printed or stopping.is_wanted or printing.dropped else Exit.NOTHING


def form(is_json: bool, null: bool, raw: bool) -> Callable[[bytes, Any], bytes]:
    """What is written of a payload, and of its message where there is one."""
    if is_json:
        return lambda payload, message: _json_line(form_of_payload(payload) if message is None else form_of(message))
    if null:
        return lambda payload, _message: payload + b"\0"
    if raw:
        return lambda payload, _message: payload
    if sys.stdout.isatty():
        return lambda payload, _message: readable(payload).encode() + b"\n"
    return lambda payload, _message: payload + b"\n"


def _json_line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


class Printing:
    """Messages of a queue, on their way to stdout.

    :ivar printed: messages that were.
    :ivar dropped: that were taken for good, and could not be.
    """

    def __init__(self, queue: Queue, stopping: Stopping, form: Callable[[bytes, Any], bytes]) -> None:
        self._queue = queue
        self._stopping = stopping
        self._form = form
        self.printed = self.dropped = 0

    def lease(self, wanted: Wanted, *, keep: bool) -> None:
        """At least once.

        :param keep: put them back at the end, in place of an ack for each.
        """
        kept: list[Batch] = []
        try:
            for batch in self._helpings(wanted, with_enqueued_at=True):
                if keep:
                    kept.append(batch)
                self._print_leased(batch, keep)
        finally:
            for batch in kept:
                batch.release()

    def _print_leased(self, batch: Batch, keep: bool) -> None:
        try:
            for message in batch:
                if self._stopping.look():
                    return
                write(self._form(message.payload, message))
                self.printed += 1
                if not keep:
                    message.ack()
        finally:
            if not keep:
                batch.release()  # what was not acked

    def take(self, wanted: Wanted, *, keep: bool) -> None:
        """At most once. What was taken is printed in any case, as far as somebody reads it."""
        assert not keep
        for payloads in self._helpings(wanted, take=True):
            for place, payload in enumerate(payloads):
                try:
                    write(self._form(payload, None))
                except BrokenPipeError:
                    self.dropped = len(payloads) - place
                    raise
                self.printed += 1

    def _helpings(self, wanted: Wanted, *, take: bool = False, **how: Any) -> Iterator[Any]:
        """What comes together, until it is enough."""
        idle_since = time.monotonic()
        is_told = not sys.stderr.isatty()
        while not self._stopping.look():
            most = MOST_AT_ONCE if wanted.count is None else min(wanted.count - self.printed, MOST_AT_ONCE)
            if not most:
                return
            left = SLICE_SECONDS
            if wanted.wait_seconds is not None:
                left = min(max(idle_since + wanted.wait_seconds - time.monotonic(), 0), SLICE_SECONDS)
            helping: Any
            if take:
                helping = self._queue.take_many(most, wait_seconds=left)
            else:
                helping = self._queue.pull(max_messages=most, wait_seconds=left, **how)
            if helping:
                yield helping
                idle_since = time.monotonic()
            elif wanted.wait_seconds is not None and time.monotonic() - idle_since >= wanted.wait_seconds:
                return
            elif not (is_told or self.printed):  # a person may have mistyped the name
                say(f"waiting for messages in {self._queue.name}; Ctrl-C ends")
                is_told = True
