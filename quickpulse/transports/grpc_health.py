"""grpc.health.v1 for the native gRPC server.

Source: the gRPC project's health-checking document.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from quickpulse.transports.grpc_contract import NOT_PROTOBUF
from quickpulse.transports.grpc_methods import CallContext, StreamCall, StreamMethod, Table, UnaryMethod, paths
from quickpulse.wire.grpc.framing import framed
from quickpulse.wire.grpc.status import RpcError, Status

SERVICE = "grpc.health.v1.Health"


class Health:
    """The health of each service; all are alike, as one queue is behind them.

    :param services: their names; the empty one, the server as a whole, is added.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        self._status = dict.fromkeys(("", *services), HealthCheckResponse.SERVING)
        self._watchers: list[_Watch] = []

    def table(self) -> Table:
        """Check and Watch."""
        return paths(SERVICE, {"Check": UnaryMethod(self._check), "Watch": StreamMethod(self._watch)})

    def drain(self) -> None:
        """Nothing is served any more; whoever watches is told."""
        self._status = dict.fromkeys(self._status, HealthCheckResponse.NOT_SERVING)
        for watch in list(self._watchers):
            watch.tell()

    def status(self, service: str) -> int | None:
        """Of one service; None where it is not known."""
        return self._status.get(service)

    def _check(self, message: bytes, _context: CallContext) -> bytes:
        status = self.status(_service_of(message))
        if status is None:
            raise RpcError(Status.NOT_FOUND, "unknown service")
        answer: bytes = HealthCheckResponse(status=status).SerializeToString()
        return answer

    def _watch(self, call: StreamCall) -> _Watch:
        watch = _Watch(call, self.status, self._watchers.remove)
        self._watchers.append(watch)
        return watch


class _Watch:
    """One Watch call."""

    def __init__(self, call: StreamCall, status: Callable[[str], int | None], gone: Callable[[_Watch], None]) -> None:
        self._call = call
        self._status = status
        self._gone = gone
        self._service: str | None = None

    def messages(self, messages: list[bytes]) -> None:
        """The service to watch, once."""
        try:
            if self._service is None:
                self._service = _service_of(messages[0])
                self.tell()
        except RpcError as error:
            self._gone(self)
            self._call.close(error)

    def tell(self) -> None:
        """Send the status as it is now."""
        if self._service is not None:
            status = self._status(self._service)
            unknown = HealthCheckResponse.SERVICE_UNKNOWN
            answer = HealthCheckResponse(status=unknown if status is None else status)
            self._call.send(framed(answer.SerializeToString()))

    def ended(self) -> None:
        """The caller has said what it wants, and listens."""

    def cancelled(self) -> None:
        """The caller has gone."""
        self._gone(self)


def _service_of(message: bytes) -> str:
    try:
        service: str = HealthCheckRequest.FromString(message).service
    except DecodeError:
        raise RpcError(Status.INTERNAL, NOT_PROTOBUF) from None
    return service
