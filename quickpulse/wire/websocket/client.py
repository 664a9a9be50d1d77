"""The client's half of a WebSocket connection (RFC 6455): bytes in, binary messages out, and back. No I/O is here.

Extensions are not asked for. A server that breaks the rules ends it; what it may make a client hold is bounded.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from struct import pack

from quickpulse.wire.websocket.masking import mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
"""Opcodes."""

NORMAL_CLOSURE, NO_STATUS = 1000, 1005

MOST_HEAD_BYTES = 16_384
"""Of the answer to the handshake: as much as servers usually take of a request."""

MOST_CONTROL_BYTES = 125
MOST_CONTROL_FRAMES = 1_000
"""In a second: no server has a reason for more."""

_FINAL, _MASKED, _RESERVED, _OPCODE = 0x80, 0x80, 0x70, 0x0F
_SHORT_BYTES, _LENGTH_16, _LENGTH_64 = 126, 126, 127
_HTTP, _HEAD_END = b"HTTP/1.", b"\r\n\r\n"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of section 1.3
_SWITCHING_PROTOCOLS = 101


@dataclass(frozen=True, slots=True)
class Refused:
    """The handshake was answered by something else than a WebSocket.

    :param status: HTTP's.
    :param text: its line.
    """

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The server has sent a Close.

    :param code: section 7.4; 1005: none was said.
    :param text: its reason.
    """

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """What the server says is no WebSocket, or not the one that was asked for.

    :param text: what is wrong.
    """

    text: str


End = Refused | Closed | Broken


class _Wrong(Exception):  # noqa: N818 - becomes a Broken
    """The server broke a rule."""


