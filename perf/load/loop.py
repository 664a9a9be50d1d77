"""The closed loop: windows sent when the last one is answered, and the clock around them."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perf.load.faults import LoadFaultError
from perf.load.link import Link


@dataclass(frozen=True)
class Timing:
    """What was measured.

    answered: messages within the clock
    sent: messages in all, each answered
    seconds: of the clock
    load_seconds: of processor time that the load used meanwhile
    server_seconds: and that the server did; None where it is not known
    """

    answered: int
    sent: int
    seconds: float
    load_seconds: float
    server_seconds: float | None


class Meter:
    """The clocks, read together.

    server_seconds: processor time of the server so far
    """

    def __init__(self, server_seconds: Callable[[], float | None]) -> None:
        self._server_seconds = server_seconds
        self._began = self._read()

    def timing(self, answered: int) -> Timing:
        """Since the beginning."""
        wall, load, server = (
            None if now is None or then is None else now - then
            for now, then in zip(self._read(), self._began, strict=True)
        )
        assert wall is not None
        assert load is not None
        return Timing(answered, answered, wall, load, server)

    def _read(self) -> tuple[float | None, ...]:
        return time.perf_counter(), time.process_time(), self._server_seconds()


def drive(
    links: Sequence[Link],
    idle: Sequence[Link],
    total: int,
    server_seconds: Callable[[], float | None],
    silence_seconds: float,
) -> Timing:
    """Sends and counts until `total` messages are answered, and awaits what is under way. Raises LoadFaultError.

    idle: connections that ask nothing; a server's pings on them are answered
    """
    if len(links) == 1 and links[0].in_flight == 1 and not idle:
        return _drive_one(links[0], total, server_seconds, silence_seconds)
    return _drive_many(links, idle, total, server_seconds, silence_seconds)


def _drive_one(link: Link, total: int, server_seconds: Callable[[], float | None], silence_seconds: float) -> Timing:
    """One connection with one request: nothing to wait for but the answer, and no poll."""
    link.block(silence_seconds)
    start_window, take = link.start_window, link.take
    meter = Meter(server_seconds)
    try:
        for _ in range(total):
            start_window()
            while not take():
                pass
    except BlockingIOError:
        raise _silence(silence_seconds) from None
    return meter.timing(total)


def _drive_many(
    links: Sequence[Link],
    idle: Sequence[Link],
    total: int,
    server_seconds: Callable[[], float | None],
    silence_seconds: float,
) -> Timing:
    poll = select.epoll()
    by_number = {link.socket.fileno(): link for link in (*links, *idle)}

    def watch(link: Link) -> None:
        poll.modify(link.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if link.unsent else 0))

    for number, link in by_number.items():
        link.socket.setblocking(False)
        link.watch = watch
        poll.register(number, select.EPOLLIN)
    answered = sent = 0
    timing: Timing | None = None
    meter = Meter(server_seconds)
    for link in links:
        sent += link.in_flight
        link.start_window()
    wait = poll.poll
    while answered < sent:
        ready = wait(silence_seconds)
        if not ready:
            raise _silence(silence_seconds)
        for number, events in ready:
            link = by_number[number]
            if events & select.EPOLLOUT:
                link.flush()
            if events & ~select.EPOLLOUT and link.take():
                answered += link.in_flight
                if answered < total:
                    sent += link.in_flight
                    link.start_window()
        if timing is None and answered >= total:
            timing = meter.timing(answered)
    poll.close()
    assert timing is not None
    return Timing(timing.answered, sent, timing.seconds, timing.load_seconds, timing.server_seconds)


def _silence(seconds: float) -> LoadFaultError:
    return LoadFaultError(f"no answer in {seconds:g} seconds")
