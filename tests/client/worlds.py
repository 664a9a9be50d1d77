"""A client's session and a broker in one process, with one clock; and coroutines for tests. No sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from twisted.internet.task import Clock

from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.client.options import Options
from quickpulse.client.session import Session
from quickpulse.errors import QuickPulseError
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.transports.v1_session import Session as ServerSession

RUN_SECONDS = 60.0
"""Of one test's coroutine, at most."""


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own, in a thread of its own: the reactor's loop stays as it is."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(asyncio.wait_for(coroutine, RUN_SECONDS))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    # Not for ever at once: a signal, of a child that stops for instance, is handled by the main thread only, and while
    # it is not, CPython 3.11 goes round and round in any other thread that is traced.
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]


class MemoryLink:
    """A connection to a broker, without bytes.

    :ivar sent: requests, in their order.
    :ivar ids: of each.
    :ivar is_deaf: the server gets nothing any more.
    :ivar is_mute: what it answers does not arrive.
    """

    def __init__(self, broker: Any) -> None:
        self.sent: list[Any] = []
        self.ids: list[int] = []
        self.is_deaf = self.is_mute = False
        self.max_batch_bytes: int | None = None
        self.frames: list[tuple[int, Any]] = []
        self.pings = 0
        self.server = ServerSession(
            broker, lambda request_id, reply: self.frames.append((request_id, reply)), Traffic()
        )

    def send(self, request_id: int, request: Any) -> None:
        """To the server, at once."""
        self.sent.append(request)
        self.ids.append(request_id)
        if not self.is_deaf:
            self.server.request(request_id, request)

    def data_to_send(self) -> bytes:
        """None: there are no bytes here."""
        return b""

    def ping(self) -> None:
        """Counted."""
        self.pings += 1

    def end(self) -> None:
        """Nothing more is asked."""

    def receive(self, _data: bytes, _now: float) -> list[tuple[int, Any]]:
        """What the server has answered."""
        frames, self.frames = self.frames, []
        return frames

    def kinds(self, kind: type) -> list[Any]:
        """What was sent of one kind."""
        return [request for request in self.sent if isinstance(request, kind)]


class World:
    """A session as a face would drive it, and the server's broker."""

    def __init__(self, options: Options | None = None) -> None:
        self.clock = Clock()
        self.broker: Any = MemoryBroker(self.clock, Broker())
        self.link: MemoryLink | None = None
        self.session = Session(self, options or Options())
        self.due: float | None = None
        self.is_flush_due = False
        self.cuts = 0

    def connect(self) -> MemoryLink:
        """A new connection, and the server's first answer."""
        link = self.link = MemoryLink(self.broker)
        self.session.connected(link, self.clock.seconds())
        self.read()
        return link

    def read(self) -> None:
        """Take in what the server has said."""
        while self.link is not None and self.link.frames and not self.link.is_mute:
            self.session.receive(b"", self.clock.seconds())

    def lose(self, error: QuickPulseError) -> None:
        """The connection ends."""
        if self.link is not None:
            self.link.server.lost()
            self.link = None
            self.session.lost(error, self.clock.seconds())

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Let time go by, on both sides."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(step, end - self.clock.seconds()))
            self.read()
            if self.due is not None and self.due <= self.clock.seconds():
                self.due = None
                self.session.tick(self.clock.seconds())
            self.flush()
            self.read()

    def flush(self) -> None:
        """Send what was said of messages."""
        if self.is_flush_due:
            self.is_flush_due = False
            self.session.flush(self.clock.seconds())
            self.read()

    def ask(self, request: Any, seconds: float | None = None) -> list[Any]:
        """A list that gets the reply."""
        replies: list[Any] = []
        self.session.ask(request, replies.append, self.clock.seconds(), seconds)
        self.read()
        return replies

    # ---- Host ----

    def write_soon(self) -> None:
        """There are no bytes."""

    def tick_at(self, when: float) -> None:
        """Remembered."""
        self.due = when

    def settle_soon(self) -> None:
        """Remembered."""
        self.is_flush_due = True

    def ready(self) -> None:
        """Nobody waits."""

    def cut(self) -> None:
        """At once."""
        self.cuts += 1
        assert self.session.fault is not None
        self.lose(self.session.fault)
