"""One connection of the event loop, as a Twisted transport. It behaves as Twisted's own TCP transport does.

The way of the bytes has few frames: what is read goes from the loop through `data_received` to the protocol, and
`write` is the loop transport's own method.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.transports.flow import unacknowledged_bytes

_log = Logger()

TURN_BYTES = 65_536
"""Most bytes that a connection gets handled in one turn of the loop, so that others have theirs; Twisted's own figure.

The loop reads up to four times as much at once, and libuv goes on for up to 32 reads if it is not stopped.
"""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER, which makes close() a reset

_TCP_INFO = getattr(socket, "TCP_INFO", -1) if sys.platform == "linux" else -1
_BYTES_ACKED, _BYTES_ACKED_AT = struct.Struct("=Q"), 120

_OPEN, _CLOSING, _CLOSED = range(3)  # our half of the connection


@dataclass(frozen=True, slots=True)
class Stall:
    """The bound for a peer that does not read.

    :param seconds: a connection with unsent bytes that did not become fewer for so long is cut off.
    :param happened: called when one was.
    """

    seconds: float
    happened: Callable[[], None]


@implementer(ITCPTransport, IConsumer, IPushProducer, ISystemHandle)
class LoopTransport(asyncio.Protocol):
    """A Twisted transport for its protocol, and an asyncio protocol for the loop's transport.

    High and low water are 0: the kernel's buffer holds megabytes already, so a producer is paused as soon as that is
    full, and resumed when it has taken the rest. The one who writes hears of both, which also tells when all is sent.

    :param loop: the event loop.
    :param sock: the accepted socket.
    :param protocol: the Twisted protocol.
    :param peer: the other end's address.
    :param stall: the bound for peers that do not read; `None` is no bound.
    """

    __slots__ = (
        "__weakref__",
        "_has_eof",
        "_io",
        "_is_paused",
        "_is_pulling",
        "_is_unsent",
        "_loop",
        "_our_half",
        "_peer",
        "_reason",
        "_received",
        "_rest",
        "_socket",
        "_stall",
        "_stall_timer",
        "_turn",
        "connected",
        "disconnected",
        "disconnecting",
        "producer",
        "producerPaused",
        "protocol",
        "streamingProducer",
        "write",
    )

    write: Callable[[bytes], None]
    _io: asyncio.Transport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: Any,
        peer: IPv4Address | IPv6Address,
        stall: Stall | None = None,
    ) -> None:
        self.protocol = protocol
        self.connected = self.disconnected = self.disconnecting = False
        self.producer: Any = None
        self.streamingProducer = self.producerPaused = False
        self.write = _ignore
        self._loop = loop
        self._socket = sock
        self._peer = peer
        self._received: Callable[[bytes], Any] = protocol.dataReceived
        self._rest = memoryview(b"")  # read, and waiting for its turn
        self._turn: asyncio.Handle | None = None
        self._reason: Failure | None = None
        self._our_half = _OPEN
        self._has_eof = self._is_paused = self._is_pulling = self._is_unsent = False
        self._stall = stall if stall is not None and stall.seconds else None
        self._stall_timer: asyncio.TimerHandle | None = None

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop is ready: the protocol begins."""
        self._io = cast("asyncio.Transport", transport)
        self._io.set_write_buffer_limits(high=0)
        self.write = self._io.write
        self.connected = True
        try:
            self.protocol.makeConnection(self)
        except Exception:
            self._fail()
        if self._is_paused or self.disconnecting:  # the loop will start to read nevertheless
            self._received = self._keep

    def data_received(self, data: bytes) -> None:
        """Bytes came in: they are the protocol's, at most `TURN_BYTES` in one turn."""
        if len(data) > TURN_BYTES:
            self._keep(data)
            self._take_turn()
            return
        try:
            self._received(data)
        except Exception:
            self._fail()

    def eof_received(self) -> bool:
        """The peer sends nothing more: the end, unless the protocol knows half-closed connections."""
        self._has_eof = True
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is None:
            self._end(Failure(ConnectionDone()))
        else:
            try:
                half_closeable.readConnectionLost()
            except Exception:
                self._fail()
        return True  # stay open for our half

    def pause_writing(self) -> None:
        """The kernel has not taken all."""
        self._is_unsent = True
        if self._stall is not None:
            self._watch(self._stall)
        if self.producer is not None and self.streamingProducer:
            self.producerPaused = True
            try:
                self.producer.pauseProducing()
            except Exception:
                self._fail()

    def resume_writing(self) -> None:
        """The kernel has taken all. What follows from it waits for the next turn: asyncio is not done with its own."""
        self._is_unsent = False
        self._unwatch()
        self._loop.call_soon(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, once: the socket is closed after it."""
        self.connected, self.disconnected = False, True
        reason = self._reason or Failure(ConnectionDone() if exc is None else ConnectionLost())
        self._unwatch()
        if self._turn is not None:
            self._turn.cancel()
        self._rest = memoryview(b"")
        self.write = self._received = _ignore
        producer, self.producer = self.producer, None
        try:
            if producer is not None:
                producer.stopProducing()
        except Exception:
            _log.failure("a producer failed to stop")
        protocol, self.protocol = self.protocol, None
        try:
            protocol.connectionLost(reason)
        except Exception:
            _log.failure("a protocol failed at the end of its connection")

    # ITransport, ITCPTransport and ISystemHandle.

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write the parts as one."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once all is sent, also what is written until the end of this turn. Read no more."""
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        self._io.pause_reading()
        self._loop.call_soon(self._finish)

    def loseWriteConnection(self) -> None:
        """Close our half once all is sent; then tell the protocol, if it knows of halves."""
        if self.connected and self._our_half == _OPEN:
            self._our_half = _CLOSING
            self._loop.call_soon(self._finish)

    def abortConnection(self) -> None:
        """Close with a reset; what is not sent is dropped."""
        if self.disconnected or self._reason is not None:
            return
        with suppress(OSError):  # the socket may be gone
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end(Failure(ConnectionAborted()))

    def getHost(self) -> IPv4Address | IPv6Address:
        """Our address."""
        return type(self._peer)("TCP", *self._socket.getsockname())

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The other end's address."""
        return self._peer

    def getTcpNoDelay(self) -> bool:
        """Whether small writes are sent at once; the loop sees to it."""
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Choose."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel looks for dead peers."""
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Choose."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self._socket

    def fileno(self) -> int:
        """Its number; -1 when it is closed."""
        return self._socket.fileno()

    def unsent_bytes(self) -> int:
        """Bytes that were written and that the kernel has not taken."""
        return self._io.get_write_buffer_size() if self.connected else 0

    def acknowledged_bytes(self) -> int | None:
        """Bytes that the peer's kernel has confirmed since the connection began, and its end if that is confirmed.

        It can be asked until `connectionLost` has returned. None where the kernel does not say; Linux does.

        Source: struct tcp_info of linux/tcp.h, tcpi_bytes_acked (RFC 4898).
        """
        try:
            facts = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.size + _BYTES_ACKED_AT)
        except OSError:
            return None
        if len(facts) < _BYTES_ACKED.size + _BYTES_ACKED_AT:
            return None
        return int(_BYTES_ACKED.unpack_from(facts, _BYTES_ACKED_AT)[0])

    # IPushProducer: reading.

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._is_paused = True
        self._io.pause_reading()

    def resumeProducing(self) -> None:
        """Read on; first what is read already."""
        if not self.connected or self.disconnecting:
            return
        self._is_paused = False
        if self._received == self._keep:
            self._received = self.protocol.dataReceived
        if self._turn is not None:
            return
        if self._rest:
            self._turn = self._loop.call_soon(self._take_turn)
        elif not self._has_eof:
            self._io.resume_reading()

    def stopProducing(self) -> None:
        """Whoever consumed what we read has no use for more."""
        self.loseConnection()

    # IConsumer: writing.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume `producer` as the peer reads; one that is not streaming is asked for each piece.

        :raises RuntimeError: there is one already.
        """
        if self.producer is not None:
            raise RuntimeError(f"cannot register {producer!r}: {self.producer!r} was never unregistered")
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer, self.streamingProducer, self.producerPaused = producer, streaming, False
        if not streaming:
            self.write = self._write_pulled
            producer.resumeProducing()
        elif self._is_unsent:
            self.producerPaused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """It has no more; a close that waited for it goes on."""
        self.producer = None
        if not self.connected:
            return
        if self._our_half != _CLOSED:
            self.write = self._io.write
        self._loop.call_soon(self._finish)

    # Inside.

    def _keep(self, data: bytes) -> None:
        """Hold what was read until its turn, and read no more."""
        self._rest = memoryview(data)
        self._io.pause_reading()

    def _take_turn(self) -> None:
        """Give the protocol the next piece, or read on after the last."""
        self._turn = None
        if self._is_paused or self.disconnecting:
            return
        if not self._rest:
            self._io.resume_reading()
            return
        piece, self._rest = bytes(self._rest[:TURN_BYTES]), self._rest[TURN_BYTES:]
        self._turn = self._loop.call_soon(self._take_turn)
        try:
            self._received(piece)
        except Exception:
            self._fail()

    def _write_pulled(self, data: bytes) -> None:
        """A producer that is pulled is asked for more after each write, in a turn of its own."""
        self._io.write(data)
        if not (self._is_unsent or self._is_pulling):
            self._is_pulling = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """All is sent: more, if a producer has it; then what waited for the end of it."""
        self._is_pulling = False
        if not self.connected or self._is_unsent:
            return
        if self.producer is not None and (self.producerPaused or not self.streamingProducer):
            self.producerPaused = False
            try:
                self.producer.resumeProducing()
            except Exception:
                self._fail()
        # Twisted's transport waits for one more write of the producer here; whoever has nothing to say waits forever.
        self._finish()

    def _finish(self) -> None:
        """Close, or close our half, if that is wanted, all is sent, and no producer has more."""
        has_more = self.producer is not None and not self.streamingProducer
        if not self.connected or (self._our_half == _OPEN and not self.disconnecting):
            return
        if self._our_half != _CLOSED and (has_more or self._is_unsent):
            return
        if self.disconnecting:
            self._end(Failure(ConnectionDone()))
        elif self._our_half == _CLOSING:
            self._close_our_half()

    def _close_our_half(self) -> None:
        self._our_half = _CLOSED
        self.write = _ignore
        with suppress(OSError):  # the peer may be gone
            self._io.write_eof()
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is None:
            return
        try:
            half_closeable.writeConnectionLost()
        except Exception:
            self._fail()

    def _fail(self) -> None:
        """An exception left the protocol: it is the end of its connection, not of the server."""
        _log.failure("a protocol failed")
        self._end(Failure())

    def _end(self, reason: Failure) -> None:
        """Close now; `connection_lost` follows in the next turn."""
        if self._reason is None:
            self._reason = reason
        self._rest = memoryview(b"")
        self._io.abort()

    def _watch(self, stall: Stall) -> None:
        self._stall_timer = self._loop.call_later(stall.seconds, self._look, stall, unacknowledged_bytes(self))

    def _unwatch(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _look(self, stall: Stall, before: int) -> None:
        """A peer that took nothing since the last look is cut off."""
        if unacknowledged_bytes(self) < before:
            self._watch(stall)
        else:
            stall.happened()
            self.abortConnection()


def _ignore(_data: bytes) -> None:
    """Nothing goes out any more, and nothing comes in."""
