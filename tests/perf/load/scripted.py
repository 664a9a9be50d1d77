"""A server that answers every read with what a script says: for what no honest library can be made to send."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from quickpulse.wire.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    frame,
    settings_frame,
)

GOOD_HEAD = b"\x88"
"""A header block: `:status: 200`."""

GOOD_TRAILERS = b"\x00\x0bgrpc-status\x010"

ANSWER = b"\0\0\0\0\x02\x08\x01"


def headers(stream: int, block: bytes = GOOD_HEAD, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame."""
    return frame(HEADERS, flags, stream, block)


def trailers(stream: int, block: bytes = GOOD_TRAILERS) -> bytes:
    """The end of a stream."""
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, block)


def data(stream: int, body: bytes = ANSWER, flags: int = 0) -> bytes:
    """A DATA frame."""
    return frame(DATA, flags, stream, body)


def good(stream: int) -> bytes:
    """The whole answer to a Produce."""
    return headers(stream) + data(stream) + trailers(stream)


class ScriptedServer:
    """A context manager; `port` is where it listens. One connection after the other, each served by the script.

    script: what came in one read, to the answer; None closes the connection
    """

    def __init__(self, script: Callable[[bytes], bytes | None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while (chunk := connection.recv(1 << 20)) and (answer := self._script(chunk)) is not None:
                connection.sendall(answer)


def http2(answer: bytes | None, *settings: tuple[int, int]) -> Callable[[bytes], bytes | None]:
    """A script that opens HTTP/2 with these settings, and answers the first requests with `answer`."""

    def script(chunk: bytes) -> bytes | None:
        if chunk.startswith(PREFACE):
            return settings_frame(settings)
        return b"" if chunk == frame(SETTINGS, ACK, 0) else answer

    return script
