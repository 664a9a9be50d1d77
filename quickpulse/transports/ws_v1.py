"""/ws/v1: a session of v1 whose frames are a WebSocket connection's messages. The connection is `ws_connection`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quickpulse.errors import QuickPulseError
from quickpulse.transports.v1_frames import FrameSession
from quickpulse.wire.v1.errors import row_of
from quickpulse.wire.v1.frames import NO_REQUEST, write_reply
from quickpulse.wire.websocket.frames import server_frame
from quickpulse.wire.websocket.subprotocols import Subprotocol

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.transports.ws_connection import WsProtocol


class WsSession:
    """What serves the messages of one connection, and writes what comes by itself.

    :param connection: where they come from.
    :param broker: the IBroker.
    :param traffic: the ITraffic.
    :param subprotocol: that of the handshake.
    :param max_batch_bytes: of a frame.
    """

    def __init__(
        self,
        connection: WsProtocol,
        broker: Any,
        traffic: ITraffic,
        subprotocol: Subprotocol,
        max_batch_bytes: int,
    ) -> None:
        self._connection = connection
        self._encoding, self._first_byte = subprotocol.encoding, subprotocol.first_byte
        self._session = session = FrameSession(broker, self._encoding, max_batch_bytes, self._send, self._push, traffic)
        self._when_quiet: Callable[[], None] | None = None
        # The session's own, for the connection:
        self.hold, self.release, self.lost = session.hold, session.release, session.lost

    @property
    def is_idle(self) -> bool:
        """Whether the peer waits for nothing."""
        return self._session.is_idle

    def serve(self, messages: list[bytes]) -> None:
        """Frames of a read: what can be answered now is answered together, as far as the peer reads it."""
        connection = self._connection
        connection.asked(len(messages))
        try:
            rest = self._session.serve(messages)
        except QuickPulseError as fault:  # what came is no frame: say so, and close
            close_code = row_of(fault).close_code
            assert close_code is not None  # of all that end a session
            self._send([write_reply(NO_REQUEST, fault, self._encoding)], 0)
            connection.fail(close_code, fault.code)
            return
        if rest:
            connection.serve_later(rest)
        self._tell_if_quiet()

    def when_quiet(self, act: Callable[[], None]) -> None:
        """Call `act` when no reply is awaited any more, and all is settled; subscriptions do not count."""
        self._when_quiet = act
        self._tell_if_quiet()

    def _send(self, frames: list[bytes], taken: int) -> None:
        first_byte = self._first_byte
        self._connection.write_frames(b"".join([server_frame(first_byte, frame) for frame in frames]), taken)

    def _push(self, frame: bytes, taken: int) -> None:
        self._connection.write_frames(server_frame(self._first_byte, frame), taken)
        self._tell_if_quiet()

    def _tell_if_quiet(self) -> None:
        if self._when_quiet is not None and self._session.is_quiet and not self._session.held.count:
            act, self._when_quiet = self._when_quiet, None
            act()
