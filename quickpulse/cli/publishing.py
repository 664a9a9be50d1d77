"""`quickpulse pub`: messages from arguments, files or stdin, in batches behind the scenes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from quickpulse.cli.completing import complete_queue
from quickpulse.cli.connecting import Seconds, Server, Whole, with_server
from quickpulse.cli.exits import Exit, complain, say, status_of
from quickpulse.cli.forms import message_of
from quickpulse.client import PartialPublish, Publisher
from quickpulse.errors import InvalidArgument, QuickPulseError

READ_BYTES = 64 * 1024

Entry = tuple[bytes, dict[str, Any]]
"""A payload, and the properties that are its own."""


def headers_of(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE, as often as it was given."""
    headers = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        headers[name] = text
    return headers


@click.command(short_help="Publish messages.")
@click.argument("queue", shell_complete=complete_queue)
@click.argument("messages", nargs=-1, metavar="[MESSAGE]...")
@click.option("--file", "files", multiple=True, metavar="PATH", help="A whole file as one message; - is stdin.")
@click.option("--null", is_flag=True, help="Messages on stdin end with a NUL byte, not with a line.")
@click.option("--json", "is_json", is_flag=True, help="Each line of stdin is a JSON object, as sub --json writes them.")
@click.option("--priority", type=Whole(0, 9), metavar="0-9", help="9 comes first.")
@click.option("--delay", type=Seconds(min=0), metavar="SECONDS", help="Ready only after so long.")
@click.option("--ttl", type=Seconds(min=0), metavar="SECONDS", help="Void after so long.")
@click.option("--header", "headers", multiple=True, callback=headers_of, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--id", "id_", metavar="TEXT", help="A name of your own.")
@click.option("--content-type", metavar="TEXT", help="What the payload is.")
@click.option("--dedup-key", metavar="TEXT", help="A second one with this key is not stored.")
@click.option("--reply-to", metavar="QUEUE", help="Where an answer is expected.")
@click.option("--correlation-id", metavar="TEXT", help="What an answer is to name.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most so many a second.")
@click.option("--quiet", is_flag=True, help="Do not say how many were published.")
@with_server
def pub(
    server: Server,
    queue: str,
    messages: tuple[str, ...],
    files: tuple[str, ...],
    null: bool,
    is_json: bool,
    rate: float | None,
    quiet: bool,
    **properties: Any,
) -> Exit:
    """Publish each MESSAGE to QUEUE; without one, each line of stdin.

    Ends with status 0 when all were accepted. At the first refusal that is noticed it stops reading, says how many
    were accepted, and ends with status 4. Options such as --priority are of every message; a JSON object's own come
    first.
    """
    if sum(map(bool, (messages, files, null or is_json))) > 1 or (null and is_json):
        raise click.UsageError("give one of: MESSAGE, --file, --null, --json")
    common = common_properties(properties)
    entries = read_entries(messages, files, null, is_json)
    with server.connect() as client:
        target = client.queue(queue)
        count = Counted(paced(entries, rate))
        try:
            with target.publisher() as out:
                publish_all(out, count, common)
        except PartialPublish as error:
            return report(error)
        except (InvalidArgument, KeyboardInterrupt) as error:  # of what was read; what came before was flushed
            say(f"{count.messages} published to {queue}")
            complain(InvalidArgument("interrupted") if isinstance(error, KeyboardInterrupt) else error)
            return Exit.FAILURE if isinstance(error, KeyboardInterrupt) else Exit.USAGE
    if not quiet:
        say(f"{count.messages} published to {queue}")
    return Exit.OK


def report(error: PartialPublish) -> Exit:
    """Say what went in, what did not, and why; the status is the reason's."""
    status = status_of(error)
    became = "not confirmed" if status is Exit.UNAVAILABLE else "refused"
    say(f"quickpulse: {error.accepted} published, {error.rejected} {became}: {error.rejections[0].error}")
    return status


def common_properties(options: dict[str, Any]) -> dict[str, Any]:
    """As the client calls them; only what was given."""
    names = {"delay": "delay_seconds", "ttl": "ttl_seconds", "id_": "id"}
    return {names.get(name, name): value for name, value in options.items() if value}


class Counted:
    """Messages, counted when they are handed on."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.messages = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            yield entry
            self.messages += 1


def publish_all(out: Publisher, entries: Iterable[Entry], common: dict[str, Any]) -> None:
    """Hand them all on, until one is refused; then the publisher knows how many were.

    Only one message at a time is asked about, as a queue that refuses one refuses the next.
    """
    watched = None
    for payload, own in entries:
        confirmation = out.publish(payload, **{**common, **own})
        if watched is None:
            watched = confirmation
        elif watched.done():
            try:
                watched.result(0)
            except QuickPulseError:
                return
            watched = confirmation


def paced(entries: Iterable[Entry], rate: float | None) -> Iterator[Entry]:
    """Not more than so many a second, evenly."""
    start = time.monotonic()
    for number, entry in enumerate(entries):
        if rate is not None:
            wait = start + number / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        yield entry


def read_entries(messages: tuple[str, ...], files: tuple[str, ...], null: bool, is_json: bool) -> Iterator[Entry]:
    """What is to be published, as it comes."""
    if messages:
        yield from ((os.fsencode(message), {}) for message in messages)
    elif files:
        yield from ((read_file(path), {}) for path in files)
    elif null:
        yield from ((part, {}) for part in parts_of(sys.stdin.buffer))
    elif is_json:
        for number, line in enumerate(sys.stdin.buffer, 1):
            if line.strip():
                yield json_entry(number, line)
    else:
        yield from ((line.removesuffix(b"\n"), {}) for line in sys.stdin.buffer)


def read_file(path: str) -> bytes:
    """All of it."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidArgument(f"--file {path}: {error.strerror}") from None


def json_entry(number: int, line: bytes) -> Entry:
    """A line's message."""
    try:
        return message_of(line)
    except InvalidArgument as error:
        raise InvalidArgument(f"line {number}: {error}") from None


def parts_of(stream: Any) -> Iterator[bytes]:
    """What ends with a NUL; the last one may go without."""
    rest = b""
    while chunk := stream.read1(READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest
