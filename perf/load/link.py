"""One connection of the closed loop: a socket, what it could not send yet, and when a window is answered."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from perf.load.faults import LoadFaultError

HOST = "127.0.0.1"

CONNECT_SECONDS = 20.0
"""For the connect and the protocol's opening."""

LEAST_RECEIVE_BYTES, MOST_RECEIVE_BYTES = 4096, 256 * 1024
"""A read takes in a window of answers, where one read can."""


class Link:
    """A connection; protocols derive from it.

    window_of: number of a window, from 0, to its bytes
    in_flight: requests of a window
    """

    def __init__(self, port: int, window_of: Callable[[int], bytes], in_flight: int) -> None:
        self.socket = socket.create_connection((HOST, port), CONNECT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.in_flight = in_flight
        self.receive_bytes = LEAST_RECEIVE_BYTES
        self.watch: Callable[[Link], None] = _ignore
        """Told when there is something that waits to be sent, and when there is no more."""
        self.unsent: list[memoryview] = []
        self._window_of = window_of
        self._windows = 0

    def start_window(self) -> None:
        """Sends the next window."""
        self.send(self._window_of(self._windows))
        self._windows += 1

    def take(self) -> bool:
        """Reads once; whether the window is answered now. Raises LoadFaultError."""
        raise NotImplementedError

    def read(self) -> bytes:
        """What is there. Raises LoadFaultError at the end of the connection."""
        try:
            data = self.socket.recv(self.receive_bytes)
        except (ConnectionError, TimeoutError) as error:
            raise LoadFaultError(f"the connection broke: {error}") from None
        if not data:
            raise LoadFaultError("the server closed the connection")
        return data

    def send(self, data: bytes) -> None:
        """Sends; what the socket does not take waits for `flush`."""
        if self.unsent:
            self.unsent.append(memoryview(data))
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise LoadFaultError(f"the connection broke: {error}") from None
        if sent < len(data):
            self.unsent.append(memoryview(data)[sent:])
            self.watch(self)

    def flush(self) -> None:
        """The socket takes more."""
        waiting, self.unsent = self.unsent, []
        for at, part in enumerate(waiting):
            self.send(part)  # type: ignore[arg-type] # a memoryview is as good
            if self.unsent:
                self.unsent += waiting[at + 1 :]
                return
        self.watch(self)

    def expect_answers_of(self, window_bytes: int) -> None:
        """How much a read may bring."""
        self.receive_bytes = min(max(2 * window_bytes, LEAST_RECEIVE_BYTES), MOST_RECEIVE_BYTES)

    def block(self, seconds: float) -> None:
        """Reads and writes wait, that long at most: for a loop over one connection."""
        self.socket.setblocking(True)
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def close(self) -> None:
        """Ends it."""
        self.socket.close()


def _ignore(_: Link) -> None:
    pass
