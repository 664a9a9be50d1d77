"""What the transports count, in plain integers. Every label is from a closed set, so that metrics stay small."""

from __future__ import annotations

from zope.interface import implementer

from quickpulse.interfaces import ITraffic

TRANSPORTS = ("grpc", "http", "ws")

REFUSALS = (
    "bad_request",  # not the protocol: malformed HTTP, frames or protobuf
    "forbidden_origin",  # a browser page of another host
    "message_too_large",
    "not_found",  # no such path or method
    "queue_full",
    "queue_unavailable",  # the provider behind the queue failed
    "timeout",  # a handshake or a pong did not come in time
    "unimplemented",  # a call of the other gRPC mode
)
"""Why a request is refused; each is there from the start, with 0, so that a rate has something to start from."""


@implementer(ITraffic)
class Traffic:
    """Connections, bytes, refusals and undelivered messages. Belongs to the reactor's thread."""

    def __init__(self) -> None:
        self.connections_open = dict.fromkeys(TRANSPORTS, 0)
        self.connections_total = dict.fromkeys(TRANSPORTS, 0)
        self.received_bytes = dict.fromkeys(TRANSPORTS, 0)
        self.sent_bytes = dict.fromkeys(TRANSPORTS, 0)
        self.refused_total = dict.fromkeys(REFUSALS, 0)
        self.undelivered_total = 0

    def connection_opened(self, transport: str) -> None:
        """Count a connection."""
        self.connections_open[transport] += 1
        self.connections_total[transport] += 1

    def connection_closed(self, transport: str) -> None:
        """Count its end."""
        self.connections_open[transport] -= 1

    def received(self, transport: str, size_bytes: int) -> None:
        """Count bytes in."""
        self.received_bytes[transport] += size_bytes

    def sent(self, transport: str, size_bytes: int) -> None:
        """Count bytes out."""
        self.sent_bytes[transport] += size_bytes

    def refused(self, reason: str, count: int = 1) -> None:
        """Count refusals; `KeyError` for a reason that is not in the set."""
        self.refused_total[reason] += count

    def undelivered(self, count: int) -> None:
        """Count messages that were taken and did not get on their way."""
        self.undelivered_total += count
