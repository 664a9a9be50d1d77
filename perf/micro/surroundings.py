"""What the server's parts need around them: a queue as the service makes it, and a transport that goes nowhere."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import Clock

from perf.load.numbered import alike
from perf.servers.own_queue import make_own_queue
from quickpulse.backends.loading import load
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.loading import make_metrics
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.plain import PlainQueue
from quickpulse.settings import Settings

CAPACITY = 1_000_000_000

PAYLOAD_BYTES = 11

PAYLOAD = alike(PAYLOAD_BYTES)


def payloads(count: int) -> list[bytes]:
    """Objects of their own, as they come out of a read."""
    return [bytes(bytearray(PAYLOAD)) for _ in range(count)]


def plain_queue(depth: int = 0) -> PlainQueue:
    """The server's own queue, with that many messages in it."""
    queue = make_own_queue(CAPACITY)
    queue.enqueue_many(payloads(depth))
    return queue


def instrumented_queue(depth: int = 0) -> InstrumentedQueue:
    """The same as the service has it."""
    return InstrumentedQueue(plain_queue(depth), make_metrics(Settings("ws").metrics, load, legacy_names=False))


def factory_arguments(mode: str, depth: int, **options: Any) -> tuple[Any, Any, Any, Settings]:
    """(reactor, queue, traffic, settings) of a transport's factory."""
    return Clock(), instrumented_queue(depth), Traffic(), Settings(mode, capacity=CAPACITY, **options)


class NowhereTransport:
    """As the loop endpoint's transport; what is written is gone. Its socket is real, because the kernel is asked.

    All that was written has arrived. Whatever is not said here (pauses, ends, addresses) does nothing.
    """

    disconnecting = False

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._peer = socket.create_connection(listening.getsockname())
            self._socket, _ = listening.accept()
        self._written_bytes = 0

    def write(self, data: bytes) -> None:
        """To nowhere."""
        self._written_bytes += len(data)

    def unsent_bytes(self) -> int:
        """None wait."""
        return 0

    def acknowledged_bytes(self) -> int:
        """All, after the question to the kernel that it costs."""
        self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
        return self._written_bytes

    def fileno(self) -> int:
        """Of an idle socket."""
        return self._socket.fileno()

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_: Any) -> None:
    pass
