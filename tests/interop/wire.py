"""Bytes that no well-behaved client sends: frames of WebSocket and HTTP/2 by hand, on plain sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: close sends RST."""

ANSWER_SECONDS = 10.0


def upgrade(path: str, *headers: str) -> bytes:
    """The request that opens a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def frame(data: bytes, opcode: int = BINARY, *, first: int = 0x80, is_masked: bool = True, says: int | None = None):
    """A client's frame; `first` holds FIN and the reserved bits, `says` is a length that need not be true."""
    size = len(data) if says is None else says
    mask_bit = 0x80 if is_masked else 0
    if size < 126:
        head = struct.pack("!BB", first | opcode, mask_bit | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first | opcode, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", first | opcode, mask_bit | 127, size)
    if not is_masked:
        return head + data
    key = os.urandom(4)
    return head + key + masked(data, key)


def read_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(opcode, payload) of each complete server frame; what is cut off at the end is left out."""
    at = 0
    while len(data) - at >= 2:
        opcode, size = data[at] & 15, data[at + 1]
        at += 2
        extra = {126: 2, 127: 8}.get(size, 0)
        if len(data) - at < extra:
            return
        if extra:
            size = int.from_bytes(data[at : at + extra], "big")
            at += extra
        if len(data) - at < size:
            return
        yield opcode, data[at : at + size]
        at += size


def read_client_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(first byte, payload) of each frame of a client, up to what is cut off or has no mask."""
    at = 0
    while len(data) - at >= 6:
        first, size, start = data[at], data[at + 1] - 0x80, at + 2
        if size < 0:
            return
        extra = {126: 2, 127: 8}.get(size, 0)
        if extra:
            size, start = int.from_bytes(data[start : start + extra], "big"), start + extra
        at = start + 4 + size
        if at > len(data):
            return
        yield first, masked(data[start + 4 : at], data[start : start + 4])


def masked(data: bytes, key: bytes) -> bytes:
    """With its mask, or without it where it had one."""
    size = len(data)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


def http2_frame(kind: int, flags: int, stream: int, data: bytes, *, says: int | None = None) -> bytes:
    """One frame of RFC 9113, section 4.1."""
    size = len(data) if says is None else says
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + data


def grpc_headers(path: str, stream: int = 1) -> bytes:
    """HEADERS of a gRPC request, as literals without an index (RFC 7541, section 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "127.0.0.1",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(b"\x00%c%b%c%b" % (len(n), n.encode(), len(v), v.encode()) for n, v in fields.items())
    return http2_frame(1, 4, stream, block)


async def connect(port: int) -> socket.socket:
    """A plain socket."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def read_all(sock: socket.socket, seconds: float = ANSWER_SECONDS) -> bytes:
    """Everything until the server ends the connection, by FIN or by RST."""
    loop, data = asyncio.get_running_loop(), bytearray()

    async def read() -> None:
        try:
            while part := await loop.sock_recv(sock, 1 << 18):
                data.extend(part)
        except ConnectionError:
            pass

    await asyncio.wait_for(read(), seconds)
    return bytes(data)


async def ask(port: int, data: bytes, seconds: float = ANSWER_SECONDS) -> bytes:
    """Send bytes on a connection of their own and read until the server ends it."""
    sock = await connect(port)
    with sock:
        await asyncio.get_running_loop().sock_sendall(sock, data)
        return await read_all(sock, seconds)


def vanish(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()
