"""What the transports count, in plain integers. Every label is from a closed set, so that metrics stay small."""

from __future__ import annotations

from zope.interface import implementer

from quickpulse.errors import (
    BatchRejected,
    Draining,
    InvalidArgument,
    MalformedRequest,
    MessageTooLarge,
    NoDeadLetterQueue,
    NotFound,
    PermissionDenied,
    QueueFull,
    QueuePaused,
    QueueUnavailable,
    QuickPulseError,
    RequestTooLarge,
    ServerFull,
    TooManyQueues,
    TooManyRequests,
    Unsupported,
)
from quickpulse.interfaces import ITraffic

TRANSPORTS = ("grpc", "http", "ws")

REFUSALS = (
    "bad_request",  # not the protocol: malformed HTTP, frames or protobuf
    "flood",  # frames that cost and move nothing, too many in a second
    "forbidden_origin",  # a browser page of another host
    "header_too_large",  # a handshake or a call's metadata
    "idle",  # no request for longer than is allowed
    "message_too_large",
    "not_found",  # no such path or method
    "queue_full",
    "queue_unavailable",  # the provider behind the queue failed
    "stalled",  # a peer that read nothing of what waited for it
    "timeout",  # a handshake or a pong did not come in time
    "too_many_connections",  # closed before the first byte was read
    "too_many_streams",  # open calls of one connection
    "unauthenticated",  # no bearer token, or one that is not valid
    "unimplemented",  # a call of the other gRPC mode
)
"""Why a request is refused; each is there from the start, with 0, so that a rate has something to start from."""

ERRORS = tuple(
    each.code
    for each in (
        BatchRejected,
        Draining,
        InvalidArgument,
        MalformedRequest,
        MessageTooLarge,
        NoDeadLetterQueue,
        NotFound,
        PermissionDenied,
        QueueFull,
        QueuePaused,
        QueueUnavailable,
        RequestTooLarge,
        ServerFull,
        TooManyQueues,
        TooManyRequests,
        Unsupported,
    )
)
"""What a request of v1 is answered with, likewise; `Unauthenticated` is a refusal. What only a broker of somebody
else's answers is added when it comes."""


class TransportCounts:
    """One transport's plain integers. Whoever counts adds to them directly: a call would cost more."""

    __slots__ = ("connections_open", "connections_total", "received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.connections_open = self.connections_total = self.received_bytes = self.sent_bytes = 0

    def opened(self) -> None:
        """Count a connection."""
        self.connections_open += 1
        self.connections_total += 1

    def closed(self) -> None:
        """Count its end."""
        self.connections_open -= 1


@implementer(ITraffic)
class Traffic:
    """Connections, bytes, refusals, errors and undelivered messages. Belongs to the reactor's thread."""

    def __init__(self) -> None:
        self.transports = {name: TransportCounts() for name in TRANSPORTS}
        self.refused_total = dict.fromkeys(REFUSALS, 0)
        self.errors_total = dict.fromkeys(ERRORS, 0)
        self.undelivered_total = 0

    def of(self, transport: str) -> TransportCounts:
        """The counts of one transport; `KeyError` for a name that is not in the set."""
        return self.transports[transport]

    def refused(self, reason: str, count: int = 1) -> None:
        """Count refusals; `KeyError` for a reason that is not in the set."""
        self.refused_total[reason] += count

    def failed(self, error: QuickPulseError) -> None:
        """Count an error that a request of v1 is answered with, by its code."""
        self.errors_total[error.code] = self.errors_total.get(error.code, 0) + 1

    def undelivered(self, count: int) -> None:
        """Count messages that were taken and did not get on their way."""
        self.undelivered_total += count
