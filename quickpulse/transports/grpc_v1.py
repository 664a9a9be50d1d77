"""v1 for the native gRPC server: its part of the table of methods. What its calls do is in `v1_calls.py`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from quickpulse.transports.grpc_methods import CallContext, StreamCall, StreamMethod, Table, UnaryMethod
from quickpulse.transports.v1_calls import Connect, serve
from quickpulse.wire.grpc.framing import framed
from quickpulse.wire.v1.table import CONNECT_PATH, ROWS, Row


def v1_table(broker: Any, max_batch_bytes: int) -> Table:
    """The service.

    :param broker: the IBroker.
    :param max_batch_bytes: of a request, or of a frame of Connect.
    """
    table: Table = {row.grpc_path.encode(): _unary(row, broker, max_batch_bytes) for row in ROWS if row.rpc}
    table[CONNECT_PATH.encode()] = StreamMethod(
        lambda call: Connect(_FrameCall(call), broker, max_batch_bytes), max_bytes=max_batch_bytes
    )
    return table


def _unary(row: Row, broker: Any, max_batch_bytes: int) -> UnaryMethod:
    ask = getattr(broker, row.name)

    def handle(message: bytes, _context: CallContext) -> bytes | Deferred[bytes]:
        return serve(row, ask, message, max_batch_bytes)

    return UnaryMethod(handle, max_batch_bytes)


class _FrameCall:
    """A call whose frames travel framed, as gRPC has it.

    :param call: the native server's.
    """

    __slots__ = ("_call", "close")

    def __init__(self, call: StreamCall) -> None:
        self._call = call
        self.close = call.close

    def send(self, frames: list[bytes], taken: int) -> None:
        """Answers."""
        self._call.send(b"".join(map(framed, frames)), taken)

    def push(self, frames: list[bytes], taken: int) -> None:
        """What comes by itself."""
        self._call.push(b"".join(map(framed, frames)), taken)
