"""Flow over one connection: when reading rests, and how much of what was written has not arrived."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable
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


class HeldReader:
    """A Reader, of requests that wait: held while the peer does not read what it has."""

    def __init__(self) -> None:
        self.is_held = False
        self._acts: dict[Callable[[], None], None] = {}

    def hold(self) -> None:
        """It does not read."""
        self.is_held = True

    def release(self) -> None:
        """It reads: whoever was passed over meanwhile is told."""
        self.is_held = False
        acts, self._acts = self._acts, {}
        for act in acts:
            act()

    def when_released(self, act: Callable[[], None]) -> None:
        """Once, in the order in which it was said."""
        self._acts[act] = None

    def forget(self, act: Callable[[], None]) -> None:
        """It waits no more."""
        self._acts.pop(act, None)


def unacknowledged_bytes(transport: Any, written: int | None = None) -> int:
    """Bytes written to a TCP transport that the peer's kernel has not confirmed: in its buffer and our kernel's.

    0 where it cannot be known (TLS, a socket that is closed).

    :param written: all that was written to it since it began. With it our own transport's answer also holds when the
        connection was reset: what is written then enters no buffer, and is in none that could be counted.
    """
    if written is not None:
        acknowledged = _acknowledged_bytes(transport)
        if acknowledged is not None:
            return max(written - acknowledged, 0)
    waiting = _unsent_bytes(transport)
    try:
        kernel = fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (AttributeError, OSError, ValueError, TypeError):
        return waiting
    return waiting + int(struct.unpack("i", kernel)[0])


def knows_arrivals(transport: Any) -> bool:
    """Whether a transport can tell what has arrived even when its connection was lost."""
    return _acknowledged_bytes(transport) is not None


def _acknowledged_bytes(transport: Any) -> int | None:
    """What our own transport says; None of any other."""
    ask = getattr(transport, "acknowledged_bytes", None)
    acknowledged: int | None = None if ask is None else ask()
    return acknowledged


def _unsent_bytes(transport: Any) -> int:
    """What the transport itself holds: ours says so, Twisted's is looked into."""
    unsent = getattr(transport, "unsent_bytes", None)
    if unsent is not None:
        return int(unsent())
    waiting = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    return int(waiting + getattr(transport, "_tempDataLen", 0))
