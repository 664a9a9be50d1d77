"""SETTINGS (RFC 9113, section 6.5): what the peer has said of itself."""

from __future__ import annotations

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.frames import LEAST_MAX_FRAME_SIZE, MAX_WINDOW, read_settings
from quickpulse.wire.http2.hpacking import TABLE_BYTES
from quickpulse.wire.http2.windows import DEFAULT_WINDOW

MAX_SETTINGS = 64
"""Values of one SETTINGS frame; there are six of meaning."""


class Setting:
    """Identifiers (RFC 9113, section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class PeerSettings:
    """What the peer takes; until it has said so, what the RFC has for it.

    :param is_client: whether we are the client.
    :ivar window: bytes that a new stream of ours may send.
    :ivar frame_size: of the longest frame.
    :ivar max_streams: of ours that may be open at once; None is not said.
    :ivar must_empty_table: whether the next block of ours has to say that it keeps to a smaller table of HPACK's.
    """

    __slots__ = ("_is_client", "frame_size", "max_streams", "must_empty_table", "window")

    def __init__(self, is_client: bool) -> None:
        self._is_client = is_client
        self.window = DEFAULT_WINDOW
        self.frame_size = LEAST_MAX_FRAME_SIZE
        self.max_streams: int | None = None
        self.must_empty_table = False

    def take(self, payload: bytes) -> int:
        """Take in one frame.

        :returns: by how much the windows of all streams change, which may be less than nothing.
        :raises ConnectionFault: of broken length, too many, or out of range.
        """
        if len(payload) % 6:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a broken length")
        if len(payload) > 6 * MAX_SETTINGS:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"more than {MAX_SETTINGS} settings at once")
        before = self.window
        for identifier, value in read_settings(payload):
            self._apply(identifier, value)
        return self.window - before

    def _apply(self, identifier: int, value: int) -> None:
        if identifier == Setting.ENABLE_PUSH and (value > 1 or (value and self._is_client)):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
        if identifier == Setting.MAX_FRAME_SIZE:
            if not LEAST_MAX_FRAME_SIZE <= value < 2**24:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
            self.frame_size = value
        elif identifier == Setting.MAX_CONCURRENT_STREAMS:
            self.max_streams = value
        elif identifier == Setting.INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE is {value}")
            self.window = value
        elif identifier == Setting.HEADER_TABLE_SIZE and value < TABLE_BYTES:
            self.must_empty_table = True  # RFC 7541, section 4.2; our blocks use none, so that no bytes will do
