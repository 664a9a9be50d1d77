"""What connections have in common, whatever carries their frames. One kind of it is in each of the modules *_link."""

from __future__ import annotations

from typing import Any

from quickpulse.client.errors import ConnectionLost, TlsFailed
from quickpulse.errors import QuickPulseError, RequestTooLarge
from quickpulse.wire.v1.frames import BINARY, read_reply, write_request

MOST_REPLY_BYTES = 256 * 1024 * 1024
"""Of one frame of the server: more than `--max-batch-bytes` may be, and a bound nevertheless."""

_TLS_ALERT = b"\x15"
"""How a server that speaks TLS begins its answer to what is none; nothing else that is spoken here begins so."""


class Link:
    """Frames of v1 for bytes, and back."""

    def __init__(self) -> None:
        self.max_batch_bytes: int | None = None
        """Of a frame, once the server has said it."""
        self._first = b""  # byte that came

    @property
    def is_mute(self) -> bool:
        """Whether the server has not said a word."""
        return not self._first

    def _written(self, request_id: int, request: Any) -> bytes:
        """The frame of a request.

        :raises InvalidArgument: a field has a value that does not fit.
        :raises RequestTooLarge: the server would not read it.
        """
        frame = write_request(request_id, request, BINARY)
        if self.max_batch_bytes is not None and len(frame) > self.max_batch_bytes:
            raise RequestTooLarge(f"request of {len(frame)} bytes is over the server's limit of {self.max_batch_bytes}")
        return frame

    def _read(self, frames: list[bytes]) -> tuple[list[tuple[int, Any]], QuickPulseError | None]:
        """What the server's frames say, and what is wrong with the one behind them."""
        read = []
        try:
            for frame in frames:
                read.append(read_reply(frame, BINARY))
        except QuickPulseError as error:
            return read, ConnectionLost(f"what the server says cannot be read: {error}")
        return read, None

    def _look_at(self, data: bytes) -> None:
        """Remember how the server has begun."""
        if not self._first:
            self._first = data[:1]

    def _no_protocol(self, what: str) -> QuickPulseError:
        """What came is not what this connection speaks."""
        if self._first == _TLS_ALERT:
            return TlsFailed(
                "the server speaks TLS: the URL needs the scheme with it, quickpulses:// or quickpulse+wss://"
            )
        return ConnectionLost(what)
