"""/ws/v1: a session of v1 whose frames are a WebSocket connection's messages. The connection is `ws_connection`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quickpulse.errors import QuickPulseError
from quickpulse.transports.v1_session import Session, taken_in
from quickpulse.wire.v1.errors import row_of
from quickpulse.wire.v1.frames import NO_REQUEST, read_request, write_reply
from quickpulse.wire.websocket.frames import server_frame
from quickpulse.wire.websocket.subprotocols import Subprotocol

if TYPE_CHECKING:
    from quickpulse.transports.ws_connection import WsProtocol

GATHERED_BYTES, FRAMES_AT_ONCE = 65_536, 250
"""Length of the replies, and number of frames, after which the rest of a read waits until others had their turn, and
until the peer reads: a few bytes may ask for megabytes, or for a list of all queues."""


class WsSession:
    """What serves the messages of one connection, and writes what comes by itself.

    :param connection: where they come from.
    :param broker: the IBroker.
    :param subprotocol: that of the handshake.
    :param max_batch_bytes: of a frame.
    """

    def __init__(self, connection: WsProtocol, broker: Any, subprotocol: Subprotocol, max_batch_bytes: int) -> None:
        self._connection = connection
        self._encoding, self._first_byte = subprotocol.encoding, subprotocol.first_byte
        self._max_bytes = max_batch_bytes
        self._session = Session(broker, self._send)
        self._gathered: list[bytes] | None = None  # replies to the frames of a read
        self._gathered_bytes = 0
        self._taken = 0  # messages in them that are in no queue any more
        self._when_quiet: Callable[[], None] | None = None
        # The session's own, for the connection:
        self.hold, self.release, self.lost = self._session.hold, self._session.release, self._session.lost

    @property
    def is_idle(self) -> bool:
        """Whether the peer waits for nothing."""
        return self._session.is_idle

    def serve(self, messages: list[bytes]) -> None:
        """Frames of a read: what can be answered now is answered together, as far as the peer reads it."""
        connection, served = self._connection, 0
        self._gathered = []
        for served, message in enumerate(messages, 1):
            connection.asked_one()
            request_id, request = read_request(message, self._encoding, self._max_bytes)
            if isinstance(request, QuickPulseError) and (close_code := row_of(request).close_code) is not None:
                self._fail(request, close_code)
                return
            self._session.request(request_id, request)
            if self._gathered_bytes >= GATHERED_BYTES or served == FRAMES_AT_ONCE:
                break
        self._write_gathered()
        if served < len(messages):
            connection.serve_later(messages[served:])
        self._tell_if_quiet()

    def when_quiet(self, act: Callable[[], None]) -> None:
        """Call `act` when no reply is awaited any more; subscriptions do not count."""
        self._when_quiet = act
        self._tell_if_quiet()

    def _fail(self, error: QuickPulseError, close_code: int) -> None:
        """What came is no frame: say so, and close."""
        self._send(NO_REQUEST, error)
        self._write_gathered()
        self._connection.fail(close_code, error.code)

    def _send(self, request_id: int, reply: Any) -> None:
        frame = server_frame(self._first_byte, write_reply(request_id, reply, self._encoding))
        if self._gathered is not None:
            self._gathered.append(frame)
            self._gathered_bytes += len(frame)
            self._taken += taken_in(reply)
        else:
            self._connection.write_frames(frame, taken_in(reply))
            self._tell_if_quiet()

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        taken, self._taken = self._taken, 0
        self._gathered_bytes = 0
        if gathered:
            self._connection.write_frames(b"".join(gathered), taken)

    def _tell_if_quiet(self) -> None:
        if self._when_quiet is not None and self._session.is_quiet:
            act, self._when_quiet = self._when_quiet, None
            act()
