"""A WebSocket connection of a run: the handshake, and chunks cut into messages.

What the messages mean is the business of `perf_ws_throughput`.
"""

from __future__ import annotations

import base64
import hashlib
import os

from perf import websocket_frames as frames
from perf.client import ConnectionEndedError
from perf.connection import PerfConnection
from perf.exchange import Exchange

MAX_HANDSHAKE_BYTES = 16 * 1024

_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

_CLOSE = frames.client_frame(frames.CLOSE, (1000).to_bytes(2, "big"))


class WebSocketConnection(PerfConnection):
    """Handshake, frames out of chunks, control frames and fragments; what messages mean is the subclasses'."""

    def __init__(self, exchange: Exchange, host: str, path: str) -> None:
        super().__init__(exchange)
        self._key = base64.b64encode(os.urandom(16))
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self._key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._needed_bytes = 1
        self._fragments: list[bytes] | None = None

    def greet(self) -> None:
        """Asks for the upgrade."""
        self.transport.write(self._request.encode())

    def say_goodbye(self) -> None:
        """A close frame."""
        self.transport.write(_CLOSE)

    def data_received(self, data: bytes) -> None:
        """From asyncio: keeps the bytes until there is a whole frame, and has all whole ones taken."""
        self._pieces.append(data)
        self._held_bytes += len(data)
        if self._held_bytes < self._needed_bytes:
            return
        chunk = data if len(self._pieces) == 1 else b"".join(self._pieces)
        try:
            rest = chunk[self._take(chunk) :]
            self._needed_bytes = frames.frame_bytes(rest)
        except (ConnectionEndedError, frames.FrameError) as error:
            self.give_up(error)
            return
        self._pieces = [rest] if rest else []
        self._held_bytes = len(rest)

    def take_frames(self, chunk: bytes) -> int:
        """Takes frames at the front of a chunk that are alike; how many bytes it took. For the subclasses."""
        return 0

    def take_message(self, opcode: int, payload: bytes) -> None:
        """Takes one message. For the subclasses."""

    def _take(self, chunk: bytes) -> int:
        if not self.connected.done():
            start = self._take_handshake(chunk)
            return start and start + self._take(chunk[start:])
        start = self.take_frames(chunk)
        for final, opcode, payload, end in frames.server_frames(chunk, start):
            self._take_frame(final, opcode, payload)
            start = end
        if self.is_working:
            self.exchange.waiting(self)
            self.go_on()
        return start

    def _take_handshake(self, chunk: bytes) -> int:
        end = chunk.find(b"\r\n\r\n")
        if end < 0:
            if len(chunk) > MAX_HANDSHAKE_BYTES:
                raise ConnectionEndedError("the answer to the handshake does not end")
            return 0
        status, *lines = chunk[:end].split(b"\r\n")
        if not status.startswith(b"HTTP/1.1 101"):
            raise ConnectionEndedError(f"no WebSocket here: {status.decode('latin-1')}")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if fields.get(b"sec-websocket-accept") != base64.b64encode(hashlib.sha1(self._key + _ACCEPT_SUFFIX).digest()):
            raise ConnectionEndedError("the answer to the handshake is not to our key")
        self.connected.set_result(None)
        return end + 4

    def _take_frame(self, final: bool, opcode: int, payload: bytes) -> None:
        if opcode == frames.PING:
            self.transport.write(frames.client_frame(frames.PONG, payload))
        elif opcode == frames.CLOSE:
            code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
            self.will_end(f"the server closed: {code} {reason}")
            self.transport.write(_CLOSE)
            self.transport.close()
        elif opcode in (frames.TEXT, frames.BINARY) and self._fragments is None:
            if final:
                self.take_message(opcode, payload)
            else:
                self._fragments, self._fragments_opcode = [payload], opcode
        elif opcode == frames.CONTINUATION and self._fragments is not None:
            self._fragments.append(payload)
            if final:
                whole, self._fragments = b"".join(self._fragments), None
                self.take_message(self._fragments_opcode, whole)
        elif opcode != frames.PONG:
            raise ConnectionEndedError("the server sent a frame that is out of place")
