"""Keeps connections busy: one poll over all of them, those that are being ended included."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable
from typing import Any

from perf.load.faults import LoadFaultError
from perf.load.link import Link
from perf.storm.links import Books, EndedError, Peer

TURN_SECONDS = 0.002
"""Between looks at who may ask for more."""

END_SECONDS = 10.0
"""For the server to close a connection that we have half closed."""

SILENCE_SECONDS = 30.0
"""An answer is lost after this."""


class Loop:
    """The connections to one server.

    port: the server's
    """

    def __init__(self, port: int, books: Books) -> None:
        self.links: list[Peer] = []
        """Those that are open and not half closed by us."""
        self._port, self._books = port, books
        self._poll = select.epoll()
        self._by_number: dict[int, Peer] = {}
        self._ending: dict[Peer, float] = {}  # half closed, and when that is too long ago
        self._serial = 0
        self._next_top_up = 0.0
        self._latest_read = time.monotonic()

    @property
    def is_ending(self) -> bool:
        """Whether there are connections that the server must still close."""
        return bool(self._ending)

    def open(self, kind: Any) -> Peer:
        """One more connection of this kind, at work from now on."""
        self._serial += 1
        link: Peer = kind(self._port, self._books, self._serial)
        number = link.socket.fileno()
        self._by_number[number] = link
        self._poll.register(number, _events(link))
        link.watch = lambda link: self._poll.modify(link.socket.fileno(), _events(link))
        self.links.append(link)
        link.top_up(time.monotonic())
        return link

    def kill(self, link: Peer) -> None:
        """Ends it by RST."""
        self._forget(link)
        link.kill()

    def half_close(self, link: Peer) -> None:
        """Ends it by FIN, in the middle of a frame."""
        self.links.remove(link)
        link.half_close()
        self._poll.modify(link.socket.fileno(), select.EPOLLIN)
        self._ending[link] = time.monotonic() + END_SECONDS

    def close(self, links: Iterable[Peer]) -> None:
        """Ends connections in order; nothing is under way there."""
        for link in list(links):
            self._forget(link)
            link.close()

    def turn(self) -> None:
        """One poll, and what follows from it. Raises LoadFaultError when the server is silent or ends a connection."""
        ready = self._poll.poll(TURN_SECONDS)
        now = time.monotonic()
        for number, events in ready:
            link = self._by_number[number]
            if events & select.EPOLLOUT:
                link.flush()
            if events & ~select.EPOLLOUT:
                self._read(link, now)
        if now >= self._next_top_up:
            self._next_top_up = now + TURN_SECONDS
            for link in self.links:
                link.top_up(now)
            self._check_endings(now)
        if ready:
            self._latest_read = now
        elif now - self._latest_read > SILENCE_SECONDS:
            if any(link.outstanding for link in self.links):
                raise LoadFaultError(f"no answer in {SILENCE_SECONDS:g} seconds")
            self._latest_read = now

    def stop(self) -> None:
        """Ends all."""
        for link in self._by_number.values():
            link.socket.close()
        self._poll.close()

    def _read(self, link: Peer, now: float) -> None:
        try:
            if link.take():
                link.found_empty(now)
        except EndedError as error:
            if link not in self._ending:
                raise LoadFaultError(f"a connection ended by itself: {error}") from None
            self._forget(link)
            link.socket.close()
            return
        except LoadFaultError:
            if link not in self._ending:
                raise
            return  # a GOAWAY is no surprise to a connection that we have half closed
        link.top_up(now)

    def _check_endings(self, now: float) -> None:
        for link, deadline in list(self._ending.items()):
            if now > deadline:
                self._books.fault("no end", f"a half-closed connection was open for {END_SECONDS:g} seconds more")
                self._forget(link)
                link.kill()

    def _forget(self, link: Peer) -> None:
        number = link.socket.fileno()
        self._poll.unregister(number)
        del self._by_number[number]
        link.watch = _ignore
        if self._ending.pop(link, None) is None:
            self.links.remove(link)


def _events(link: Link) -> int:
    return select.EPOLLIN | (select.EPOLLOUT if link.unsent else 0)


def _ignore(_: Link) -> None:
    pass