class ClientConnection:
    """One connection, from its handshake on.

    :param host: with the port, of the Host header.
    :param path: which is asked for.
    :param subprotocol: that the server must agree to.
    :param fields: further lines of the handshake, names and values.
    :param most_bytes: of a message of the server.
    :param random: so many bytes that nobody can foresee.
    """

    def __init__(
        self,
        host: str,
        path: str,
        subprotocol: str,
        fields: Sequence[tuple[str, str]],
        most_bytes: int,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.is_open = False
        """Whether the handshake is done."""
        self.end: End | None = None
        """Why nothing more will come."""
        self._subprotocol = subprotocol
        self._most_bytes = most_bytes
        self._random = random
        self._key = b64encode(random(16))
        self._out = [_handshake(host, path, subprotocol, self._key, fields)]
        self._early: list[bytes] = []  # frames for after the handshake
        self._is_closing = False
        self._buffer = bytearray()
        self._needed = 1  # as many bytes must be there before the next step is worth a look
        self._message: bytearray | None = None  # a fragmented one, so far
        self._control_second, self._control_frames = 0, 0

    def send(self, message: bytes) -> None:
        """Send a binary message; it waits for the handshake."""
        self._frame(BINARY, message)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._frame(PING, b"")

    def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Say that nothing more will be sent."""
        if not self._is_closing:
            self._frame(CLOSE, pack("!H", code))
            self._is_closing = True

    def data_to_send(self) -> bytes:
        """What is to be written now; it is handed out once."""
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    @property
    def waiting_bytes(self) -> int:
        """What waits for the handshake."""
        return sum(map(len, self._early))

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take in what was read: the messages that are complete with it. Whether it is over then says `end`."""
        messages: list[bytes] = []
        self._buffer += data
        try:
            while self.end is None and len(self._buffer) >= self._needed:
                if self.is_open:
                    self._read_frames(messages, now)
                else:
                    self._read_head()
        except _Wrong as wrong:
            self.end = Broken(str(wrong))
        if self.end is not None:
            self._buffer.clear()
            self._message = None
        return messages

    # ---- the handshake ----

    def _read_head(self) -> None:
        end = self._buffer.find(_HEAD_END)
        if end > MOST_HEAD_BYTES or (end < 0 and len(self._buffer) > MOST_HEAD_BYTES):
            raise _Wrong(f"the head of its answer is over {MOST_HEAD_BYTES} bytes")
        if not _HTTP.startswith(bytes(self._buffer[: len(_HTTP)])):
            raise _Wrong("it does not speak HTTP")
        if end < 0:
            self._needed = len(self._buffer) + 1
            return
        line, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + len(_HEAD_END)]
        _, _, status = line.partition(" ")
        if not status[:3].isdigit() or status[3:4] not in ("", " "):
            raise _Wrong("it does not speak HTTP")
        if int(status[:3]) != _SWITCHING_PROTOCOLS:
            self.end = Refused(int(status[:3]), status[4:].strip())
            return
        self._require_agreement(lines)
        self.is_open = True
        self._needed = 2
        self._out += self._early
        self._early.clear()

    def _require_agreement(self, lines: list[str]) -> None:
        """Section 4.1, from "2. If the response lacks an |Upgrade| header field" on."""
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
        if fields.get("upgrade", "").lower() != "websocket":
            raise _Wrong("the handshake has no Upgrade to websocket")
        if "upgrade" not in [each.strip().lower() for each in fields.get("connection", "").split(",")]:
            raise _Wrong("the handshake has no Connection: Upgrade")
        if fields.get("sec-websocket-accept") != accept_of(self._key).decode():
            raise _Wrong("the handshake has a wrong Sec-WebSocket-Accept")
        if fields.get("sec-websocket-extensions"):
            raise _Wrong("it uses an extension that was not asked for")
        if fields.get("sec-websocket-protocol") != self._subprotocol:
            raise _Wrong(f"it has not agreed to {self._subprotocol}")

    # ---- frames ----

    def _frame(self, opcode: int, payload: bytes) -> None:
        if self._is_closing or self.end is not None:
            return
        key = self._random(4)
        frame = _header(opcode, len(payload)) + key + mask(payload, key)
        (self._out if self.is_open else self._early).append(frame)

    def _read_frames(self, messages: list[bytes], now: float) -> None:
        """All that are complete."""
        buffer, at, end = self._buffer, 0, len(self._buffer)
        while self.end is None:
            start, size = self._header_at(at, end)
            self._needed = start + size - at
            if start + size > end:
                break
            first = buffer[at]
            payload = bytes(buffer[start : start + size])
            at = start + size
            if first & _OPCODE >= CLOSE:
                self._take_control(first & _OPCODE, payload, now)
            else:
                self._take_part(first & _OPCODE, bool(first & _FINAL), payload, messages)
        del buffer[:at]

    def _header_at(self, at: int, end: int) -> tuple[int, int]:
        """Where the payload of the frame begins, and its length; where that is not known yet, more than there is."""
        buffer = self._buffer
        if at + 2 > end:
            return at + 2, 0
        first, size = buffer[at], buffer[at + 1]
        start = at + 2
        if first & _RESERVED:
            raise _Wrong("a frame has a reserved bit")
        if size & _MASKED:
            raise _Wrong("a frame is masked")
        self._require_place(first, size)
        if size >= _SHORT_BYTES:
            width, least = (2, _SHORT_BYTES) if size == _LENGTH_16 else (8, 1 << 16)
            if start + width > end:
                return start + width, 0
            size = int.from_bytes(buffer[start : start + width], "big")
            start += width
            if size < least:
                raise _Wrong("a frame's length is not in its shortest form")
        if size + len(self._message or b"") > self._most_bytes:
            raise _Wrong(f"a message is over {self._most_bytes} bytes")
        return start, size

    def _require_place(self, first: int, size: int) -> None:
        """Raise if no frame of this kind may come now."""
        opcode = first & _OPCODE
        if opcode >= CLOSE:
            if opcode > PONG or not first & _FINAL or size > MOST_CONTROL_BYTES:
                raise _Wrong("there is no such control frame")
        elif opcode == CONTINUATION:
            if self._message is None:
                raise _Wrong("a frame goes on with no message")
        elif opcode != BINARY:
            raise _Wrong("a message is not binary")
        elif self._message is not None:
            raise _Wrong("a message begins within another one")

    def _take_part(self, opcode: int, is_final: bool, payload: bytes, messages: list[bytes]) -> None:
        if opcode == BINARY and is_final:
            messages.append(payload)
            return
        if self._message is None:
            self._message = bytearray()
        self._message += payload
        if is_final:
            messages.append(bytes(self._message))
            self._message = None

    def _take_control(self, opcode: int, payload: bytes, now: float) -> None:
        if int(now) != self._control_second:
            self._control_second, self._control_frames = int(now), 0
        self._control_frames += 1
        if self._control_frames > MOST_CONTROL_FRAMES:
            raise _Wrong(f"more than {MOST_CONTROL_FRAMES} control frames in a second")
        if opcode == PING:
            self._frame(PONG, payload)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_STATUS
            self.close(NORMAL_CLOSURE if code == NO_STATUS else code)  # section 5.5.1: the code that was received
            self.end = Closed(code, payload[2:].decode("utf-8", "replace"))


def accept_of(key: bytes) -> bytes:
    """What a server answers to a key."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def _handshake(host: str, path: str, subprotocol: str, key: bytes, fields: Sequence[tuple[str, str]]) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {subprotocol}",
        *(f"{name}: {value}" for name, value in fields),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _header(opcode: int, size: int) -> bytes:
    first = _FINAL | opcode
    if size < _SHORT_BYTES:
        return bytes((first, _MASKED | size))
    if size < 1 << 16:
        return pack("!BBH", first, _MASKED | _LENGTH_16, size)
    return pack("!BBQ", first, _MASKED | _LENGTH_64, size)
