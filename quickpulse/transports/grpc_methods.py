"""The kinds of methods that a table of services holds, and what a call is to them. No bytes of HTTP/2 pass here.

A table maps a path to one of these:

- `BatchMethod`: unary; all requests that lay in one read are served by one call, in order. While its answer is a
  Deferred the connection reads no further, so that order holds.
- `UnaryMethod`: unary; one call of a handler for each request, which answers now or with a Deferred; other calls of
  the connection go on meanwhile.
- `StreamMethod`: any number of messages each way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from quickpulse.requests import Reader
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.wire.grpc.requests import Call
from quickpulse.wire.grpc.status import RpcError, Status
from quickpulse.wire.http2.answers import Answer

Run = tuple[Answer, int] | list[bytes]
"""Answers to neighbouring requests: one and the same for so many, or a framed message for each."""


class BatchMethod:
    """A unary method that serves a whole read at once. A subclass fills in the three steps."""

    hands_out = False
    """Whether a framed message in an answer is one that was taken out of the queue, and is lost with its connection."""

    def parse(self, bodies: list[bytes], call: Call) -> list[Any]:
        """A request for each body, an `RpcError` for one that is refused; `bodies` itself where they are requests."""
        raise NotImplementedError

    def serve(self, requests: list[Any]) -> Any:
        """Do what the requests ask, and return what `answer` needs, or a Deferred of it."""
        raise NotImplementedError

    def answer(self, result: Any, asked: int) -> list[Run]:
        """The answers to `asked` requests, in order."""
        raise NotImplementedError


class CallContext(Protocol):
    """What a handler sees of its call."""

    call: Call
    """The request's fields, with the caller's metadata."""

    peer: Reader
    """Who reads the replies of this connection."""

    held: HeldLeases
    """What is known of its leases."""

    def seconds_left(self) -> float | None:
        """Until the caller's deadline; None where it has none."""


class UnaryContext(CallContext, Protocol):
    """That of a unary call."""

    handed_out: int
    """How many messages in the answer were taken out of a queue; the handler says so before it gives the answer."""


class UnaryMethod:
    """A unary method with a handler of its own for each request.

    :param handle: `(message, context) -> message`, or a Deferred of it, which is cancelled when the caller goes away.
        An `RpcError`, raised or in the Deferred, is the call's status.
    :param max_bytes: of a message; None: as of a v0 payload.
    :param hands_out: its answers may be long, as those with messages are: none is asked for while the peer does
        not read what it has.
    :param word_fault: what the call ends with, from what is wrong with the request's message.
    """

    def __init__(
        self,
        handle: Callable[[bytes, UnaryContext], Any],
        max_bytes: int | None = None,
        *,
        hands_out: bool = False,
        word_fault: Callable[[RpcError], RpcError] | None = None,
    ) -> None:
        self.handle = handle
        self.max_bytes = max_bytes
        self.hands_out = hands_out
        self.word_fault = word_fault


class StreamCall(CallContext, Protocol):
    """The call of a streaming method, as its handler sees it."""

    def send(self, framed: bytes, handed_out: int = 0) -> None:
        """Send framed messages.

        :param handed_out: how many of them were taken out of the queue, and are lost if the call ends before them.
        """

    def push(self, framed: bytes, handed_out: int = 0) -> None:
        """Send framed messages that nobody asked for just now, and write them; `hold` says when it is too much.

        :param handed_out: as in `send`.
        """

    def put_back(self, messages: list[Any]) -> None:
        """These were given to the handler and are not served: give them again when there is room for answers."""

    def close(self, error: RpcError | None = None) -> None:
        """End the call; without an error with OK."""


class StreamHandler(Protocol):
    """One call of a streaming method."""

    def messages(self, messages: list[Any]) -> Any:
        """The peer sent these, as parsed; a Deferred holds the connection until it fires."""

    def ended(self) -> None:
        """The peer sends no more."""

    def cancelled(self) -> None:
        """The call is over without the handler having closed it."""


class PushingHandler(StreamHandler, Protocol):
    """One that also sends what no message of the peer's asks for at that moment."""

    def hold(self) -> None:
        """The peer does not read as fast as it is pushed to: push nothing."""

    def release(self) -> None:
        """It has read."""


class StreamMethod:
    """A streaming method.

    :param make_handler: makes the handler of a call.
    :param parse: what the handler gets for messages; as they are where it is not given.
    :param parse_bodies: the same for DATA frames that may each be one framed message, with None for one that is not.
        Not needed; a short cut for short messages.
    :param max_bytes: of a message; None: as of a v0 payload.
    :param word_fault: as in UnaryMethod.
    """

    def __init__(
        self,
        make_handler: Callable[[StreamCall], StreamHandler],
        parse: Callable[[list[bytes]], list[Any]] = list,
        parse_bodies: Callable[[list[bytes]], list[Any]] | None = None,
        max_bytes: int | None = None,
        word_fault: Callable[[RpcError], RpcError] | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.word_fault = word_fault
        self.make_handler = make_handler
        self.parse = parse
        self.parse_bodies = parse_bodies


class Unimplemented:
    """A method that the server knows of and does not serve in this mode.

    :param error: what is answered.
    """

    def __init__(self, error: RpcError) -> None:
        self.error = error


Method = BatchMethod | UnaryMethod | StreamMethod | Unimplemented

Table = dict[bytes, Any]
"""Path to Method."""


def paths(service: str, methods: dict[str, Method]) -> Table:
    """The part of a table that serves `service`."""
    return {f"/{service}/{name}".encode(): method for name, method in methods.items()}


def handed_out(runs: Sequence[Run]) -> int:
    """How many messages these answers carry."""
    return sum(len(run) for run in runs if isinstance(run, list))


def refusal_reason(error: RpcError) -> str:
    """Under which reason a request that could not be read is counted."""
    return "message_too_large" if error.status is Status.RESOURCE_EXHAUSTED else "bad_request"
