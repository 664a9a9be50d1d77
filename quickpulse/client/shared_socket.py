"""The socket of one connection: the loop's, and a thread's where that writes to it, or reads it in the loop's place.

Nothing is known here of sessions, locks and timers: who uses this holds the session's lock.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import get_ident
from typing import Any

READ_BYTES = 64 * 1024
"""More is taken from the system by malloc, and given back, each time."""

AT_ONCE = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_AT_ONCE = (AT_ONCE,)


def share(transport: Any) -> SharedSocket | None:
    """That of a transport; None: the loop does it all.

    With asyncio's own transport one cannot know whether it is in the middle of writing. TLS is the transport's.
    """
    if not type(transport).__module__.startswith("uvloop") or transport.get_extra_info("ssl_object") is not None:
        return None
    found = transport.get_extra_info("socket")
    try:
        return SharedSocket(transport, socket.fromfd(found.fileno(), found.family, found.type))
    except OSError:  # no descriptor is left
        return None


class SharedSocket:
    """Until the connection ends.

    :param transport: the loop's.
    :param sock: the same socket, duplicated: what is written to it after its end goes to nobody else.
    """

    def __init__(self, transport: Any, sock: socket.socket) -> None:
        self._transport = transport
        self._socket = sock
        self._unwritten = b""  # what the system did not take from a thread
        self._read = bytearray()  # what a thread has read and the loop is to see
        self._is_over = False
        self.requests_in_a_row = 0
        """That were alone."""
        self.is_lent = False
        """Whether the loop does not read."""
        self.is_wanted = False
        """By the loop, as soon as who reads has read something."""
        self.turn: object = None
        """Of the thread that reads; None: there is none."""
        self.turn_of = 0
        """Which thread that is."""

    def fileno(self) -> int:
        """For `poll`."""
        return self._socket.fileno()

    # ---- by a thread ----

    @property
    def is_writable(self) -> bool:
        """Whether nothing waits to be written before."""
        return not self._unwritten and not self._transport.get_write_buffer_size()

    def write(self, data: bytes, sent: list[int]) -> bool:
        """What the system takes at once; False: the loop is to write the rest.

        :param sent: gets how many bytes it took, so that this is known whenever Ctrl-C comes.
        """
        if self.is_writable:
            try:
                sent += map(self._socket.send, (data,), _AT_ONCE)  # in one step: signals are handled after it
            except BlockingIOError:
                pass
            except OSError:  # the connection is over: the loop will see that too
                return True
        if sent == [len(data)]:
            return True
        self._unwritten += data[sum(sent) :]
        return False

    def begin(self, turn: object) -> bool:
        """Whether this thread may read now, until `end`."""
        if not self.is_lent or self.is_wanted or self.turn is not None or self._is_over:
            return False
        self.turn, self.turn_of = turn, get_ident()
        return True

    def read(self) -> bytes:
        """What came; b"": nothing, or it is for the loop, which sees the end by itself, and calls what waits there."""
        try:
            data = self._socket.recv(READ_BYTES, AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if data and not self.is_wanted:
            return data
        self._read += data
        self.is_wanted = True
        return b""

    def end(self, turn: object) -> bool:
        """Read no more; whether the loop could, now: it was this turn, and the connection is there still."""
        if turn is None or self.turn is not turn:
            return False
        self.turn, self.turn_of = None, 0
        if self._is_over:
            self._socket.close()
        return not self._is_over

    # ---- by the loop ----

    def write_rest(self) -> None:
        """What a thread could not."""
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, b""
            self._transport.write(unwritten)

    def lend(self) -> bool:
        """Have threads read from now on; False: the connection is about to end."""
        if self._transport.is_closing():
            return False
        self._transport.pause_reading()
        self.is_lent = True
        return True

    def take_back(self) -> bytes:
        """Read again, as soon as no thread does: what that had read and nobody has seen, else b""."""
        self.is_wanted = self.is_lent and self.turn is not None
        if not self.is_lent or self.is_wanted:
            return b""
        self.is_lent = False
        self.requests_in_a_row = 0
        if not self._transport.is_closing():
            self._transport.resume_reading()
        data, self._read = bytes(self._read), bytearray()
        return data

    def close(self) -> None:
        """The connection is over; whoever waits for it is woken, and closes it then."""
        self._is_over = True
        with suppress(OSError):  # it has been shut down already
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.turn is None:
            self._socket.close()
