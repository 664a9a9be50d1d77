"""Errors on the wire: one table that says what each is called everywhere, and how one travels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quickpulse.errors import (
    BatchRejected,
    Draining,
    InvalidArgument,
    ListenError,
    MalformedRequest,
    MessageTooLarge,
    NoDeadLetterQueue,
    NotFound,
    PermissionDenied,
    QueueEmpty,
    QueueError,
    QueueFull,
    QueuePaused,
    QueueUnavailable,
    QuickPulseError,
    RequestTooLarge,
    ServerFull,
    SettingsError,
    TooManyQueues,
    TooManyRequests,
    Unauthenticated,
    Unsupported,
)
from quickpulse.wire.grpc.codes import Status


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """What an error is on each transport.

    :param status: gRPC's.
    :param http: HTTP's.
    :param close_code: WebSocket's; None: the connection lives.
    :param retry_after_ms: a retry may help, but not before; 0: the same request gets the same answer.
    """

    status: Status
    http: int
    close_code: int | None = None
    retry_after_ms: int = 0


SOON_MS = 100
"""For what may be over at once: a full queue."""

LATER_MS = 1000
"""For what a person or another process ends."""

INTERNAL = ErrorRow(Status.INTERNAL, 500)

ERRORS: dict[type[QuickPulseError], ErrorRow] = {
    QuickPulseError: INTERNAL,
    QueueError: INTERNAL,
    QueueFull: ErrorRow(Status.RESOURCE_EXHAUSTED, 429, retry_after_ms=SOON_MS),
    QueueEmpty: ErrorRow(Status.UNAVAILABLE, 503, retry_after_ms=SOON_MS),
    QueueUnavailable: ErrorRow(Status.UNAVAILABLE, 503, retry_after_ms=LATER_MS),
    QueuePaused: ErrorRow(Status.FAILED_PRECONDITION, 409, retry_after_ms=LATER_MS),
    ServerFull: ErrorRow(Status.RESOURCE_EXHAUSTED, 429, retry_after_ms=SOON_MS),
    TooManyQueues: ErrorRow(Status.RESOURCE_EXHAUSTED, 429, retry_after_ms=LATER_MS),
    TooManyRequests: ErrorRow(Status.RESOURCE_EXHAUSTED, 429, retry_after_ms=SOON_MS),
    BatchRejected: ErrorRow(Status.FAILED_PRECONDITION, 409),
    NoDeadLetterQueue: ErrorRow(Status.FAILED_PRECONDITION, 409),
    MessageTooLarge: ErrorRow(Status.INVALID_ARGUMENT, 413),
    RequestTooLarge: ErrorRow(Status.INVALID_ARGUMENT, 413, close_code=1009),
    InvalidArgument: ErrorRow(Status.INVALID_ARGUMENT, 400),
    MalformedRequest: ErrorRow(Status.INVALID_ARGUMENT, 400, close_code=1007),
    NotFound: ErrorRow(Status.NOT_FOUND, 404),
    Unsupported: ErrorRow(Status.UNIMPLEMENTED, 501),
    Draining: ErrorRow(Status.UNAVAILABLE, 503, retry_after_ms=LATER_MS),
    Unauthenticated: ErrorRow(Status.UNAUTHENTICATED, 401, close_code=1008),
    PermissionDenied: ErrorRow(Status.PERMISSION_DENIED, 403),
    # These two keep a server from starting, so that no client ever sees them.
    SettingsError: INTERNAL,
    ListenError: INTERNAL,
}
"""Each class of the tree to what it is on the wire."""

UNKNOWN_ERROR = "internal error"
"""What a client reads of an exception that is no QuickPulseError; the rest is for the log."""

MAX_TEXT_CHARS = 1000
"""Of an error's text: much of it may be what the client sent."""

_BY_REASON = {kind.code: kind for kind in ERRORS if "code" in vars(kind)}


def row_of(error: BaseException) -> ErrorRow:
    """What the error is on the wire: its own row, or that of the nearest kind above it."""
    return next((ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS), INTERNAL)


def retry_after_ms(error: BaseException) -> int:
    """What the error itself says, or its kind."""
    own = getattr(error, "retry_after_ms", None)
    return row_of(error).retry_after_ms if own is None else int(own)


def fill_error(error: BaseException, message: Any) -> None:
    """Write it into an Error message."""
    is_ours = isinstance(error, QuickPulseError)
    text = str(error) if is_ours else UNKNOWN_ERROR
    message.code = row_of(error).status
    message.reason = error.code if isinstance(error, QuickPulseError) else QuickPulseError.code
    message.message = text[:MAX_TEXT_CHARS].encode(errors="replace").decode()  # half a surrogate cannot travel
    message.retry_after_ms = retry_after_ms(error)


def read_error(message: Any) -> QuickPulseError:
    """What a client raises for an Error message: of the same class as on the server, when this version knows it."""
    kind = _BY_REASON.get(message.reason, QuickPulseError)
    error = kind.__new__(kind, message.message or message.reason)  # not by its __init__, which makes a text of its own
    error.code = message.reason
    error.retry_after_ms = message.retry_after_ms
    return error
