"""Frames as bytes (RFC 9113, section 4 and 6): their types and flags, and one builder for each that we send."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
"""Frame types."""

END_STREAM = 0x1
"""Flag of DATA and HEADERS."""

ACK = 0x1
"""Flag of SETTINGS and PING."""

END_HEADERS = 0x4
"""Flag of HEADERS and CONTINUATION."""

PADDED = 0x8
"""Flag of DATA and HEADERS."""

PRIORITIZED = 0x20
"""Flag of HEADERS."""

HEAD_SIZE = 9

HEAD = Struct(">LBL")
"""A frame's head in three numbers: length and type (length << 8 | type), flags, stream with the reserved bit."""

MAX_STREAM_ID = 2**31 - 1

MAX_WINDOW = 2**31 - 1

LEAST_MAX_FRAME_SIZE = 16_384
"""What every peer takes."""

FORMS: dict[int, tuple[int, int, bool | None]] = {
    DATA: (0, LEAST_MAX_FRAME_SIZE, True),
    HEADERS: (0, LEAST_MAX_FRAME_SIZE, True),
    PRIORITY: (5, 5, True),
    RST_STREAM: (4, 4, True),
    SETTINGS: (0, LEAST_MAX_FRAME_SIZE, False),
    PUSH_PROMISE: (0, LEAST_MAX_FRAME_SIZE, True),
    PING: (8, 8, False),
    GOAWAY: (8, LEAST_MAX_FRAME_SIZE, False),
    WINDOW_UPDATE: (4, 4, None),
    CONTINUATION: (0, LEAST_MAX_FRAME_SIZE, True),
}
"""Least and most length of each type, and whether it belongs to a stream (True), to the connection, or to either."""

_SETTING = Struct(">HL")
_NUMBER = Struct(">L")
_TWO_NUMBERS = Struct(">LL")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Any frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings_frame(values: Iterable[tuple[int, int]]) -> bytes:
    """SETTINGS with these identifiers and values."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The pairs in a SETTINGS frame, whose length was checked."""
    return list(_SETTING.iter_unpack(payload))  # type: ignore[arg-type]


def rst_stream_frame(stream_id: int, code: int) -> bytes:
    """The end of one stream."""
    return frame(RST_STREAM, 0, stream_id, _NUMBER.pack(code))


def window_update_frame(stream_id: int, increment: int) -> bytes:
    """Room for `increment` more bytes; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream_id, _NUMBER.pack(increment))


def goaway_frame(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """No stream above `last_stream_id` is served."""
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(last_stream_id, code) + debug)


def read_number(payload: bytes) -> int:
    """The 32 bits of RST_STREAM and WINDOW_UPDATE."""
    number: int = _NUMBER.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Last stream, code and debug data; the length is 8 or more."""
    last, code = _TWO_NUMBERS.unpack_from(payload)
    return last & MAX_STREAM_ID, code, payload[8:]


def unpadded(flags: int, payload: bytes) -> bytes:
    """What a frame carries.

    :raises ConnectionFault: it is shorter than its padding.
    """
    if not flags & PADDED:
        return payload
    if not payload:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "no room for the length of the padding")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding is longer than the frame")
    return payload[1 : len(payload) - padding]
