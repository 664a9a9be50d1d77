"""The client in the blocking face's loop, and how a thread that asks does without that loop's thread.

To wake another thread and to be woken by it takes as long as the server does. So a thread that asks while little is
under way writes its request itself. Where one asks again and again and nothing else goes on, the loop lends it the
socket: then it reads the reply, too. All of this is done by who holds the session's lock; what is the loop's (timers,
futures, the transport) is touched by its own thread alone.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, get_ident
from typing import Any

from quickpulse.client.clients import Client
from quickpulse.client.connection import MOST_WRITTEN_AT_ONCE
from quickpulse.client.errors import ClientError
from quickpulse.client.leasing import NEVER
from quickpulse.client.messages import Batch
from quickpulse.client.settling import Leased
from quickpulse.client.shared_session import SharedSession

ENOUGH_IN_A_ROW = 8
"""Requests that were alone, before the socket is lent: one that comes now and then is not worth it."""

LOOK_SECONDS = 1.0
"""A thread that reads looks so often whether it is still to do that."""

LEND_SECONDS = 0.02
"""How long nobody uses it until the loop has it back."""

READ_BYTES = 64 * 1024
"""More is taken from the system by malloc, and given back, each time."""

AT_ONCE = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class LoopClient(Client):
    """Whose acks come from other threads, and some of whose requests are done by them."""

    make_session = SharedSession

    session: SharedSession

    wake: Callable[[Callable[[], Any]], Any]
    """Has something called in the loop's thread, while there is one."""

    def __init__(self, *arguments: Any) -> None:
        self._thread = get_ident()
        self._is_flush_due = False
        self._is_in_thread = False  # another thread than the loop's is in the session
        self._socket: socket.socket | None = None  # the connection's, where there is no TLS
        self._unwritten = b""  # what a thread could not write to it
        self._in_a_row = 0  # requests that were alone
        self._is_lent = False  # the loop does not read
        self._reader: object = None  # a thread's turn of reading
        self._reading_thread = 0
        self._is_wanted = False  # by the loop, as soon as that thread has read something
        self._read = bytearray()  # by that thread, for the loop
        super().__init__(*arguments)

    # ---- by a thread that asks ----

    def ask_now(self, ask: Callable[[], None]) -> bool:
        """Ask, and write what there is to say; False: nothing was done, have the loop do it.

        :param ask: asks the session.
        """
        with self.session.lock:
            sock = self._socket
            if (
                sock is None
                or self._is_in_thread  # a signal's handler asks, in the middle of this
                or not self._is_writable
                or self.session.open_calls >= MOST_WRITTEN_AT_ONCE
            ):
                return False
            self._in_a_row += 1
            self._do(sock, ask)
        return True

    def read_until(self, answered: Lock, deadline: float) -> None:
        """Read in the loop's place until the lock is released, or the loop wants to, or the time is up.

        Nothing is done where the socket is not lent, or another thread reads.
        """
        reader = object()
        sock = self._socket
        try:  # what ends in `finally` begins in here, as Ctrl-C may come after any call
            with self.session.lock:
                if sock is None or sock is not self._socket or not self._is_lent or self._reader or self._is_wanted:
                    return
                self._reader, self._reading_thread = reader, get_ident()
            incoming = select.poll()
            incoming.register(sock, select.POLLIN)
            while answered.locked() and self._reader is reader and (left := deadline - time.monotonic()) > 0:
                if incoming.poll(min(left, LOOK_SECONDS) * 1000) and not self._read_once(sock, reader):
                    break
        finally:
            self._leave(sock, reader)

    def step_aside(self) -> None:
        """A signal's handler asks, in a thread that is in the middle of asking.

        :raises ClientError: it would wait for what only that thread can go on with.
        """
        lock: Any = self.session.lock
        if lock._is_owned():
            raise ClientError("a signal's handler cannot wait for the client while its thread writes or reads")
        if self._reading_thread == get_ident():
            self._leave(self._socket, self._reader)

    def _leave(self, sock: socket.socket | None, reader: object) -> None:
        with self.session.lock:
            if self._reader is not reader or reader is None:
                return
            self._reader, self._reading_thread = None, 0
            if sock is None:
                return
            if self._socket is not sock:
                sock.close()
            elif self._is_wanted or self.session.open_calls:
                self._is_wanted = True
                self.wake(self._take_back)

    def _read_once(self, sock: socket.socket, reader: object) -> bool:
        """Whether there may be more to read by this thread."""

        def read() -> None:
            try:
                data = sock.recv(READ_BYTES, AT_ONCE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data and not self._is_wanted:
                self.session.receive(data, self.now())
            else:  # the loop sees the end by itself, and calls by itself what waits there
                self._read += data
                self._is_wanted = True

        with self.session.lock:
            if self._socket is not sock or self._reader is not reader:
                return False
            self._do(sock, read)
            return not self._is_wanted

    def _do(self, sock: socket.socket, call: Callable[[], None]) -> None:
        """Something with the session, and what it has to say then.

        What is interrupted halfway, by Ctrl-C, spoils the connection: it ends, and another one is made.
        """
        self._is_in_thread = True
        try:
            call()
            data = self.session.data_to_send()
            if data:
                self._send(sock, data)
        except BaseException:
            self.cut()
            raise
        finally:
            self._is_in_thread = False

    def _send(self, sock: socket.socket, data: bytes) -> None:
        sent = 0
        if self._is_writable:
            try:
                sent = sock.send(data, AT_ONCE)
            except BlockingIOError:
                pass
            except OSError:  # the connection is over: the loop will see that too
                return
        if sent < len(data):
            self._unwritten += data[sent:]
            self.wake(self.write)

    @property
    def _is_writable(self) -> bool:
        """Whether nothing waits to be written before."""
        transport: Any = self.transport
        return transport is not None and not self._unwritten and not transport.get_write_buffer_size()

    # ---- in the loop's thread ----

    def busy(self) -> None:
        """Something is asked; where that is by the loop, its reply belongs there, so it wants to read."""
        if not self._is_in_thread:
            self._in_a_row = 0
            if self._is_lent:
                self._take_back()

    def _lend(self) -> None:
        transport: Any = self.transport
        if transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._is_lent = True
            self.runtime.call_at(self.now() + LEND_SECONDS, self._look)

    def _look(self) -> None:
        """Whether the socket is still used."""
        with self.session.lock:
            if not self._is_lent:
                return
            if self._in_a_row or self._reader:
                self._in_a_row = 0
                self.runtime.call_at(self.now() + LEND_SECONDS, self._look)
            else:
                self._take_back()

    def _take_back(self) -> None:
        """Read again, after what a thread has read; at once, or when that thread leaves."""
        with self.session.lock:
            self._is_wanted = self._is_lent
            if not self._is_lent or self._reader:
                return
            self._is_lent = self._is_wanted = False
            self._in_a_row = 0
            data, self._read = bytes(self._read), bytearray()
            transport: Any = self.transport
            if transport is None:
                return
            if data:
                self.session.receive(data, self.now())
                self.write()
            if not transport.is_closing():
                transport.resume_reading()

    # ---- what the session and the connection ask (Host) ----

    def write(self) -> None:
        """What there is; what a thread could not write comes first."""
        session = self.session
        with session.lock:
            if self._unwritten and self.transport is not None:
                unwritten, self._unwritten = self._unwritten, b""
                self.transport.write(unwritten)
            super().write()
            if self._in_a_row >= ENOUGH_IN_A_ROW and not self._is_lent and session.is_idle:
                self._lend()

    def write_soon(self) -> None:
        """Once for all that this turn of the loop brings."""
        if not self._is_in_thread:
            super().write_soon()

    def tick_at(self, when: float) -> None:
        """One timer for all."""
        if get_ident() == self._thread:
            super().tick_at(when)
        else:
            self.wake(self._retime)

    def _retime(self) -> None:
        """As the session wants it by now."""
        with self.session.lock:
            if self.session.next_tick < NEVER:
                super().tick_at(self.session.next_tick)

    def cut(self) -> None:
        """At once."""
        if get_ident() == self._thread:
            super().cut()
        else:
            self.wake(super().cut)

    def attach(self, transport: Any) -> None:
        """The socket is duplicated: what is written to it after its end goes to nobody else."""
        super().attach(transport)
        # With asyncio's own transport one cannot know whether it is in the middle of writing.
        is_fit = type(transport).__module__.startswith("uvloop") and transport.get_extra_info("ssl_object") is None
        if is_fit:
            found = transport.get_extra_info("socket")
            with self.session.lock, suppress(OSError):  # no descriptor is left: then the loop does it all
                self._socket = socket.fromfd(found.fileno(), found.family, found.type)

    def detach(self) -> None:
        """Nobody reads or writes it any more; whoever waits for it is woken."""
        with self.session.lock:
            sock, self._socket = self._socket, None
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                if not self._reader:  # else whoever reads it closes it
                    sock.close()
            self._unwritten = b""
            self._read.clear()
            self._is_lent = self._is_wanted = False
            super().detach()

    def settle_soon(self) -> None:
        """By whichever thread says it. While a flush is due anyway, it need not wake the loop."""
        if not self._is_flush_due:
            self.wake(self.plan_flush)

    def handed_out(self, leased: Leased) -> Batch:
        """Messages for the user, who may soon say what became of them."""
        self.plan_flush()
        return super().handed_out(leased)

    def plan_flush(self) -> None:
        """Within a few milliseconds, unless it is planned."""
        if self._is_flush_due:
            return
        if get_ident() == self._thread:
            self._is_flush_due = True
            self.runtime.call_at(self.now() + self.options.flush_seconds, self._flush)
        else:
            self.wake(self.plan_flush)

    def _flush(self) -> None:
        self._is_flush_due = False  # before anything is read, so that what comes meanwhile plans again
        self.flush()
