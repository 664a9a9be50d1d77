"""What only a client raises. What the server says is of quickpulse.errors, whose tree this goes on with.

QuickPulseError
    ClientError          whatever happened on this side
        ConnectionLost   the connection ended, or there is none; what was asked may have taken effect. A ConnectionError
        TlsFailed        the server cannot prove who it is, or only one side speaks TLS
        Timeout          there was no reply in time; what was asked may have taken effect. A TimeoutError
        LeaseLost        messages were settled too late: they are somebody else's, or ready again
        PartialPublish   some of a batch were not accepted
        ClientClosed     the client was closed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quickpulse.errors import QuickPulseError

if TYPE_CHECKING:
    from quickpulse.requests import PublishReply, Rejection


class ClientError(QuickPulseError):
    """Whatever happened on this side."""

    code = "CLIENT_ERROR"


class ConnectionLost(ClientError, ConnectionError):  # noqa: N818 - named as its siblings
    """The connection ended, or there is none; what was asked may have taken effect."""

    code = "CONNECTION_LOST"


class ConnectionRefused(ConnectionLost):
    """Nobody listens there."""

    code = "CONNECTION_REFUSED"


class TlsFailed(ClientError):  # noqa: N818 - named as its siblings
    """The server cannot prove who it is, or only one side speaks TLS; a new attempt ends alike."""

    code = "TLS_FAILED"


class Timeout(ClientError, TimeoutError):  # noqa: N818 - named as its siblings
    """There was no reply in time; what was asked may have taken effect."""

    code = "TIMEOUT"


class LeaseLost(ClientError):  # noqa: N818 - named as its siblings
    """Messages were settled too late: they are somebody else's, or ready again.

    :ivar messages: how many.
    """

    code = "LEASE_LOST"

    def __init__(self, messages: int) -> None:
        super().__init__(f"the lease of {messages} message(s) had ended before they were settled")
        self.messages = messages


class PartialPublish(ClientError):  # noqa: N818 - named as its siblings
    """Some of a batch were not accepted.

    :ivar accepted: how many were.
    :ivar rejected: how many were not.
    :ivar rejections: which were not, and why; each names the place in the batch. Of very many only the first.
    :ivar reply: the server's, with the sequences of what was accepted, where it was one request; else None.
    """

    code = "PARTIAL_PUBLISH"

    def __init__(
        self, accepted: int, rejections: Sequence[Rejection], rejected: int = 0, reply: PublishReply | None = None
    ) -> None:
        self.accepted = accepted
        self.reply = reply
        self.rejected = rejected or len(rejections)
        self.rejections = rejections
        first = rejections[0]
        super().__init__(f"{self.rejected} not accepted, {accepted} accepted; index {first.index}: {first.error}")


class ClientClosed(ClientError):  # noqa: N818 - named as its siblings
    """The client was closed."""

    code = "CLIENT_CLOSED"

    def __init__(self, text: str = "the client is closed") -> None:
        super().__init__(text)
