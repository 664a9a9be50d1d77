"""A WebSocket conversation in memory: the server's protocol, the bytes of a client, no socket and no time."""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue
from quickpulse.settings import Settings
from quickpulse.transports.websocket import WsFactory

OK = (1, b"ok")
FULL = (1, b"error: queue is full")
EMPTY = (1, b"error: queue is empty")
"""The answers of the contract: opcode and payload."""

MASK = b"\x12\x34\x56\x78"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def client_frame(payload: bytes, opcode: int = BINARY, first: int = 0x80, mask: bytes | None = MASK) -> bytes:
    """A client's frame; `first` has FIN and the reserved bits."""
    size, masked = len(payload), 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first | opcode, masked | size)
    elif size < 65536:
        head = struct.pack("!BBH", first | opcode, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first | opcode, masked | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def close_frame(code: int = 1000) -> bytes:
    """A client's Close."""
    return client_frame(struct.pack("!H", code), CLOSE)


def server_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of every frame that a server sent; each complete, unmasked and in one piece."""
    frames = []
    while data:
        first, size, at = data[0], data[1], 2
        assert first & 0x80, "a fragment"
        assert not first & 0x70, "a reserved bit"
        assert size < 128, "masked by a server"
        if size == 126:
            (size,), at = struct.unpack("!H", data[2:4]), 4
        elif size == 127:
            (size,), at = struct.unpack("!Q", data[2:10]), 10
        assert len(data) >= at + size, "an incomplete frame"
        frames.append((first & 0x0F, data[at : at + size]))
        data = data[at + size :]
    return frames


def close_of(frames: list[tuple[int, bytes]]) -> int:
    """The code of the Close that ends these frames."""
    opcode, payload = frames[-1]
    assert opcode == CLOSE, frames
    return int(struct.unpack("!H", payload[:2])[0])


class LateQueue:
    """A MessageQueue that answers when told to."""

    def __init__(self, capacity: int = 100) -> None:
        self.inner = MessageQueue(capacity)
        self.waiting: list[tuple[Deferred, object, object]] = []
        self.calls = 0

    def enqueue_many(self, messages):
        return self._later(self.inner.enqueue_many, messages)

    def dequeue_many(self, count):
        return self._later(self.inner.dequeue_many, count)

    def _later(self, method, argument):
        self.calls += 1
        result = Deferred()
        self.waiting.append((result, method, argument))
        return result

    def answer(self) -> None:
        """Do the oldest call and fire its Deferred."""
        result, method, argument = self.waiting.pop(0)
        result.callback(method(argument))

    def fail(self) -> None:
        """Fail the oldest call."""
        self.waiting.pop(0)[0].errback(RuntimeError("disk on fire"))


class SocketTransport(StringTransport):
    """StringTransport with what a TCP transport has besides: half-close, abort, an order of events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.protocol: Any = None

    def loseWriteConnection(self) -> None:
        self.events.append("half-close")

    def loseConnection(self) -> None:
        self.events.append("close")
        super().loseConnection()

    def abortConnection(self) -> None:
        self.events.append("abort")
        self.disconnecting = True

    def unregisterProducer(self) -> None:
        """As TCP transports do, without a word when there is none."""
        self.producer = None

    def resumeProducing(self) -> None:
        """As TCP transports do, nothing while closing."""
        if not self.disconnecting:
            super().resumeProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.events.append("nodelay")


class Conversation:
    """One connection with a server.

    :param path: the path of the handshake.
    :param queue: what the server serves from.
    :param options: of Settings, such as allow_origin.
    """

    def __init__(self, path: str = "/ws/publish", queue: Any = None, factory: Any = None, **options: Any) -> None:
        self.path = path
        self.clock = Clock() if factory is None else factory.reactor
        self.traffic = Traffic() if factory is None else factory.traffic
        self.queue = MessageQueue(100) if queue is None else queue
        settings = Settings("ws", **{"max_message_bytes": 1000, **options})
        self.factory = factory or WsFactory(self.clock, self.queue, self.traffic, settings)
        self.transport = SocketTransport()
        self.protocol = self.factory.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def handshake(self, *extra: str) -> bytes:
        """The request that opens the conversation."""
        lines = [
            f"GET {self.path} HTTP/1.1",
            "Host: queue.example:8081",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *extra,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def open(self, *extra: str) -> Conversation:
        """Make the handshake; what comes after is the conversation."""
        answer = self.say(self.handshake(*extra))
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return self

    def say(self, data: bytes) -> bytes:
        """Send bytes and give what the server wrote in answer."""
        self.transport.clear()
        self.protocol.dataReceived(data)
        self.clock.advance(0)  # what was put off to let others have their turn
        return self.written()

    def written(self) -> bytes:
        """What the server has written since the last `say`."""
        return bytes(self.transport.value())

    def frames(self, data: bytes) -> list[tuple[int, bytes]]:
        """Send bytes and give the frames of the answer."""
        return server_frames(self.say(data))

    def lose(self, error: type[Exception] = ConnectionDone) -> None:
        """The connection ends; ConnectionDone is FIN, ConnectionLost is RST."""
        self.protocol.connectionLost(Failure(error()))

    def reset(self) -> None:
        """The peer resets the connection."""
        self.lose(ConnectionLost)


class WsTestCase(SynchronousTestCase):
    """Tests of one setting of --ws-frames; a subclass runs them over another."""

    ws_frames = "plain"

    def talk(self, path: str = "/ws/publish", **options: Any) -> Conversation:
        """A new connection; the parameters are Conversation's."""
        return Conversation(path, ws_frames=self.ws_frames, **options)
