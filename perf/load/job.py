"""One measurement against one server: prefill, open, drive, compare what was kept, and say it as JSON."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from perf.load import calls, websocket
from perf.load.link import Link
from perf.load.loop import Timing, drive
from perf.load.process_facts import resident_bytes, server_clock
from perf.load.rows import Row
from perf.load.taken import check_taken

FILL_IN_FLIGHT = 100

WINDOWS_AHEAD = 1.2
"""Windows built for each connection before the clock, as a part of its share: some connections run ahead."""


@dataclass(frozen=True)
class Job:
    """What is asked of the load.

    row: with its number of messages
    port: of the server
    server_pid: whose processor time is read; None for nobody's
    is_echo: whether the server sends back the bytes it gets
    fill: whether the load puts the prefilled messages in; else they are there
    is_plain: whether the server speaks HTTP/2 without gRPC
    silence_seconds: after which an answer is taken for lost
    """

    row: Row
    port: int
    server_pid: int | None = None
    is_echo: bool = False
    fill: bool = False
    is_plain: bool = False
    silence_seconds: float = 20.0


def run(job: Job) -> dict[str, Any]:
    """Does it. Raises LoadFaultError."""
    filled = _fill(job) if job.fill and job.row.prefill and not job.is_echo else 0
    with ExitStack() as opened:
        timing = _measure(job, opened)
        return {**asdict(timing), "filled": filled, "server_bytes": resident_bytes(job.server_pid)}


def _measure(job: Job, opened: ExitStack) -> Timing:
    row = job.row
    links = _open_links(job, opened)
    idle = [_kept(_open_idle(job), opened) for _ in range(row.idle)]
    assert row.messages is not None
    timing = drive(links, idle, row.messages, server_clock(job.server_pid), job.silence_seconds)
    if row.takes_prefilled and not job.is_echo:
        kept = [part for link in links for part in link.taken]  # type: ignore[attr-defined] # such links keep
        check_taken(kept, _answer_head(row), row.payload, timing.sent)
    return timing


def _kept(link: Link, opened: ExitStack) -> Link:
    """The link, closed at the end."""
    opened.callback(link.close)
    return link


def _open_links(job: Job, opened: ExitStack) -> list[Link]:
    row, port = job.row, job.port
    if row.mode == "ws":
        return [_kept(websocket.open_link(row, port, job.is_echo), opened) for _ in range(row.connections)]
    each_its_own = row.kind == "timeouts"
    windows = [calls.windows_of(row, port, number) for number in range(row.connections if each_its_own else 1)]
    if row.kind != "stream":
        assert row.messages is not None
        for each in windows:
            each.build(int(row.messages / row.in_flight / row.connections * WINDOWS_AHEAD))
    return [
        _kept(calls.open_link(row, port, windows[number % len(windows)], job.is_plain), opened)
        for number in range(row.connections)
    ]


def _open_idle(job: Job) -> Link:
    if job.row.mode == "ws":
        return websocket.open_link(job.row, job.port, job.is_echo)
    return calls.open_link(job.row, job.port, calls.windows_of(job.row, job.port, 0), job.is_plain)


def _fill(job: Job) -> int:
    """Puts the row's prefilled messages in, numbered; how many."""
    protocol = websocket if job.row.mode == "ws" else calls
    kind = {"ws": "ws-publish", "grpc": "unary-produce"}[job.row.mode]
    row = replace(job.row, kind=kind, connections=1, in_flight=FILL_IN_FLIGHT, depth=0)
    link, count = protocol.open_fill_link(row, job.port, job.row.prefill)
    with closing(link):
        drive([link], [], count, server_clock(None), job.silence_seconds)
    return count


def _answer_head(row: Row) -> bytes:
    return (websocket if row.mode == "ws" else calls).answer_head(row)
