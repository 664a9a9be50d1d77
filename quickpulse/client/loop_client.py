"""The client in the blocking face's loop, and how a thread that asks does without that loop's thread.

To wake another thread and to be woken by it takes as long as the server does. So a thread that asks while little is
under way writes its request itself. Where one asks again and again and nothing else goes on, the loop lends it the
socket: then it reads the reply, too. All of this is done by who holds the session's lock; what is the loop's (timers,
futures, the transport) is touched by its own thread alone.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from threading import Lock, get_ident
from typing import Any

from quickpulse.client.clients import Client
from quickpulse.client.connection import MOST_WRITTEN_AT_ONCE
from quickpulse.client.errors import ClientError
from quickpulse.client.leasing import NEVER
from quickpulse.client.messages import Batch
from quickpulse.client.settling import Leased
from quickpulse.client.shared_session import SharedSession
from quickpulse.client.shared_socket import SharedSocket, share

ENOUGH_IN_A_ROW = 8
"""Requests that were alone, before the socket is lent: one that comes now and then is not worth it."""

LOOK_SECONDS = 1.0
"""A thread that reads looks so often whether it is still to do that; and one that waits wakes, to handle a signal that
came in the instant before."""

LEND_SECONDS = 0.02
"""How long nobody uses it until the loop has it back."""


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
        self._socket: SharedSocket | None = None  # the connection's, where threads may use it
        super().__init__(*arguments)

    # ---- by a thread that asks ----

    def ask_now(self, ask: Callable[[], None]) -> bool:
        """Ask, and write what there is to say; False: nothing was done, the loop is to do it. By any other thread.

        :param ask: asks the session.
        """
        with self.session.lock:
            sock = self._socket
            if (
                sock is None
                or self._is_in_thread  # a signal's handler asks, in the middle of this
                or not sock.is_writable
                or self.session.open_calls >= MOST_WRITTEN_AT_ONCE
            ):
                return False
            sock.requests_in_a_row += 1
            self._do(sock, ask)
        return True

    def read_until(self, answered: Lock, deadline: float) -> None:
        """Read in the loop's place until the lock is released, or the loop wants to, or the time is up.

        Nothing is done where the socket is not lent, or another thread reads. By any thread but the loop's.
        """
        sock, turn = self._socket, object()
        if sock is None:
            return
        try:  # what ends in `finally` begins in here, as Ctrl-C may come after any call
            with self.session.lock:
                if not sock.begin(turn):
                    return
            incoming = select.poll()
            incoming.register(sock, select.POLLIN)
            while answered.locked() and sock.turn is turn and (left := deadline - time.monotonic()) > 0:
                if incoming.poll(min(left, LOOK_SECONDS) * 1000) and not self._read_once(sock, turn):
                    break
        finally:
            self._leave(sock, turn)

    def step_aside(self) -> None:
        """A signal's handler asks, in a thread that is in the middle of asking.

        :raises ClientError: it would wait for what only that thread can go on with.
        """
        lock: Any = self.session.lock
        if lock._is_owned():
            raise ClientError("a signal's handler cannot wait for the client while its thread writes or reads")
        sock = self._socket
        if sock is not None and sock.turn_of == get_ident():
            self._leave(sock, sock.turn)

    def _leave(self, sock: SharedSocket, turn: object) -> None:
        with self.session.lock:
            if sock.end(turn) and (sock.is_wanted or self.session.open_calls):
                sock.is_wanted = True
                self.wake(self._take_back)

    def _read_once(self, sock: SharedSocket, turn: object) -> bool:
        """Read; whether there may be more for this thread, whose turn it is."""

        def read() -> None:
            data = sock.read()
            if data:
                self.session.receive(data, self.now())

        with self.session.lock:
            if self._socket is not sock or sock.turn is not turn:
                return False
            self._do(sock, read)
            return not sock.is_wanted

    def _do(self, sock: SharedSocket, call: Callable[[], None]) -> None:
        """Something with the session, and what it has to say then; by any thread, which holds the lock.

        What is interrupted halfway, by Ctrl-C, spoils the connection: it ends, and another one is made.
        """
        sent: list[int] = []
        data = b""
        self._is_in_thread = True
        try:
            call()
            data = self.session.data_to_send()
            if data and not sock.write(data, sent):
                self.wake(self.write)
        except BaseException:
            if not data or sent != [len(data)]:
                self.cut()
            raise
        finally:
            self._is_in_thread = False

    # ---- in the loop's thread ----

    def busy(self) -> None:
        """Something is asked, by who holds the lock; where that is the loop, it wants to read the reply itself."""
        if not self._is_in_thread and self._socket is not None:
            self._socket.requests_in_a_row = 0
            if self._socket.is_lent:
                self._take_back()

    def _look(self) -> None:
        """Whether the socket is still used; in the loop's thread."""
        with self.session.lock:
            sock = self._socket
            if sock is None or not sock.is_lent:
                return
            if sock.requests_in_a_row or sock.turn is not None:
                sock.requests_in_a_row = 0
                self.runtime.call_at(self.now() + LEND_SECONDS, self._look)
            else:
                self._take_back()

    def _take_back(self) -> None:
        """Read again, after what a thread has read; at once, or when that thread leaves. In the loop's thread."""
        with self.session.lock:
            data = b"" if self._socket is None else self._socket.take_back()
            if data:
                self.session.receive(data, self.now())
                self.write()

    # ---- what the session and the connection ask (Host) ----

    def write(self) -> None:
        """What there is; what a thread could not write comes first. In the loop's thread."""
        with self.session.lock:
            sock = self._socket
            if sock is not None:
                sock.write_rest()
            super().write()
            if sock is None or sock.is_lent or sock.requests_in_a_row < ENOUGH_IN_A_ROW:
                return
            if self.session.is_idle and sock.lend():
                self.runtime.call_at(self.now() + LEND_SECONDS, self._look)

    def write_soon(self) -> None:
        """Once for all that this turn of the loop brings. By who holds the lock; only the loop does it."""
        if not self._is_in_thread:
            super().write_soon()

    def tick_at(self, when: float) -> None:
        """One timer for all. By any thread; the loop's sets it."""
        if get_ident() == self._thread:
            super().tick_at(when)
        else:
            self.wake(self._retime)

    def _retime(self) -> None:
        """As the session wants it by now; in the loop's thread."""
        with self.session.lock:
            if self.session.next_tick < NEVER:
                super().tick_at(self.session.next_tick)

    def cut(self) -> None:
        """At once. By any thread; the loop's does it."""
        if get_ident() == self._thread:
            super().cut()
        else:
            self.wake(super().cut)

    def attach(self, transport: Any) -> None:
        """Threads may use it from now on, where they can. In the loop's thread."""
        super().attach(transport)
        with self.session.lock:
            self._socket = share(transport)

    def detach(self) -> None:
        """Nobody reads or writes it any more. In the loop's thread, or when that has ended."""
        with self.session.lock:
            sock, self._socket = self._socket, None
            if sock is not None:
                sock.close()
            super().detach()

    def settle_soon(self) -> None:
        """By whichever thread says it. While a flush is due anyway, it need not wake the loop."""
        if not self._is_flush_due:
            self.wake(self.plan_flush)

    def handed_out(self, leased: Leased) -> Batch:
        """Messages for the user, who may soon say what became of them. In the loop's thread."""
        self.plan_flush()
        return super().handed_out(leased)

    def plan_flush(self) -> None:
        """Within a few milliseconds, unless it is planned. By any thread."""
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
