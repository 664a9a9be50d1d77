"""Requests of v1 in frames of their own: the server's whole way, from the bytes of a read to those of a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from twisted.internet.task import Clock

from perf.load.headers import call_blocks
from perf.load.numbered import alike
from perf.micro.layers import Layer, Place, Prepared
from perf.micro.surroundings import CAPACITY, NowhereTransport
from perf.websocket_frames import BINARY as BINARY_MESSAGE
from perf.websocket_frames import client_frame
from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.metrics.counted_broker import CountedBroker
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.broker import Broker
from quickpulse.requests import Batch, Delivery, Policy, Publish, Pull, Settle
from quickpulse.settings import Settings
from quickpulse.transports.grpc_native import GrpcFactory
from quickpulse.transports.websocket import WsFactory
from quickpulse.wire.grpc.framing import framed
from quickpulse.wire.http2.frames import (
    DATA,
    END_HEADERS,
    HEADERS,
    MAX_WINDOW,
    PREFACE,
    frame,
    settings_frame,
    window_update_frame,
)
from quickpulse.wire.v1.frames import BINARY, write_request
from quickpulse.wire.v1.table import CONNECT_PATH
from quickpulse.wire.websocket.subprotocols import BINARY_NAME, V1_PATH

PAYLOAD_BYTES = 100

QUEUE = "jobs"

WAIT_MS = 30_000

_INITIAL_WINDOW_SIZE = 4

_GRPC_OPENING = (
    PREFACE
    + settings_frame([(_INITIAL_WINDOW_SIZE, MAX_WINDOW)])
    + window_update_frame(0, MAX_WINDOW - 65_535)
    + frame(HEADERS, END_HEADERS, 1, next(call_blocks(CONNECT_PATH, "127.0.0.1:50051")))
)

_WS_OPENING = (
    f"GET {V1_PATH} HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: {BINARY_NAME}\r\n\r\n"
).encode()


class _Reactor(Clock):
    """A clock, and in the place of an event loop what is to be done in its next turn."""

    def __init__(self) -> None:
        super().__init__()
        self._asyncioEventloop = self
        self._turns: list[Callable[[], None]] = []

    def call_soon(self, act: Callable[[], None]) -> None:
        """As the loop's."""
        self._turns.append(act)

    def next_turn(self) -> None:
        """Do it."""
        while self._turns:
            self._turns.pop()()


class Server:
    """A connection that stands, and the broker behind it.

    :param depth: messages in the queue.
    """

    def __init__(self, depth: int = 0, transport: Any = None) -> None:
        self.reactor = _Reactor()
        self.broker = Broker(defaults=Policy(capacity=CAPACITY))
        self.broker.publish(Publish(QUEUE, Batch(payloads(depth))), 0)
        self.transport = NowhereTransport() if transport is None else transport

    def _connect(self, factory: Any, opening: bytes) -> None:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(opening)

    def _counted(self) -> CountedBroker:
        return CountedBroker(MemoryBroker(self.reactor, self.broker, lambda: 0.0))

    def bytes_of(self, request_id: int, request: Any) -> bytes:
        """A request as it is read."""
        raise NotImplementedError


class GrpcServer(Server):
    """Connect, on the native server."""

    def __init__(self, depth: int = 0, transport: Any = None) -> None:
        super().__init__(depth, transport)
        settings = Settings("grpc", capacity=CAPACITY)
        self._connect(GrpcFactory(self.reactor, None, Traffic(), settings, self._counted()), _GRPC_OPENING)

    def bytes_of(self, request_id: int, request: Any) -> bytes:
        """A DATA frame."""
        return frame(DATA, 0, 1, framed(write_request(request_id, request, BINARY)))


class WsServer(Server):
    """/ws/v1 in binary."""

    def __init__(self, depth: int = 0, transport: Any = None) -> None:
        super().__init__(depth, transport)
        settings = Settings("ws", capacity=CAPACITY)
        self._connect(WsFactory(self.reactor, None, Traffic(), settings, self._counted()), _WS_OPENING)

    def bytes_of(self, request_id: int, request: Any) -> bytes:
        """A binary message."""
        return client_frame(BINARY_MESSAGE, write_request(request_id, request, BINARY))


Make: TypeAlias = Callable[..., Server]
"""(depth=0) -> a server."""


def publish(make: Make, batch: int, rounds: int) -> Prepared:
    """Requests that publish a message."""
    server = make()
    return server.protocol.dataReceived, [server.bytes_of(1, Publish(QUEUE, Batch(payloads(1)))) * batch] * rounds


def take(make: Make, batch: int, rounds: int) -> Prepared:
    """Requests that take one."""
    server = make(batch * rounds)
    return server.protocol.dataReceived, [server.bytes_of(1, Pull((QUEUE,), delivery=Delivery.TAKEN)) * batch] * rounds


def lease_and_settle(make: Make, batch: int, rounds: int) -> Prepared:
    """Requests that lease one, and as many that settle it: two reads."""
    server = make(batch * rounds)
    pulls = server.bytes_of(1, Pull((QUEUE,))) * batch
    settles = [server.bytes_of(1, Settle(QUEUE, ((receipt, receipt),))) for receipt in range(1, batch * rounds + 1)]
    reads = [b"".join(settles[at : at + batch]) for at in range(0, batch * rounds, batch)]
    return _pairs(server, [(pulls, each) for each in reads])


def wait(make: Make, batch: int, rounds: int) -> Prepared:
    """Requests that wait for a message, and as many that publish it: two reads and a turn of the loop."""
    server = make()
    pull = Pull((QUEUE,), wait_ms=WAIT_MS, delivery=Delivery.TAKEN)
    pulls = b"".join(server.bytes_of(request_id, pull) for request_id in range(2, batch + 2))
    publishes = server.bytes_of(1, Publish(QUEUE, Batch(payloads(1)))) * batch
    return _pairs(server, [(pulls, publishes)] * rounds)


def payloads(count: int) -> list[bytes]:
    """Objects of their own, as they come out of a read."""
    return [bytes(bytearray(alike(PAYLOAD_BYTES))) for _ in range(count)]


def _pairs(server: Server, pairs: Sequence[tuple[bytes, bytes]]) -> Prepared:
    receive, next_turn = server.protocol.dataReceived, server.reactor.next_turn

    def run(pair: tuple[bytes, bytes]) -> None:
        for data in pair:
            receive(data)
        next_turn()

    return run, list(pairs)


_CASES = (
    ("publish", publish),
    ("pull, taken", take),
    ("pull, leased, and settle", lease_and_settle),
    ("pull that waits, and publish", wait),
)

SINGLES = (1, 20)
"""Requests of a read."""

SINGLE_LAYERS = tuple(
    Layer(name, case, Place.BESIDE, partial(prepare, make))
    for name, make in (("Connect", GrpcServer), (V1_PATH, WsServer))
    for case, prepare in _CASES
)
"""Nanoseconds for each message, and so for the two requests that some of them need."""
