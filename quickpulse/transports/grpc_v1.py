"""v1 for the native gRPC server: its part of the table of methods. What its calls do is in `v1_calls.py`.

Who may call is looked at before, in `admitted`, once for all calls of a connection with the same fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from quickpulse.errors import Unauthenticated
from quickpulse.transports.grpc_methods import StreamCall, StreamMethod, Table, UnaryContext, UnaryMethod
from quickpulse.transports.v1_calls import AUTHORIZATION, LONG_REPLIES, Connect, request_fault, rpc_error, serve
from quickpulse.wire.grpc.framing import framed, whole_messages
from quickpulse.wire.grpc.requests import Call
from quickpulse.wire.grpc.status import RpcError, only_trailers
from quickpulse.wire.v1.table import CONNECT_PATH, ROWS, Row

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.transports.tokens import Tokens


def v1_table(broker: Any, traffic: ITraffic, max_batch_bytes: int, tokens: Tokens | None = None) -> Table:
    """The service.

    :param broker: the IBroker.
    :param traffic: the ITraffic.
    :param max_batch_bytes: of a request, or of a frame of Connect.
    :param tokens: what calls were admitted by; None: they need nothing.
    """

    def connect(call: StreamCall) -> Connect:
        handler = Connect(_FrameCall(call), broker, traffic, max_batch_bytes)
        if tokens is not None:
            tokens.hold(handler, tokens.check(_headers(call.call)))
        return handler

    table: Table = {row.grpc_path.encode(): _unary(row, broker, traffic, max_batch_bytes) for row in ROWS if row.rpc}
    table[CONNECT_PATH.encode()] = StreamMethod(
        connect,
        parse_bodies=whole_messages,
        max_bytes=max_batch_bytes,
        word_fault=request_fault(max_batch_bytes, traffic),
    )
    return table


def admitted(call: Call, tokens: Tokens) -> Call:
    """The call, or one that is refused for its token."""
    error = token_fault(call, tokens)
    return call if error is None else Call(None, refusal=(only_trailers(error), "unauthenticated"))


def token_fault(call: Call, tokens: Tokens) -> RpcError | None:
    """What is wrong with its token; None: nothing."""
    try:
        tokens.check(_headers(call))
    except Unauthenticated as error:
        return rpc_error(error)
    return None


def _headers(call: Call) -> list[bytes]:
    return [value for name, value in call.metadata if name == AUTHORIZATION]


def _unary(row: Row, broker: Any, traffic: ITraffic, max_batch_bytes: int) -> UnaryMethod:
    ask = getattr(broker, row.name)

    def handle(message: bytes, context: UnaryContext) -> bytes | Deferred[bytes]:
        return serve(row, ask, message, max_batch_bytes, traffic, context)

    word_fault = request_fault(max_batch_bytes, traffic)
    return UnaryMethod(handle, max_batch_bytes, hands_out=row.kind in LONG_REPLIES, word_fault=word_fault)


class _FrameCall:
    """A call whose frames travel framed, as gRPC has it.

    :param call: the native server's.
    """

    __slots__ = ("_call", "held")

    def __init__(self, call: StreamCall) -> None:
        self._call = call
        self.held = call.held

    def close(self, error: RpcError | None = None) -> None:
        """The end, which no read need have brought about."""
        self._call.close(error)
        self._call.push(b"")  # writes what there is

    def send(self, frames: list[bytes], taken: int) -> None:
        """Answers."""
        self._call.send(framed(frames[0]) if len(frames) == 1 else b"".join(map(framed, frames)), taken)

    def put_back(self, frames: list[bytes]) -> None:
        """For later."""
        self._call.put_back(frames)

    def push(self, frames: list[bytes], taken: int) -> None:
        """What comes by itself."""
        self._call.push(b"".join(map(framed, frames)), taken)
