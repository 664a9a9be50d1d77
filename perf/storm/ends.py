"""How a connection is killed, so that it is known to the byte what it got before."""

from __future__ import annotations

import ctypes
import socket
import struct

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER (Linux), which Python does not name
_RETURN = 0x06  # the filter's only instruction: keep 0 bytes of each packet
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")


def cut_off(sock: socket.socket) -> None:
    """Nothing that comes from now on is taken, or confirmed to its sender: as if the cable were cut.

    Without this, what arrives between our last read and the reset would be delivered for the server's kernel, and
    unseen by us. What has arrived can still be read.
    """
    instruction = ctypes.create_string_buffer(_INSTRUCTION.pack(_RETURN, 0, 0, 0), _INSTRUCTION.size)
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, _PROGRAM.pack(1, ctypes.addressof(instruction)))


def reset(sock: socket.socket) -> None:
    """Ends a connection by RST. What was read is confirmed before, so that it does not count as under way."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
