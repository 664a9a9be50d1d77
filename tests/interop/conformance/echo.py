"""An echo over WebSocket, as conformance suites want it: each message comes back, text as text, binary as binary.

It is the product's own server. Each message is published into a real queue and taken out again, by what /ws/publish and
/ws/consume do; nothing is replaced on the way of the bytes. A queue does not keep whether a message was text, so the
opcodes are read beside it. As a script it serves until it is ended:

    python tests/interop/conformance/echo.py --port 9001 --ws-frames fast

The path is /ws/consume. Imported or run, this installs no reactor but the one that is asked for.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from quickpulse.messages import Item, payload_of
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue
from quickpulse.settings import MEBIBYTE, Settings
from quickpulse.transports.listening import make_endpoint
from quickpulse.transports.websocket import WsFactory
from quickpulse.transports.ws_server import WsServer
from quickpulse.wire.websocket.frames import BINARY, TEXT, server_frame
from quickpulse.wire.websocket.requests import ENDPOINTS, Endpoint

PUBLISH, CONSUME = ENDPOINTS["/ws/publish"], ENDPOINTS["/ws/consume"]

LONGEST_MESSAGE_BYTES = 16 * MEBIBYTE
"""The longest that the Autobahn testsuite sends; exactly so much, so that the limit is met."""

FIRST_BYTES = {1: TEXT, 2: BINARY}
"""By the opcode of a message's first frame, the first byte of the answer to it."""


def header_bytes(head: bytes) -> int:
    """How long a frame's header is, of which `head` is there already (RFC 6455, section 5.2); 2 until more is known."""
    if len(head) < 2:
        return 2
    return 2 + {126: 2, 127: 8}.get(head[1] & 0x7F, 0) + (4 if head[1] & 0x80 else 0)


def payload_bytes(head: bytes) -> int:
    """The length that a complete header says."""
    size = head[1] & 0x7F
    return int.from_bytes(head[2 : 2 + {126: 2, 127: 8}[size]], "big") if size > 125 else size


class Opcodes:
    """Whether each message of a client was text or binary, in order. It reads headers, and judges nothing."""

    def __init__(self) -> None:
        self._handshake = bytearray()
        self._is_open = False
        self._head = bytearray()
        self._payload_left = 0
        self._first_bytes: deque[int] = deque()

    def feed(self, data: bytes) -> None:
        """What the client sent next."""
        if not self._is_open:
            self._handshake += data
            _, end, data = bytes(self._handshake).partition(b"\r\n\r\n")
            self._is_open = bool(end)
        at = 0
        while at < len(data):
            skipped = min(self._payload_left, len(data) - at)
            self._payload_left -= skipped
            at += skipped
            part = data[at : at + header_bytes(self._head) - len(self._head)]
            self._head += part
            at += len(part)
            if len(self._head) == header_bytes(self._head):
                self._frame_begins(bytes(self._head))
                self._head.clear()

    def take(self, count: int) -> list[int]:
        """The first bytes of the answers to the next `count` messages."""
        return [self._first_bytes.popleft() for _ in range(count)]

    def _frame_begins(self, head: bytes) -> None:
        self._payload_left = payload_bytes(head)
        opcode = head[0] & 0x0F
        if opcode in FIRST_BYTES:  # a continuation belongs to the message before it
            self._first_bytes.append(FIRST_BYTES[opcode])


class EchoMixin:
    """In front of one of the product's protocols: only what is asked of the queue and what is answered differs."""

    def connectionMade(self) -> None:
        """A connection was accepted."""
        self._opcodes = Opcodes()
        super().connectionMade()

    def onConnect(self, request: Any) -> Any:
        """The product chooses its endpoint; this one takes its place."""
        accepted = super().onConnect(request)
        self._use(Endpoint(self._asking, self._echo, gives_messages=True))
        return accepted

    def dataReceived(self, data: bytes) -> None:
        """Look at the headers, then let the product read."""
        self._opcodes.feed(data)
        super().dataReceived(data)

    def _asking(self, queue: Any) -> Callable[[Sequence[bytes]], Any]:
        publish, consume = PUBLISH.ask(queue), CONSUME.ask(queue)

        def ask(messages: Sequence[bytes]) -> Any:
            assert publish(messages) == len(messages), "the queue is full: another has put messages in"
            return consume(messages)

        return ask

    def _echo(self, taken: list[Item], asked: int) -> tuple[bytes, int, int]:
        first_bytes = self._opcodes.take(asked)
        if TEXT not in first_bytes:
            return CONSUME.answer(taken, asked)
        frames = map(server_frame, first_bytes, map(payload_of, taken))
        return b"".join(frames), 0, len(taken)


def echo_factory(reactor: Any, settings: Settings) -> WsFactory:
    """The product's factory, whose connections echo."""
    queue = InstrumentedQueue(MessageQueue(settings.capacity, settings.capacity_bytes), DefaultMetrics())
    factory = WsFactory(reactor, queue, Traffic(), settings)
    factory.protocol = type("EchoProtocol", (EchoMixin, factory.protocol), {})
    return factory


def echo_server(reactor: Any, settings: Settings) -> WsServer:
    """The product's listener, whose connections echo."""
    where = f"{settings.host}:{settings.ws_port}"
    endpoint = make_endpoint(reactor, "--ws-endpoint", settings.ws_endpoint, settings.host, settings.ws_port)
    return WsServer(endpoint, where, echo_factory(reactor, settings))


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9001, help="0 picks a free one; it is printed")
    parser.add_argument("--ws-frames", choices=("fast", "plain"), default="fast")
    parser.add_argument("--reactor", choices=("loop", "epoll"), default="loop", help="loop is asyncio over uvloop")
    arguments = parser.parse_args()
    if arguments.reactor == "epoll":
        from twisted.internet.epollreactor import install
    else:
        from quickpulse.tap import install_reactor as install
    install()
    from twisted.internet import reactor

    settings = Settings(
        mode="ws",
        ws_port=arguments.port,
        ws_frames=arguments.ws_frames,
        max_message_bytes=LONGEST_MESSAGE_BYTES,
    )
    server = echo_server(reactor, settings)
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    server.when_listening().addCallback(lambda _: print(f"echo on {server.addresses[0]}", flush=True))
    reactor.run()


if __name__ == "__main__":
    main()
