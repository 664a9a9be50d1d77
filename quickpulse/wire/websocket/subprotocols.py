"""The subprotocols of /ws/v1: which kind of message a frame of v1 is, and how it is written there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from quickpulse.errors import InvalidArgument
from quickpulse.wire.v1 import frames
from quickpulse.wire.v1.frames import Encoding
from quickpulse.wire.websocket.frames import BINARY, TEXT

V1_PATH = "/ws/v1"

BINARY_NAME = "quickpulse.v1.bin"


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """One form of v1's frames.

    :param name: in Sec-WebSocket-Protocol.
    :param encoding: what is in a message.
    :param first_byte: of a whole message, in both directions: BINARY or TEXT.
    """

    name: str
    encoding: Encoding
    first_byte: int

    @property
    def is_binary(self) -> bool:
        """Whether its messages are."""
        return self.first_byte == BINARY

    @property
    def wrong_kind(self) -> str:
        """What a peer is told that sends a message of the other kind."""
        return f"{self.name} has {'binary' if self.is_binary else 'text'} messages only"


SUBPROTOCOLS = {
    each.name: each
    for each in (
        Subprotocol(BINARY_NAME, frames.BINARY, BINARY),
        Subprotocol("quickpulse.v1.json", frames.JSON, TEXT),
    )
}

TEXTS = "texts"
"""In the handshake's query: JSON has `texts` in place of base64, where all payloads of a batch are UTF-8."""

_FLAG = {"": False, "0": False, "false": False, "1": True, "true": True}


def choose(offered: Iterable[str], texts: str = "") -> Subprotocol:
    """The client's first that is served; RFC 6455, section 1.9, leaves the choice to the server.

    :param offered: names, in the client's order.
    :param texts: whether `TEXTS` are wanted; binary is what it always is.
    :raises InvalidArgument: none is served, or `texts` is neither yes nor no.
    """
    if texts not in _FLAG:
        raise InvalidArgument(f"{TEXTS} is 1 or 0, true or false")
    chosen = next((SUBPROTOCOLS[name] for name in offered if name in SUBPROTOCOLS), None)
    if chosen is None:
        raise InvalidArgument(f"{V1_PATH} wants a Sec-WebSocket-Protocol: {' or '.join(SUBPROTOCOLS)}")
    if _FLAG[texts] and not chosen.is_binary:
        return replace(chosen, encoding=frames.JSON_TEXTS)
    return chosen
