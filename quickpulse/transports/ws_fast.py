"""A WebSocket connection that reads plain frames itself, a whole read at once. All else of it is `ws_connection`'s."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from autobahn.websocket.xormasker import create_xor_masker
from twisted.python.failure import Failure

from quickpulse.transports.ws_connection import WsProtocol, join_many
from quickpulse.transports.ws_serving import CLOSED, CLOSING, OPEN
from quickpulse.wire.websocket.plain_frames import frame_stop, lacking_bytes, take_frames_of, take_plain_frames, unmask
from quickpulse.wire.websocket.subprotocols import Subprotocol


def _unmask_compiled(payload: bytes, key: bytes) -> bytes:
    unmasked: bytes = create_xor_masker(key, len(payload)).process(payload)
    return unmasked


# Compiled, autobahn's is ten times as fast as ours on what is long; in Python it is slower.
_is_compiled = create_xor_masker.__module__ != "autobahn.websocket.xormasker"
_unmask_long = _unmask_compiled if _is_compiled else unmask


class FastWsProtocol(WsProtocol):
    """As WsProtocol; but while autobahn holds no part of a message, plain frames are taken before it sees them.

    Any other frame is handed to autobahn, as it came. The bytes of a binary frame that is not complete are kept here
    until it is; of text, autobahn must judge each part as it comes.
    """

    def connectionMade(self) -> None:
        """A connection was accepted; the handshake comes next."""
        self._parts: list[bytes] = []  # of a plain frame that lacks `_lacking` bytes: joined once
        self._lacking = self._joined_parts = 0
        self._most_bytes = self.factory.settings.max_message_bytes
        self._take: Callable[..., tuple[list[bytes], int]] = take_plain_frames
        super().connectionMade()

    def connectionLost(self, reason: Failure) -> None:
        """Forget what was kept."""
        super().connectionLost(reason)
        self._parts = []

    def _use_v1(self, subprotocol: Subprotocol) -> None:
        """Take frames of its kind, up to the limit that it has."""
        super()._use_v1(subprotocol)
        self._most_bytes = self.factory.max_batch_bytes
        self._take = partial(take_frames_of, subprotocol.first_byte)

    def dataReceived(self, data: bytes) -> None:
        """Take the frames of this read, and answer them."""
        if self.state != OPEN and self.state != CLOSING:
            super().dataReceived(data)
            return
        self._counts.received_bytes += len(data)
        if self._parts:
            if len(data) < self._lacking:
                self._parts.append(data)
                self._lacking -= len(data)
                self._joined_parts = join_many(self._parts, self._joined_parts)
                return
            data = self._with_parts(data)
        if self._is_waiting:
            self.data += data
            return
        if self.data:
            data, self.data = self.data + data, b""
        at = 0
        # The usual beginning of `_read` and of `_answer`, and mostly all there is, with fewer steps.
        if (
            self.state == OPEN
            and self.current_frame is None
            and not self.inside_message
            and not self.autoPingTimeoutCall
        ):
            requests, at = self._take(data, 0, self._most_bytes, _unmask_long)
            if at == len(data) and len(requests) <= self._slice and not self._gate.is_peer_slow:
                self._serve(requests)
                return
            self._requests = requests
        self._read(data, at)

    def consumeData(self) -> None:
        """Go on with what is buffered."""
        if (self.state == OPEN or self.state == CLOSING) and not self._is_waiting:
            data, self.data = self.data, b""
            if not data and self.current_frame is not None:  # it may be an empty one, which lacks only its end
                self._hand_over(data, 0)
            self._read(data)
        else:
            super().consumeData()

    def _read(self, chunk: bytes, at: int = 0) -> None:
        """Take `chunk` from `at` on, frame by frame. That is where autobahn's parser is; it has nothing buffered."""
        end = len(chunk)
        while at < end:
            if self.current_frame is None and not self.inside_message:
                payloads, at = self._take(chunk, at, self._most_bytes, _unmask_long)
                if payloads:
                    self._took(payloads)
                if at == end:
                    break
                self._lacking = lacking_bytes(chunk, at, self._most_bytes)
                if self._lacking:
                    self._parts = [chunk[at:]]
                    break
            at = self._hand_over(chunk, at)
            if self._is_waiting:
                self.data += chunk[at:]
                return
            if self.state == CLOSED:
                break
        self._answer()

    def _took(self, payloads: list[bytes]) -> None:
        if self.state == OPEN:  # else as in onMessage
            self._requests += payloads
        if self.autoPingTimeoutCall and self.autoPingRestartOnAnyTraffic:  # as autobahn does at each frame
            self._cancelAutoPingTimeoutCall()

    def _hand_over(self, chunk: bytes, at: int) -> int:
        """Let autobahn parse one frame, or what there is of it; where the next one begins.

        One at a time: its parser copies what is left after each step.
        """
        if self.current_frame is None:
            stop = frame_stop(chunk, at)
        else:
            stop = min(len(chunk), at + self.current_frame.length - self.current_frame_masker.pointer())
        self.data += chunk[at:stop]
        while not self._is_waiting and self.processData() and self.state != CLOSED:
            pass
        return stop

    def _with_parts(self, data: bytes) -> bytes:
        """The kept bytes and those that came behind them."""
        parts, self._parts, self._lacking, self._joined_parts = self._parts, [], 0, 0
        return b"".join((*parts, data))
