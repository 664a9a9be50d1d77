"""A gRPC connection of a run: HTTP/2 as the load has it, what became of a call, and patience with calls that fail.

What the messages mean is the business of the two gRPC tools.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from google.protobuf.message import DecodeError

from perf.client import ConnectionEndedError
from perf.connection import PerfConnection
from perf.exchange import Exchange
from perf.load.calls import framed
from perf.load.faults import LoadFaultError
from perf.load.headers import call_blocks, readable
from perf.load.http2 import Http2Client
from quickpulse.wire.grpc.framing import PREFIX_SIZE
from quickpulse.wire.grpc.payloads import read_payload
from quickpulse.wire.grpc.status import Status
from quickpulse.wire.http2.errors import ErrorCode
from quickpulse.wire.http2.frames import END_HEADERS, HEADERS, frame, goaway_frame, rst_stream_frame

MAX_ERRORS_IN_A_ROW = 10
"""After these a connection gives up: the server is gone, or does not serve this mode."""

ERROR_PAUSE_SECONDS = 0.05

HOPELESS = (Status.UNIMPLEMENTED, Status.UNAUTHENTICATED)
"""Trying again is pointless."""


class GrpcConnection(Http2Client, PerfConnection):
    """HTTP/2 on the run's connection; calls are the subclasses'.

    method: of the service, which all calls of the connection are to
    """

    method: str

    def __init__(self, exchange: Exchange, authority: str) -> None:
        PerfConnection.__init__(self, exchange)
        blocks = call_blocks(f"/messagequeue.MessageQueue/{self.method}", authority)
        self.first_head, self.later_head = (frame(HEADERS, END_HEADERS, 1, next(blocks)) for _ in range(2))
        """The first call's fields enter the server's table; those of others are indexes into it."""

    def on_call_failed(self, stream: int, kind: str, status: Status | None) -> None:
        """A call ended without its answer. For the subclasses.

        kind: under which it is counted
        status: of the call, if the server gave one
        """
        raise NotImplementedError

    def take_answers(self) -> None:
        """Books what a read brought. For the subclasses."""
        raise NotImplementedError

    def greet(self) -> None:
        """The client's preface."""
        self.open_http2()

    def say_goodbye(self) -> None:
        """GOAWAY."""
        self.send(goaway_frame(0, ErrorCode.NO_ERROR))

    def send(self, data: bytes) -> None:
        """By the transport."""
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """From asyncio: all whole frames; what came before a fault counts."""
        fault: Exception | None = None
        try:
            self.receive(data)
        except (LoadFaultError, ConnectionEndedError) as error:
            fault = error
        if self.has_settings and not self.connected.done():
            self.connected.set_result(None)
        try:
            self.take_answers()
        except ConnectionEndedError as error:
            fault = fault or error
        if fault is not None:
            self.give_up(fault)
        elif self.is_working:
            self.go_on()

    def on_bad_fields(self, stream: int, fields: dict[bytes, bytes], is_end: bool) -> None:
        """A status other than OK fails a call; anything else is no gRPC server's."""
        code = fields.get(b"grpc-status", b"")
        if not is_end or not code.isdigit():
            raise ConnectionEndedError(f"no gRPC here: {readable(fields)}")
        number = int(code)
        status = Status(number) if number <= max(Status) else Status.UNKNOWN
        text = unquote(fields.get(b"grpc-message", b"").decode("latin-1"), errors="replace")
        self.on_call_failed(stream, f"{status.name}: {text}", status)

    def on_reset(self, stream: int, code: int) -> None:
        """The call fails."""
        name = ErrorCode(code).name if code <= max(ErrorCode) else str(code)
        self.on_call_failed(stream, f"the server reset a call: {name}", None)

    def abandon(self, stream: int) -> None:
        """A call is over before all of it was sent: the rest is not sent, and the server need not wait for it."""
        if self.forget_waiting(stream):
            self.send(rst_stream_frame(stream, ErrorCode.CANCEL))


class ErrorPatience:
    """Counts errors in a row, and loses patience."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def succeeded(self) -> None:
        """An answer came."""
        self._in_a_row = 0

    def failed(self, status: Status | None) -> None:
        """An error came. Raises ConnectionEndedError when there were too many, or where no trying again helps."""
        self._in_a_row += 1
        if status in HOPELESS or self._in_a_row >= MAX_ERRORS_IN_A_ROW:
            raise ConnectionEndedError("gave up after errors in a row")


def payload_head(payload_bytes: int) -> bytes:
    """What stands before a payload of that size, if its message has nothing else."""
    whole = framed(bytes(payload_bytes))
    return whole[: len(whole) - payload_bytes]


def unframed(body: bytes) -> bytes | None:
    """The message that is the whole body of an answer, or None."""
    if len(body) < PREFIX_SIZE or body[0] or int.from_bytes(body[1:PREFIX_SIZE], "big") != len(body) - PREFIX_SIZE:
        return None
    return body[PREFIX_SIZE:]


def read_answer(message: bytes, message_class: Any) -> tuple[bytes, str]:
    """The payload and the error of an answer that brings a message. Raises ConnectionEndedError."""
    try:
        read = read_payload(message, message_class.FromString)
    except DecodeError:
        raise ConnectionEndedError("an answer is no protobuf message") from None
    return (read, "") if isinstance(read, bytes) else (read.payload, read.error)
