"""The WebSocket connections of the load: publish, consume, and the same frames against a server that echoes bytes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable

from perf import websocket_frames as frames
from perf.load.faults import LoadFaultError, wrong_answer
from perf.load.link import HOST, Link
from perf.load.numbered import alike, numbered
from perf.load.rows import Row

OK = frames.head(frames.TEXT, 2) + b"ok"

ASK = frames.client_frame(frames.BINARY, b"")
"""A consumer's request."""

_CLOSE = frames.client_frame(frames.CLOSE, (1000).to_bytes(2, "big"))

MOST_HANDSHAKE_BYTES = 65_536

_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_PATHS = {"ws-publish": "/ws/publish", "ws-consume": "/ws/consume"}


class WebSocketLink(Link):
    """A connection whose answers are frames of one size.

    answer: what each must be, or None where answers are kept in `taken` and compared after the clock
    answer_bytes: their size
    """

    def __init__(
        self, port: int, row: Row, window_of: Callable[[int], bytes], answer: bytes | None, answer_bytes: int
    ) -> None:
        super().__init__(port, window_of, row.in_flight)
        self.taken: list[bytes] = []
        self._answer_bytes = answer_bytes
        self._full = answer_bytes * row.in_flight
        self._due = answer * row.in_flight if answer is not None else None
        self._got = 0
        self._rest = b""
        self.expect_answers_of(self._full)
        self._open(port, _PATHS[row.kind])

    def take(self) -> bool:
        """Reads whole answers at once; what is cut or is none goes frame by frame."""
        data = self.read()
        if self._rest or len(data) % self._answer_bytes or not self._are_due(data):
            data = self._frame_by_frame(self._rest + data)
        if self._due is None:
            self.taken.append(data)
        self._got += len(data)
        if self._got < self._full:
            return False
        self._got -= self._full
        return True

    def close(self) -> None:
        """Says so first, as far as the socket takes it."""
        with contextlib.suppress(OSError):
            self.socket.send(_CLOSE)
        super().close()

    def _are_due(self, data: bytes) -> bool:
        """Whether these are answers and nothing else; kept ones are compared later, but a ping is known by its head."""
        if self._due is None:
            return data[0] == 0x80 | frames.BINARY
        return data == self._due or data == self._due[: len(data)]

    def _frame_by_frame(self, data: bytes) -> bytes:
        """The whole answers in `data`; keeps the beginning of the next, and answers pings."""
        answers, start = [], 0
        for final, opcode, payload, end in frames.server_frames(data):
            if opcode == frames.PING:
                self.send(frames.client_frame(frames.PONG, payload))
            elif opcode == frames.CLOSE:
                raise LoadFaultError(f"the server closed: {int.from_bytes(payload[:2], 'big')} {payload[2:]!r}")
            else:
                answer = data[start:end]
                due = None if self._due is None else self._due[: self._answer_bytes]
                if not final or len(answer) != self._answer_bytes or (due is not None and answer != due):
                    raise wrong_answer(answer, due)
                answers.append(answer)
            start = end
        self._rest = data[start:]
        return b"".join(answers)

    def _open(self, port: int, path: str) -> None:
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read()
            if len(head) > MOST_HANDSHAKE_BYTES:
                raise LoadFaultError("the answer to the handshake does not end")
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_SUFFIX).digest())
        if not head.startswith(b"HTTP/1.1 101") or b": " + accept not in head:
            raise LoadFaultError(f"no WebSocket here: {head.partition(chr(13).encode())[0].decode('latin-1')}")


class EchoLink(Link):
    """A connection to a server that sends back the bytes it got."""

    def __init__(self, port: int, row: Row, window: bytes) -> None:
        super().__init__(port, lambda _: window, row.in_flight)
        self._due = window
        self._got = 0
        self.expect_answers_of(len(window))

    def take(self) -> bool:
        """Compares where it is in the window."""
        data, due, got = self.read(), self._due, self._got
        if data == due and not got:
            return True
        self._got = got + len(data)
        if data != due[got : self._got]:
            raise wrong_answer(data, due[got:])
        if self._got < len(due):
            return False
        self._got = 0
        return True


def open_link(row: Row, port: int, is_echo: bool) -> Link:
    """One busy connection of a row."""
    is_consume = row.kind == "ws-consume"
    window = (ASK if is_consume else frames.client_frame(frames.BINARY, alike(row.payload))) * row.in_flight
    if is_echo:
        return EchoLink(port, row, window)
    if is_consume:
        head = answer_head(row)
        return WebSocketLink(port, row, lambda _: window, None, len(head) + row.payload)
    return WebSocketLink(port, row, lambda _: window, OK, len(OK))


def answer_head(row: Row) -> bytes:
    """What stands before the payload in a consumer's answer."""
    return frames.head(frames.BINARY, row.payload)


def open_fill_link(row: Row, port: int, least: int) -> tuple[Link, int]:
    """A connection that publishes `least` numbered payloads, and how many that is, whole windows."""

    def window_of(window: int) -> bytes:
        payloads = numbered(window * row.in_flight, row.in_flight, row.payload)
        return b"".join(frames.client_frame(frames.BINARY, payload) for payload in payloads)

    return WebSocketLink(port, row, window_of, OK, len(OK)), -(-least // row.in_flight) * row.in_flight
