"""Rows: what is measured, as `KIND:CONNECTIONSxIN_FLIGHT[:MESSAGES][:payload=BYTES][:depth=QUEUED][:idle=CONNECTIONS]`.

Nothing here sends; a row is a frozen object that every part of a comparison reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

MODES = {
    "ws-publish": "ws",
    "ws-consume": "ws",
    "unary-produce": "grpc",
    "unary-consume": "grpc",
    "timeouts": "grpc",
    "stream": "grpc_stream",
}
"""Kind of a row -> the server's mode."""

CONSUMING = frozenset({"ws-consume", "unary-consume"})
"""Kinds that take out what was put in before the clock."""

DEFAULT_PAYLOAD_BYTES = 11

MOST_BYTES = 256 * 1024 * 1024
"""Of a row's payloads together: what came is kept and compared after the clock."""

MOST_PAYLOAD_BYTES = 16 * 1024 * 1024

MOST_MESSAGES = 50_000_000

MOST_CONNECTIONS = 60_000
"""Below the number of ports that one address has."""

_SHAPE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")
_NUMBER = re.compile(r"[0-9]{1,9}")

_FIELDS = {"payload": (1, MOST_PAYLOAD_BYTES), "depth": (0, MOST_MESSAGES), "idle": (0, MOST_CONNECTIONS)}


class RowError(ValueError):
    """A row that cannot be read; the text says what was expected."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    kind: a key of MODES
    connections: busy ones
    in_flight: requests of each that are not answered
    messages: how many in all, or None for what suits the kind and the server
    payload: bytes of each message
    depth: messages in the queue during the measurement
    idle: connections that stand beside the busy ones and say nothing
    """

    kind: str
    connections: int
    in_flight: int
    messages: int | None = None
    payload: int = DEFAULT_PAYLOAD_BYTES
    depth: int = 0
    idle: int = 0

    @property
    def mode(self) -> str:
        """The server's."""
        return MODES[self.kind]

    @property
    def is_single(self) -> bool:
        """Whether each connection waits for each answer: what is measured then are system calls."""
        return self.in_flight == 1

    @property
    def text(self) -> str:
        """As it was written, in one order."""
        parts = [self.kind, f"{self.connections}x{self.in_flight}"]
        parts += [] if self.messages is None else [str(self.messages)]
        parts += [] if self.payload == DEFAULT_PAYLOAD_BYTES else [f"payload={self.payload}"]
        parts += [f"{name}={getattr(self, name)}" for name in ("depth", "idle") if getattr(self, name)]
        return ":".join(parts)

    @property
    def sent_at_most(self) -> int:
        """Requests that are sent: the clock stops when `messages` are answered, while the others are under way."""
        return (self.messages or 0) + (self.connections + 1) * self.in_flight

    @property
    def takes_prefilled(self) -> bool:
        """Whether the answers are messages that were there before."""
        return self.kind in CONSUMING or (self.kind == "stream" and self.depth > 0)

    @property
    def prefill(self) -> int:
        """Messages that are queued before the clock starts."""
        if self.kind in CONSUMING:
            return self.depth + self.sent_at_most
        return max(self.depth, self.sent_at_most) if self.takes_prefilled else self.depth

    def with_messages(self, messages: int) -> Row:
        """The row with that many messages, if it did not say how many; a large payload lessens them."""
        if self.messages is not None:
            return self
        bounded = min(messages, MOST_BYTES // 2 // self.payload)
        return replace(self, messages=max(bounded, self.connections * self.in_flight))


def parse_row(text: str) -> Row:
    """The row of a command line. Raises RowError."""
    kind, *parts = text.split(":")
    if kind not in MODES:
        raise RowError(f"{kind!r} is none of {', '.join(MODES)}")
    shape = _SHAPE.fullmatch(parts[0]) if parts else None
    if shape is None:
        raise RowError(f"{text!r}: after the kind comes CONNECTIONSxIN_FLIGHT, such as 10x20")
    fields = _fields(text, parts[1:])
    row = Row(kind, int(shape[1]), int(shape[2]), **fields)
    if not 0 < row.connections <= MOST_CONNECTIONS or not row.in_flight:
        raise RowError(f"{text!r}: connections are from 1 to {MOST_CONNECTIONS}, and at least 1 is in flight")
    if (row.messages or 0) * row.payload > MOST_BYTES or row.connections * row.in_flight * row.payload > MOST_BYTES:
        raise RowError(f"{text!r}: more than {MOST_BYTES >> 20} MiB of payloads")
    return row


def _fields(text: str, parts: list[str]) -> dict[str, int]:
    fields: dict[str, int] = {}
    for part in parts:
        name, equals, number = part.partition("=")
        if not equals:
            name, number = "messages", part
        low, high = (1, MOST_MESSAGES) if name == "messages" else _FIELDS.get(name, (0, -1))
        if name in fields or not _NUMBER.fullmatch(number) or not low <= int(number) <= high:
            raise RowError(f"{text!r}: {part!r} is no number of messages, payload=BYTES, depth=QUEUED or idle=N")
        fields[name] = int(number)
    return fields
