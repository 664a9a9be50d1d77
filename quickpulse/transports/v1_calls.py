"""v1 as gRPC's calls, whichever server has them: an RPC for each row of the table, Connect, and errors as statuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from quickpulse.errors import MalformedRequest, QuickPulseError, RequestTooLarge
from quickpulse.requests import ListQueues, Peek, Pull, Reader
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.transports.v1_frames import FrameSession
from quickpulse.transports.v1_session import as_error, taken_in
from quickpulse.wire.grpc.status import RpcError, Status
from quickpulse.wire.v1.errors import retry_after_ms, row_of
from quickpulse.wire.v1.frames import BINARY
from quickpulse.wire.v1.table import Row

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

AUTHORIZATION = b"authorization"
"""In a call's metadata, as in HTTP: the token."""

REASON, RETRY_AFTER = b"quickpulse-reason", b"quickpulse-retry-after-ms"
"""Trailers of an error: its stable word, and after how many milliseconds a retry may help (absent: it does not)."""

LONG_REPLIES = (Pull, Peek, ListQueues)
"""Requests whose replies may be as long as a frame; those of all others are short."""


def rpc_error(error: QuickPulseError) -> RpcError:
    """What a call ends with."""
    fields = [(REASON, error.code.encode())]
    if retry_after_ms(error):
        fields.append((RETRY_AFTER, b"%d" % retry_after_ms(error)))
    return RpcError(row_of(error).status, str(error), fields)


def answered(error: QuickPulseError, traffic: ITraffic) -> RpcError:
    """The same, counted."""
    traffic.failed(error)
    return rpc_error(error)


def request_fault(max_batch_bytes: int, traffic: ITraffic) -> Callable[[RpcError], RpcError]:
    """What a call ends with whose message is too long, or none: an error of v1 in the place of gRPC's."""

    def word_fault(error: RpcError) -> RpcError:
        if error.status is Status.RESOURCE_EXHAUSTED:
            return answered(RequestTooLarge(f"request is over the limit of {max_batch_bytes} bytes"), traffic)
        return answered(MalformedRequest(error.message), traffic)

    return word_fault


class Caller(Protocol):
    """What a reply is for."""

    peer: Reader
    """Who reads it."""

    held: HeldLeases
    """Hears of leases."""

    handed_out: int
    """Is told how many messages in it are in no queue any more."""


def serve(
    row: Row,
    ask: Callable[[Any], Any],
    message: bytes,
    max_batch_bytes: int,
    traffic: ITraffic,
    caller: Caller | None = None,
) -> bytes | Deferred[bytes]:
    """One RPC: the reply to a request, now or later. Cancelling the Deferred tells the broker that nobody waits.

    :param ask: the broker's method of this row.
    :param max_batch_bytes: of a request. A server's own limit may be higher.
    :param traffic: the ITraffic.
    :param caller: where that is known.
    :raises RpcError: what the call ends with; as the Deferred's failure too.
    """
    assert row.reply is not None  # as every row with an RPC has one
    write = row.reply.form.serialize

    def serialize(reply: Any) -> bytes:
        written = write(reply)
        if caller is not None:
            caller.handed_out = taken_in(reply)
            caller.held.note(request, reply)
        return written

    try:
        if len(message) > max_batch_bytes:
            raise RequestTooLarge(f"request of {len(message)} bytes is over the limit of {max_batch_bytes}")
        request = row.request.parse(message)
        if caller is not None and type(request) is Pull and request.wait_ms:
            request = request.read_by(caller.peer)
        reply = ask(request)
        if not isinstance(reply, Deferred):
            return serialize(reply)
    except Exception:
        raise answered(as_error(Failure()), traffic) from None
    answer: Deferred[bytes] = reply.addCallback(serialize).addErrback(_failed, traffic)
    return answer


def _failed(failure: Failure, traffic: ITraffic) -> Any:
    if failure.check(CancelledError):  # its caller is gone
        return failure
    raise answered(as_error(failure), traffic)


class FrameCall(Protocol):
    """What a server gives to a call of Connect."""

    held: HeldLeases
    """What is known of its leases, or of its connection's."""

    def send(self, frames: list[bytes], taken: int) -> None:
        """Send the answers to what was read just now.

        :param taken: how many messages in them are in no queue any more, and are lost if the call ends before them.
        """

    def push(self, frames: list[bytes], taken: int) -> None:
        """Send what comes by itself; `hold` says when it is too much."""

    def put_back(self, frames: list[bytes]) -> None:
        """These were given to `messages` and are not served: give them again when the client reads."""

    def close(self, error: RpcError | None = None) -> None:
        """End the call when all is sent; without an error with OK."""


class Connect:
    """One call of Connect: a session whose frames are the call's messages.

    :param call: the call.
    :param broker: the IBroker.
    :param traffic: the ITraffic.
    :param max_batch_bytes: of a frame.
    """

    def __init__(self, call: FrameCall, broker: Any, traffic: ITraffic, max_batch_bytes: int) -> None:
        self._call = call
        self._session = FrameSession(broker, BINARY, max_batch_bytes, call.send, self._push, traffic, call.held)
        self._has_ended = self._is_over = False

    def messages(self, messages: list[bytes]) -> None:
        """Frames: what can be answered now is answered together, as far as the client reads it."""
        try:
            rest = self._session.serve(messages)
        except QuickPulseError as fault:
            self._close(rpc_error(fault))
            return
        if rest:
            self._call.put_back(rest)

    def ended(self) -> None:
        """The client asks nothing more: what is open is answered, nothing is pushed."""
        self._session.unsubscribe_all()
        self._has_ended = True
        self._close_if_done()

    def cancelled(self) -> None:
        """The client is gone."""
        self._is_over = True
        self._session.lost()

    def revoked(self, error: QuickPulseError) -> None:
        """Its token is not valid any more."""
        if not self._is_over:
            self._close(rpc_error(error))

    def hold(self) -> None:
        """The client does not read."""
        self._session.hold()

    def release(self) -> None:
        """It reads."""
        self._session.release()

    def _push(self, frame: bytes, taken: int) -> None:
        self._call.push([frame], taken)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._has_ended and self._session.is_quiet and not self._session.is_serving:
            self._close()

    def _close(self, error: RpcError | None = None) -> None:
        self._is_over = True
        self._session.lost()
        self._call.close(error)
