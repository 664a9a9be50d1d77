"""v1 as gRPC's calls, whichever server has them: an RPC for each row of the table, Connect, and errors as statuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from quickpulse.errors import QuickPulseError, RequestTooLarge
from quickpulse.transports.v1_session import Session, as_error, taken_in
from quickpulse.wire.grpc.status import RpcError
from quickpulse.wire.v1.errors import retry_after_ms, row_of
from quickpulse.wire.v1.frames import BINARY, read_request, write_reply
from quickpulse.wire.v1.table import Row

AUTHORIZATION = b"authorization"
"""In a call's metadata, as in HTTP: the token."""

REASON, RETRY_AFTER = b"quickpulse-reason", b"quickpulse-retry-after-ms"
"""Trailers of an error: its stable word, and after how many milliseconds a retry may help (absent: it does not)."""


def rpc_error(error: QuickPulseError) -> RpcError:
    """What a call ends with."""
    fields = [(REASON, error.code.encode())]
    if retry_after_ms(error):
        fields.append((RETRY_AFTER, b"%d" % retry_after_ms(error)))
    return RpcError(row_of(error).status, str(error), fields)


def serve(row: Row, ask: Callable[[Any], Any], message: bytes, max_batch_bytes: int) -> bytes | Deferred[bytes]:
    """One RPC: the reply to a request, now or later. Cancelling the Deferred tells the broker that nobody waits.

    :param ask: the broker's method of this row.
    :param max_batch_bytes: of a request. A server's own limit may be higher.
    :raises RpcError: what the call ends with; as the Deferred's failure too.
    """
    assert row.reply is not None  # as every row with an RPC has one
    serialize = row.reply.form.serialize
    try:
        if len(message) > max_batch_bytes:
            raise RequestTooLarge(f"request of {len(message)} bytes is over the limit of {max_batch_bytes}")
        reply = ask(row.request.parse(message))
        if not isinstance(reply, Deferred):
            return serialize(reply)
    except Exception:
        raise rpc_error(as_error(Failure())) from None
    answer: Deferred[bytes] = reply.addCallback(serialize).addErrback(_failed)
    return answer


def _failed(failure: Failure) -> Any:
    if failure.check(CancelledError):  # its caller is gone
        return failure
    raise rpc_error(as_error(failure))


class FrameCall(Protocol):
    """What a server gives to a call of Connect."""

    def send(self, frames: list[bytes], taken: int) -> None:
        """Send the answers to what was read just now.

        :param taken: how many messages in them are in no queue any more, and are lost if the call ends before them.
        """

    def push(self, frames: list[bytes], taken: int) -> None:
        """Send what comes by itself; `hold` says when it is too much."""

    def close(self, error: RpcError | None = None) -> None:
        """End the call when all is sent; without an error with OK."""


class Connect:
    """One call of Connect: a session whose frames are the call's messages.

    :param call: the call.
    :param broker: the IBroker.
    :param max_batch_bytes: of a frame.
    """

    def __init__(self, call: FrameCall, broker: Any, max_batch_bytes: int) -> None:
        self._call = call
        self._max_bytes = max_batch_bytes
        self._session = Session(broker, self._send)
        self._gathered: list[bytes] | None = None  # replies to the frames of a read
        self._taken = 0  # messages in them that are gone from the queue
        self._has_ended = False

    def messages(self, messages: list[bytes]) -> None:
        """Frames: what can be answered now is answered together."""
        self._gathered = []
        fault: QuickPulseError | None = None
        for message in messages:
            request_id, request = read_request(message, BINARY, self._max_bytes)
            if isinstance(request, QuickPulseError) and row_of(request).close_code is not None:
                fault = request
                break
            self._session.request(request_id, request)
        gathered, self._gathered = self._gathered, None
        taken, self._taken = self._taken, 0
        if gathered:
            self._call.send(gathered, taken)
        if fault is not None:
            self._session.lost()
            self._call.close(rpc_error(fault))

    def ended(self) -> None:
        """The client asks nothing more: what is open is answered, nothing is pushed."""
        self._session.unsubscribe_all()
        self._has_ended = True
        self._close_if_done()

    def cancelled(self) -> None:
        """The client is gone."""
        self._session.lost()

    def revoked(self, error: QuickPulseError) -> None:
        """Its token is not valid any more."""
        self._session.lost()
        self._call.close(rpc_error(error))

    def hold(self) -> None:
        """The client does not read."""
        self._session.hold()

    def release(self) -> None:
        """It reads."""
        self._session.release()

    def _send(self, request_id: int, reply: Any) -> None:
        frame = write_reply(request_id, reply, BINARY)
        taken = taken_in(reply)
        if self._gathered is not None:
            self._gathered.append(frame)
            self._taken += taken
        else:
            self._call.push([frame], taken)
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._has_ended and self._session.is_quiet and self._gathered is None:
            self._session.lost()
            self._call.close()
