"""Reading plain client frames (RFC 6455, section 5.2), all that a read has at once.

A frame is plain when it is a whole message of its own: FIN, text or binary, no reserved bit, masked, its length in the
shortest form and within the limit; text is UTF-8. Whatever else comes is somebody else's to read and to judge:
`take_plain_frames` stops in front of it. The other functions say where a frame ends that is not taken here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import takewhile
from struct import Struct

from quickpulse.wire.websocket.frames import BINARY, TEXT

MASKED = 0x80
KEY_BYTES = 4
HEADER_BYTES = 2 + KEY_BYTES
"""Header of a payload up to 125 bytes; with 126 and 127 in place of the length, two and eight bytes more follow."""

TWO_BYTE_LENGTH, EIGHT_BYTE_LENGTH = 126, 127

LONG_BYTES = 2_048
"""Payloads from here on are worth the call of another unmasking function."""

ENDLESS = 1 << 64

RUN_FRAMES = 256
"""Most frames that are unmasked together: the work on what turns out to be no run is bounded."""

LEAST_RUN_FRAMES = 8
"""Frames from which on a run is faster than one at a time."""

LONGEST_RUN_PAYLOAD_BYTES = 32
"""Longer ones gain nothing from a run."""

_from_bytes = int.from_bytes  # little-endian in all of this file: big-integer XOR costs a nanosecond a byte


KEY_BITS = (1 << 8 * KEY_BYTES) - 1

_COPIES = [sum(1 << 8 * at for at in range(KEY_BYTES, KEY_BYTES + size, KEY_BYTES)) for size in range(126)]
"""By payload size: a key, times this, is the mask of the payload behind it, and up to three bytes more."""


def unmask(payload: bytes, key: bytes) -> bytes:
    """`payload` without its mask (RFC 6455, section 5.3), by one big-integer XOR.

    :param key: four bytes.
    """
    size = len(payload)
    mask = (key * (size // KEY_BYTES + 1))[:size]
    return (_from_bytes(payload, "little") ^ _from_bytes(mask, "little")).to_bytes(size, "little")


def take_plain_frames(
    chunk: bytes, at: int, most_bytes: int, unmask_long: Callable[[bytes, bytes], bytes] = unmask
) -> tuple[list[bytes], int]:
    """All complete plain frames from `at` on: their payloads, and where the first frame begins that is not taken.

    :param chunk: bytes in which a frame begins at `at`.
    :param most_bytes: longest payload.
    :param unmask_long: `(payload, key) -> payload` for those of `LONG_BYTES` and more.
    """
    end = len(chunk)
    if at + HEADER_BYTES <= end:
        # Most often the one short frame of a client that waits for each answer: it pays for every step.
        size = chunk[at + 1] - MASKED
        if size == end - at - HEADER_BYTES and size < TWO_BYTE_LENGTH and size <= most_bytes and chunk[at] == BINARY:
            masked = _from_bytes(chunk[at + 2 :], "little")
            plain = masked ^ (masked & KEY_BITS) * _COPIES[size]
            return [plain.to_bytes(size + 2 * KEY_BYTES, "little")[KEY_BYTES : KEY_BYTES + size]], end
    payloads: list[bytes] = []
    while at + HEADER_BYTES <= end:
        first, size = chunk[at], chunk[at + 1] - MASKED
        if (first != BINARY and first != TEXT) or size < 0:
            break
        start = at + HEADER_BYTES
        if size > 125:
            start, size = _long_header(chunk, at, size)
        stop = start + size
        if stop > end or size > most_bytes:
            break
        if size <= LONGEST_RUN_PAYLOAD_BYTES and stop != end:
            last = at + (LEAST_RUN_FRAMES - 1) * (stop - at)
            # A look at where the eighth frame would begin: a run is tried only where there is likely to be one.
            if last + 1 < end and chunk[last] == first and chunk[last + 1] == chunk[at + 1]:
                run = _take_run(chunk, at, size)
                if first == TEXT and not b"".join(run).isascii():
                    run = list(takewhile(_is_utf8, run))
                if run:
                    payloads += run
                    at += len(run) * (stop - at)
                    continue
        if size < TWO_BYTE_LENGTH:  # key and payload as one number, as in a run
            masked = _from_bytes(chunk[start - KEY_BYTES : stop], "little")
            plain = masked ^ (masked & KEY_BITS) * _COPIES[size]
            payload = plain.to_bytes(size + 2 * KEY_BYTES, "little")[KEY_BYTES : KEY_BYTES + size]
        elif size < LONG_BYTES:
            payload = unmask(chunk[start:stop], chunk[start - KEY_BYTES : start])
        else:
            payload = unmask_long(chunk[start:stop], chunk[start - KEY_BYTES : start])
        if first == TEXT and not payload.isascii() and not _is_utf8(payload):
            break
        payloads.append(payload)
        at = stop
    return payloads, at


def take_frames_of(
    first_byte: int, chunk: bytes, at: int, most_bytes: int, unmask_long: Callable[[bytes, bytes], bytes] = unmask
) -> tuple[list[bytes], int]:
    """As `take_plain_frames`, but one of the other kind is not taken either.

    :param first_byte: TEXT or BINARY.
    """
    end, stop = len(chunk), at
    while stop < end and chunk[stop] == first_byte:
        stop = frame_stop(chunk, stop)
    if stop == end or chunk[stop] != (TEXT if first_byte == BINARY else BINARY):
        return take_plain_frames(chunk, at, most_bytes, unmask_long)
    payloads, taken_bytes = take_plain_frames(chunk[at:stop], 0, most_bytes, unmask_long)
    return payloads, at + taken_bytes


def lacking_bytes(chunk: bytes, at: int, most_bytes: int) -> int:
    """How many bytes, at least, a plain binary frame that begins at `at` still lacks; 0 when it is no such frame.

    One that is complete lacks 0, too. Of text, already a part can be wrong.
    """
    have = len(chunk) - at
    if chunk[at] != BINARY:
        return 0
    if have < 2:
        return 2 - have
    size = chunk[at + 1] - MASKED
    if size < 0:
        return 0
    start = HEADER_BYTES + _extra_length_bytes(size)
    if have < start:
        return start - have
    if size > 125:
        start, size = _long_header(chunk, at, size)
        start -= at
    return max(start + size - have, 0) if size <= most_bytes else 0


def frame_stop(chunk: bytes, at: int) -> int:
    """Where the frame that begins at `at` ends, of whatever kind, or the end of `chunk` when that is not in it."""
    end = len(chunk)
    if at + 2 > end:
        return end
    key = KEY_BYTES if chunk[at + 1] & MASKED else 0
    size = chunk[at + 1] & ~MASKED
    extra = _extra_length_bytes(size)
    start = at + 2 + extra + key
    if extra:
        size = int.from_bytes(chunk[at + 2 : at + 2 + extra], "big")
    return min(start + size, end)


def _extra_length_bytes(size: int) -> int:
    return 0 if size < TWO_BYTE_LENGTH else 2 if size == TWO_BYTE_LENGTH else 8


def _long_header(chunk: bytes, at: int, size: int) -> tuple[int, int]:
    """Where the payload starts and how long it is; endless when the header is not complete, or not the shortest."""
    if size == TWO_BYTE_LENGTH:
        start, least = at + HEADER_BYTES + 2, 126
        size = chunk[at + 2] << 8 | chunk[at + 3]
    else:
        start, least = at + HEADER_BYTES + 8, 65_536
        size = int.from_bytes(chunk[at + 2 : at + 10], "big")
    return start, size if size >= least and start <= len(chunk) else ENDLESS


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _run_layout(size: int) -> tuple[int, int, Struct]:
    """For a run of frames with `size` bytes: where the keys are, how to repeat each over its payload, how to split."""
    keys = (b"\0\0" + b"\xff" * KEY_BYTES + bytes(size)) * RUN_FRAMES
    return _from_bytes(keys, "little"), _COPIES[size], Struct(f"{HEADER_BYTES}x{size}s")


def _take_run(chunk: bytes, at: int, size: int) -> list[bytes]:
    """The payloads of complete frames from `at` on whose two first bytes are the same; none when they are few.

    All are unmasked by one XOR. The mask is made by a multiplication: a key, shifted by four bytes, eight and so on,
    added up. The last shift may reach over the payload by three bytes, into the next header before its key ends; that
    harms nobody, and no other shift falls there.
    """
    stride = HEADER_BYTES + size
    count = min((len(chunk) - at) // stride, RUN_FRAMES)
    for column in (at, at + 1):
        heads = chunk[column : at + count * stride : stride]
        count -= len(heads.lstrip(heads[:1]))
    if count < LEAST_RUN_FRAMES:
        return []
    stop = at + count * stride
    keys, copies, frame = _run_layout(size)
    masked = _from_bytes(chunk[at:stop], "little")
    plain = masked ^ ((masked & keys) * copies)
    # Four bytes more for what the last shift reaches over; they are cut off.
    frames = plain.to_bytes(stop - at + KEY_BYTES, "little")[:-KEY_BYTES]
    return [payload for (payload,) in frame.iter_unpack(frames)]
