"""A gRPC conversation in memory: the native server's connection, the bytes of a client, no socket and no time.

The client is made of frames by hand and the hpack library: nothing of the server's own HTTP/2 is in it.
"""

from __future__ import annotations

import struct
from typing import Any

import hpack
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from quickpulse._generated.messagequeue_pb2 import ConsumeResponse, ProduceRequest, StreamMessage
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue
from quickpulse.settings import Settings
from quickpulse.transports.grpc_native import GrpcFactory
from tests.transports.conversation import SocketTransport

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM, ACK, END_HEADERS = 1, 1, 4

INITIAL_WINDOW_SIZE = 4

PRODUCE, CONSUME, STREAM = (f"/messagequeue.MessageQueue/{name}" for name in ("Produce", "Consume", "StreamMessages"))
CHECK, WATCH = (f"/grpc.health.v1.Health/{name}" for name in ("Check", "Watch"))

NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 7, 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of RFC 9113, section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def frames_of(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame; all are whole."""
    frames = []
    while data:
        size = int.from_bytes(data[:3], "big")
        assert len(data) >= 9 + size, "a frame is cut off"
        frames.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return frames


def message(body: bytes, flag: int = 0) -> bytes:
    """Length-prefixed, as gRPC has it."""
    return struct.pack(">BL", flag, len(body)) + body


def produce(payload: bytes) -> bytes:
    """The body of a Produce call."""
    return message(ProduceRequest(payload=payload).SerializeToString())


def exchange(payload: bytes) -> bytes:
    """One message of StreamMessages."""
    return message(StreamMessage(payload=payload).SerializeToString())


NOTHING = message(b"")
"""The body of a Consume call."""


class Response:
    """What came on one stream."""

    def __init__(self) -> None:
        self.blocks: list[dict[str, str]] = []
        self.body = bytearray()
        self.is_ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int | None:
        """grpc-status; None where there is none yet."""
        text = self.blocks[-1].get("grpc-status") if self.blocks else None
        return None if text is None else int(text)

    @property
    def text(self) -> str:
        """grpc-message, as it is in the field."""
        return self.blocks[-1].get("grpc-message", "")

    @property
    def messages(self) -> list[bytes]:
        """The whole messages in the body."""
        found, at, data = [], 0, self.body
        while len(data) - at >= 5:
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
            if end > len(data):
                break
            assert data[at] == 0, "compressed"
            found.append(bytes(data[at + 5 : end]))
            at = end
        return found

    @property
    def payloads(self) -> list[bytes]:
        """The payload of each message."""
        return [ConsumeResponse.FromString(one).payload for one in self.messages]

    @property
    def errors(self) -> list[str]:
        """The error of each ConsumeResponse or StreamMessage."""
        return [ConsumeResponse.FromString(one).error for one in self.messages]


class TcpTransport(SocketTransport):
    """SocketTransport whose peer's kernel confirms as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.unconfirmed = 0

    def unsent_bytes(self) -> int:
        """As the event loop's transports say it."""
        return self.unconfirmed


class GrpcConversation:
    """One connection with the native server.

    :param mode: "grpc" or "grpc_stream".
    :param queue: what the server serves from.
    :param factory: of another conversation, to share it.
    :param now: what the clock shows at the start: real ones do not begin at 0.
    :param options: of Settings, such as max_streams.
    """

    def __init__(
        self, mode: str = "grpc", queue: Any = None, factory: Any = None, now: float = 1000.0, **options: Any
    ) -> None:
        if factory is None:
            clock = Clock()
            clock.advance(now)
            queue = MessageQueue(100_000) if queue is None else queue
            factory = GrpcFactory(clock, queue, Traffic(), Settings(mode, **options))
        self.queue = queue
        self.factory = factory
        self.clock: Clock = factory.reactor
        self.traffic: Traffic = factory.traffic
        self.refused = factory.traffic.refused_total
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.frames: list[tuple[int, int, int, bytes]] = []
        """All that the server sent but HEADERS and DATA, which are in `responses`."""
        self.responses: dict[int, Response] = {}
        self.next_stream = 1
        self.transport = TcpTransport()
        self.protocol = factory.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    # ---- the client's frames ----

    def open(self, settings: bytes = b"") -> GrpcConversation:
        """Say the preface."""
        self.say(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0))
        self.frames.clear()
        return self

    def head(self, path: str = CONSUME, *fields: tuple[str, str], stream: int | None = None, flags: int = 0) -> bytes:
        """HEADERS of a request on a new stream, with fields that replace or add to the usual ones."""
        if stream is None:
            stream, self.next_stream = self.next_stream, self.next_stream + 2
        usual = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "queue.example",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        block = self.encoder.encode(list({**usual, **dict(fields)}.items()))
        return frame(HEADERS, END_HEADERS | flags, stream, block)

    def request(self, path: str, body: bytes, *fields: tuple[str, str]) -> bytes:
        """A whole request on a new stream."""
        return self.head(path, *fields) + frame(DATA, END_STREAM, self.last_stream, body)

    @property
    def last_stream(self) -> int:
        """The stream that was opened last."""
        return self.next_stream - 2

    # ---- talking ----

    def say(self, data: bytes) -> None:
        """Let the server read bytes, and read what it answers."""
        if data:
            self.protocol.dataReceived(data)
        self.read()

    def call(self, path: str, body: bytes, *fields: tuple[str, str]) -> Response:
        """Send a whole request, and give what came on its stream so far."""
        self.say(self.request(path, body, *fields))
        return self.responses.setdefault(self.last_stream, Response())

    def begin(self, path: str = STREAM, *fields: tuple[str, str]) -> Response:
        """Open a stream without a body yet."""
        self.say(self.head(path, *fields))
        return self.responses.setdefault(self.last_stream, Response())

    def send(self, body: bytes, *, end: bool = False, stream: int | None = None) -> None:
        """DATA on a stream, the last one without being told; in frames of the least size."""
        stream = self.last_stream if stream is None else stream
        parts = [body[at : at + 16_384] for at in range(0, len(body), 16_384)] or [b""]
        for part in parts[:-1]:
            self.say(frame(DATA, 0, stream, part))
        self.say(frame(DATA, END_STREAM if end else 0, stream, parts[-1]))

    def cancel(self, stream: int | None = None) -> None:
        """RST_STREAM."""
        self.say(self.reset_frame(self.last_stream if stream is None else stream))

    def reset_frame(self, stream: int) -> bytes:
        """RST_STREAM with CANCEL."""
        return frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))

    def window(self, increment: int, stream: int = 0) -> None:
        """WINDOW_UPDATE."""
        self.say(frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big")))

    def advance(self, seconds: float) -> None:
        """Let time pass, and read what the server says then."""
        self.clock.advance(seconds)
        self.read()

    def lose(self, error: type[Exception] = ConnectionDone) -> None:
        """The connection ends; ConnectionDone is FIN, ConnectionLost is RST."""
        self.protocol.connectionLost(Failure(error()))

    def reset(self) -> None:
        """The peer resets the connection."""
        self.lose(ConnectionLost)

    def read(self) -> None:
        """Sort what the server has written."""
        data = bytes(self.transport.value())
        self.transport.clear()
        for kind, flags, stream, payload in frames_of(data):
            response = self.responses.setdefault(stream, Response()) if stream else Response()
            if kind == HEADERS:
                assert not response.is_ended, f"HEADERS behind the end of stream {stream}"
                response.blocks.append(dict(self.decoder.decode(payload)))
            elif kind == DATA:
                assert not response.is_ended, f"DATA behind the end of stream {stream}"
                response.body += payload
            else:
                self.frames.append((kind, flags, stream, payload))
                if kind == RST_STREAM:
                    response.reset = int.from_bytes(payload, "big")
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                response.is_ended = True

    # ---- what was said ----

    def written(self) -> bytes:
        """What the server has written since it was last read, as it is: for what is no HTTP/2."""
        return bytes(self.transport.value())

    def goaways(self) -> list[tuple[int, int, bytes]]:
        """Last stream, code and words of each GOAWAY."""
        return [
            (*struct.unpack(">LL", payload[:8]), payload[8:]) for kind, _, _, payload in self.frames if kind == GOAWAY
        ]

    def pings(self) -> list[bytes]:
        """Of the server's own PINGs."""
        return [payload for kind, flags, _, payload in self.frames if kind == PING and not flags & ACK]

    def answer_pings(self) -> None:
        """PING with ACK for each of them."""
        pings = self.pings()
        self.frames = [one for one in self.frames if one[0] != PING]
        self.say(b"".join(frame(PING, ACK, 0, ping) for ping in pings))

    @property
    def undelivered(self) -> int:
        """Messages that were taken and did not get there."""
        return self.traffic.undelivered_total
