"""Messages within a body: a flag, a length of four bytes, the message; any number, cut anywhere by DATA frames.

Source: the gRPC project's PROTOCOL-HTTP2 ("Length-Prefixed-Message").
"""

from __future__ import annotations

import zlib
from struct import Struct

from quickpulse.errors import MessageTooLarge
from quickpulse.wire.grpc.status import RpcError, Status

PREFIX = Struct(">BL")
PREFIX_SIZE = 5

OVERHEAD_BYTES = 1024
"""What a message may be longer than the longest payload: its own limit is checked where the payload is known."""

NOT_ONE_MESSAGE = "the request's body is not one message"

MAX_INFLATED = 4
"""Compressed messages that are unpacked at once: a mebibyte takes milliseconds, and its compressed form is tiny."""

_EITHER = 32 + zlib.MAX_WBITS  # gzip, or zlib's own form, which gRPC calls deflate


def framed(message: bytes) -> bytes:
    """A message that is not compressed, ready for DATA."""
    return PREFIX.pack(0, len(message)) + message


def whole_messages(bodies: list[bytes]) -> list[bytes | None]:
    """The message of each body that is one, not compressed, and nothing else; else None."""
    whole = int.from_bytes  # a flag of 0 and the length are one number
    return [
        body[PREFIX_SIZE:] if whole(body[:PREFIX_SIZE], "big") == len(body) - PREFIX_SIZE else None for body in bodies
    ]


class MessageReader:
    """Cuts one call's body into messages.

    :param max_message_bytes: of a payload.
    :param is_compressed: whether compressed messages may come.
    """

    __slots__ = ("_buffer", "_is_compressed", "_max_message_bytes", "_needed", "fault", "is_unfinished")

    def __init__(self, max_message_bytes: int, is_compressed: bool) -> None:
        self._max_message_bytes = max_message_bytes
        self._is_compressed = is_compressed
        self._buffer = bytearray()
        self.fault: RpcError | None = None
        """What is wrong behind the messages that `feed` returned; the next call of it raises this."""
        self.is_unfinished = False
        """Whether complete messages are left, as many were compressed: `feed` once more, when others had a turn."""
        self._needed = PREFIX_SIZE  # bytes without which no message is complete: no look before they are there

    def feed(self, chunks: list[bytes]) -> list[bytes]:
        """Take in more of the body and return the messages that are complete, but for what `is_unfinished` tells.

        :raises RpcError: a prefix is not valid, a message too long or not decompressible.
        """
        if self.fault is not None:
            raise self.fault
        buffer = self._buffer
        if not buffer and chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            messages, at = self._cut(data)
            if at < len(data):
                buffer += data[at:]
            return messages
        for chunk in chunks:
            buffer += chunk
        if len(buffer) < self._needed:
            return []
        messages, at = self._cut(bytes(buffer))
        del buffer[:at]
        return messages

    def clear(self) -> None:
        """Forget what is not complete."""
        self._buffer.clear()

    @property
    def buffered_bytes(self) -> int:
        """Bytes of a message that is not complete."""
        return len(self._buffer)

    def _cut(self, data: bytes) -> tuple[list[bytes], int]:
        """The complete messages at the start of `data`, and where they end."""
        messages: list[bytes] = []
        at, size, unpack = 0, len(data), PREFIX.unpack_from
        add, inflated = messages.append, 0
        self._needed, self.is_unfinished = PREFIX_SIZE, False
        while size - at >= PREFIX_SIZE:
            flag, length = unpack(data, at)
            start = at + PREFIX_SIZE
            end = start + length
            if flag or end > size:
                try:
                    self._check(flag, length)
                    if end > size:
                        self._needed = end - at
                        break
                    if inflated == MAX_INFLATED:
                        self.is_unfinished = True
                        break
                    add(_inflated(data[start:end], self._max_message_bytes))
                except RpcError as error:
                    if not messages:
                        raise
                    self.fault = error.with_traceback(None)
                    break
                inflated += 1
            else:
                add(data[start:end])
            at = end
        return messages, at

    def _check(self, flag: int, length: int) -> None:
        """Look at a prefix; `RpcError` for what is wrong with it."""
        if flag > 1 or (flag and not self._is_compressed):
            raise RpcError(Status.INTERNAL, f"message with flag {flag}, but grpc-encoding names no compression")
        if length > self._max_message_bytes + OVERHEAD_BYTES:
            raise too_large(length, self._max_message_bytes)


def read_one(body: bytes, max_message_bytes: int, is_compressed: bool) -> bytes:
    """The one message of a unary request's complete body.

    :raises RpcError: it is not one message, or the reader refuses it.
    """
    size = len(body)
    if size >= PREFIX_SIZE:
        flag, length = PREFIX.unpack_from(body)
        if not flag and length == size - PREFIX_SIZE:
            return body[PREFIX_SIZE:]
    reader = MessageReader(max_message_bytes, is_compressed)
    messages = reader.feed([body])
    if reader.fault is not None:
        raise RpcError(reader.fault.status, reader.fault.message)
    if len(messages) != 1 or reader.buffered_bytes:
        raise RpcError(Status.INTERNAL, NOT_ONE_MESSAGE)
    return messages[0]


def too_large(length: int, max_message_bytes: int) -> RpcError:
    """The error for a message that is not read because of its length."""
    return RpcError(Status.RESOURCE_EXHAUSTED, str(MessageTooLarge(length, max_message_bytes)))


def _inflated(data: bytes, max_message_bytes: int) -> bytes:
    """One compressed message; never more than the limit is unpacked."""
    most = max_message_bytes + OVERHEAD_BYTES
    inflater = zlib.decompressobj(_EITHER)
    try:
        message = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise RpcError(Status.INTERNAL, f"a compressed message is neither gzip nor deflate: {error}") from None
    if len(message) > most:
        raise RpcError(
            Status.RESOURCE_EXHAUSTED,
            f"a compressed message is over the limit of {max_message_bytes} bytes (--max-message-bytes)",
        )
    if not inflater.eof or inflater.unused_data:
        raise RpcError(Status.INTERNAL, "a compressed message is not one whole stream")
    return message
