"""Flow over one connection: when reading rests, and what of the written messages is still under way."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections import deque
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class ReadGate:
    """Reading from a transport, with two that may stop it: a peer that reads slowly, and a queue that answers later.

    Registered as the transport's producer, it is paused by the transport while the buffer to the peer is above high
    water. `hold` and `release` are the queue's.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._is_peer_slow = self._is_held = False

    def pauseProducing(self) -> None:
        """The buffer to the peer is above high water."""
        self._is_peer_slow = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The buffer to the peer is empty again."""
        self._is_peer_slow = False
        self._resume()

    def stopProducing(self) -> None:
        """The transport is closing; it reads no more by itself."""

    def hold(self) -> None:
        """An answer is awaited: read no further request meanwhile."""
        self._is_held = True
        self._transport.pauseProducing()

    def release(self) -> None:
        """The answer is there."""
        self._is_held = False
        self._resume()

    def open(self) -> None:
        """Read whatever comes, for the discarding at the end of a connection."""
        self._is_peer_slow = self._is_held = False
        self._resume()

    def _resume(self) -> None:
        if not (self._is_peer_slow or self._is_held):
            self._transport.resumeProducing()


def unacknowledged_bytes(transport: Any, written: int | None = None) -> int:
    """Bytes written to a TCP transport that the peer's kernel has not confirmed: in its buffer and our kernel's.

    0 where it cannot be known (TLS, a socket that is closed).

    :param written: all that was written to it since it began. With it our own transport's answer also holds when the
        connection was reset: what is written then enters no buffer, and is in none that could be counted.
    """
    if written is not None and knows_arrivals(transport):
        return max(written - int(transport.acknowledged_bytes()), 0)
    waiting = _unsent_bytes(transport)
    try:
        kernel = fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (AttributeError, OSError, ValueError, TypeError):
        return waiting
    return waiting + int(struct.unpack("i", kernel)[0])


def knows_arrivals(transport: Any) -> bool:
    """Whether a transport can tell what has arrived even when its connection was lost."""
    ask = getattr(transport, "acknowledged_bytes", None)
    return ask is not None and ask() is not None


def _unsent_bytes(transport: Any) -> int:
    """What the transport itself holds: ours says so, Twisted's is looked into."""
    unsent = getattr(transport, "unsent_bytes", None)
    if unsent is not None:
        return int(unsent())
    waiting = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    return int(waiting + getattr(transport, "_tempDataLen", 0))


class Deliveries:
    """Messages handed to one connection whose arrival is not confirmed yet.

    Confirmed means that the peer's kernel acknowledged their bytes. What its program then does with them is out of a
    server's sight: delivery is at most once.
    """

    __slots__ = ("_under_way", "written_bytes")

    def __init__(self) -> None:
        self.written_bytes = 0
        """Since the connection began."""
        self._under_way: deque[tuple[int, int]] = deque()

    def wrote(self, size_bytes: int, messages: int = 0) -> None:
        """`size_bytes` were written, with `messages` in them."""
        self.written_bytes += size_bytes
        if messages:
            self._under_way.append((self.written_bytes, messages))

    def confirm(self, unacknowledged: int) -> None:
        """All but the last `unacknowledged` bytes have arrived."""
        arrived = self.written_bytes - unacknowledged
        while self._under_way and self._under_way[0][0] <= arrived:
            self._under_way.popleft()

    @property
    def is_empty(self) -> bool:
        """Whether all messages are confirmed."""
        return not self._under_way

    def unconfirmed(self) -> int:
        """How many messages may not have arrived."""
        return sum(messages for _, messages in self._under_way)
