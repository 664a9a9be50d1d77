"""One connection to a server's WebSocket port, as bytes: /ws/v1 in binary. No socket and no clock is here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from quickpulse.client.errors import ConnectionLost
from quickpulse.client.link import MOST_REPLY_BYTES, Link
from quickpulse.errors import (
    MalformedRequest,
    PermissionDenied,
    QuickPulseError,
    RequestTooLarge,
    Unauthenticated,
    Unsupported,
)
from quickpulse.version import __version__
from quickpulse.wire.v1.errors import ERRORS, read_error
from quickpulse.wire.v1.frames import NO_REQUEST
from quickpulse.wire.websocket.client import Broken, ClientConnection, Closed, Refused
from quickpulse.wire.websocket.subprotocols import BINARY_NAME, V1_PATH

_REFUSED: dict[int, type[QuickPulseError]] = {401: Unauthenticated, 403: PermissionDenied}

_MAY_HEAL = {408, 425, 429}
"""Of the answers below 500 to a handshake: those that the next one may not get."""

_CLOSED: dict[int, type[QuickPulseError]] = {1007: MalformedRequest, 1008: PermissionDenied, 1009: RequestTooLarge}
"""Close codes that say that the client was wrong."""

_REASONS = {kind.code for kind in ERRORS}


class WsLink(Link):
    """Frames out as bytes, bytes in as frames. It is over when `receive` says so.

    :param host: with the port.
    :param token: bearer token, or "".
    """

    def __init__(self, host: str, token: str = "") -> None:
        super().__init__()
        fields = [("User-Agent", f"quickpulse-python/{__version__}")]
        if token:
            fields.append(("Authorization", f"Bearer {token}"))
        self._connection = ClientConnection(host, V1_PATH, BINARY_NAME, fields, MOST_REPLY_BYTES)

    def send(self, request_id: int, request: Any) -> None:
        """Send a request of the vocabulary.

        :raises InvalidArgument: a field has a value that does not fit.
        :raises RequestTooLarge: the server would not read it.
        """
        self._connection.send(self._written(request_id, request))

    def data_to_send(self) -> bytes:
        """What is to be written now; it is handed out once."""
        return self._connection.data_to_send()

    def ping(self) -> None:
        """Ask for a sign of life; anything that is read is one."""
        self._connection.ping()

    def end(self) -> None:
        """Say that nothing more is asked."""
        self._connection.close()

    def receive(self, data: bytes, now: float) -> list[tuple[int, Any]]:
        """Take in what was read: (request_id, reply or error) of each frame.

        With request_id 0 comes why the link is over, last of all; of the server's own kind where it said one.
        """
        self._look_at(data)
        frames, fault = self._read(self._connection.receive(data, now))
        end = self._connection.end
        if fault is None and end is not None:
            fault = self._fault_of(end)
        if fault is not None:
            frames.append((NO_REQUEST, fault))
        return frames

    def _fault_of(self, end: Refused | Closed | Broken) -> QuickPulseError:
        if isinstance(end, Broken):
            return self._no_protocol(f"this is no WebSocket of QuickPulse: {end.text}")
        if isinstance(end, Closed):
            return _fault_of_close(end)
        text = f"the server answers with HTTP status {end.status} {end.text}".rstrip()
        if end.status in _REFUSED:
            return _REFUSED[end.status](text)
        if end.status >= 500 or end.status in _MAY_HEAL:
            return ConnectionLost(text)
        return Unsupported(f"there is no {V1_PATH}: {text}; is this the port of WebSocket?")


def _fault_of_close(end: Closed) -> QuickPulseError:
    if end.text in _REASONS:  # the server says which of its errors it is
        text = f"the server closed the connection: {end.text} (code {end.code})"
        return read_error(SimpleNamespace(reason=end.text, message=text, retry_after_ms=None))
    text = f"the server closed the connection: {end.text or 'no reason'} (code {end.code})"
    return _CLOSED.get(end.code, ConnectionLost)(text)
