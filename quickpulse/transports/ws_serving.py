"""Serving a WebSocket connection's requests: the queue is asked, answers are written, a slow peer is waited for.

Reading the requests, and the conversation around them, are done elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.transports.deliveries import Deliveries
from quickpulse.transports.flow import ReadGate, knows_arrivals
from quickpulse.transports.ws_v1 import WsSession
from quickpulse.wire.websocket.requests import UNAVAILABLE, Endpoint
from quickpulse.wire.websocket.subprotocols import Subprotocol

if TYPE_CHECKING:
    from quickpulse.transports.websocket import WsFactory

_log = Logger()

CONNECTING, OPEN = WebSocketServerProtocol.STATE_CONNECTING, WebSocketServerProtocol.STATE_OPEN
CLOSING, CLOSED = WebSocketServerProtocol.STATE_CLOSING, WebSocketServerProtocol.STATE_CLOSED
# Named here, as to look up a class's attribute by its instance is slow.

SLICE_BYTES = 65_536
"""How long the answers to one slice of requests should be: what a socket takes at once."""

FIRST_SLICE, MOST_SLICE = 16, 256
"""Messages that are taken out of the queue at once, at first and at most: how long they are is seen afterwards."""

UNSLICED = sys.maxsize
"""Where no answer carries a message."""


class _Gate(ReadGate):
    """A ReadGate that tells the connection what it hears of the peer."""

    def __init__(self, connection: ServingProtocol) -> None:
        super().__init__(connection.transport)
        self.is_peer_slow = False
        self._connection = connection

    def pauseProducing(self) -> None:
        """The peer does not read as fast as it asks."""
        self.is_peer_slow = True
        super().pauseProducing()
        self._connection.peer_waits()

    def resumeProducing(self) -> None:
        """It has read."""
        self.is_peer_slow = False
        super().resumeProducing()
        self._connection.peer_reads()


class ServingProtocol(WebSocketServerProtocol):  # type: ignore[misc]
    """The half of a connection that answers. Requests gather until a read is used up, and are then served at once.

    Where the answers may be long, they are served in slices, and no further while the peer does not read what it has.
    While that is so, or the queue's answer is a Deferred, `_is_waiting`: reading rests, and what autobahn wants to do
    next (send a Close, drop the connection) is kept in `_postponed`, so that no answer comes after a Close.
    """

    factory: WsFactory
    _endpoint: Endpoint

    log = txaio.make_logger(level="error")
    """autobahn's: a peer's faults are counted and told to it, and no lines that it could fill the log with."""

    def connectionMade(self) -> None:
        """A connection was accepted."""
        self._requests: list[bytes] = []
        self._asked = 0  # requests served so far
        self._is_waiting = self._is_resting = self._is_lost = False
        self._postponed: list[Callable[[], None]] = []
        self._counts = self.factory.counts
        self._slice = UNSLICED
        self._v1: WsSession | None = None
        self._gate = _Gate(self)
        self._deliveries = Deliveries(self.transport)
        super().connectionMade()

    def _use(self, endpoint: Endpoint) -> None:
        """Serve requests as this endpoint does."""
        self._endpoint = endpoint
        self._ask, self._yes = endpoint.ask(self.factory.queue), endpoint.yes
        self._slice = FIRST_SLICE if endpoint.gives_messages else UNSLICED

    def _use_v1(self, subprotocol: Subprotocol) -> None:
        """Serve requests as frames of v1."""
        factory = self.factory
        self.maxMessagePayloadSize = self.maxFramePayloadSize = factory.max_batch_bytes
        self._v1 = WsSession(self, factory.broker, factory.traffic, subprotocol, factory.max_batch_bytes)
        self._serve = self._v1.serve  # type: ignore  # chosen once: v0 asks nothing more

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Write what autobahn makes, counted."""
        self._wrote(len(data))
        super().sendData(data, sync, chopsize)

    def confirm(self) -> None:
        """Forget the messages that have arrived."""
        self._deliveries.confirm_arrived()

    def peer_waits(self) -> None:
        """The peer has not taken what waits for it."""
        self.confirm()
        if self._v1 is not None:
            self._v1.hold()

    def peer_reads(self) -> None:
        """The peer has taken what waited for it: serve on, if that was waited for."""
        if self._v1 is not None:
            self._v1.release()
        if self._is_resting:
            self._is_resting = False
            self._go_on(None)

    def _lost(self) -> None:
        """The connection has ended: count what it took with it."""
        self._is_lost = True
        self._requests.clear()
        self._postponed.clear()
        self._forget_v1()
        if knows_arrivals(self.transport):
            self.confirm()
        self.factory.traffic.undelivered(self._deliveries.messages())

    def _answer(self) -> None:
        """Serve the gathered requests: with one call of the queue, unless the answers may be long."""
        requests = self._requests
        while requests and not self._is_waiting:
            if self._gate.is_peer_slow:
                self._is_waiting = self._is_resting = True
                return
            if len(requests) <= self._slice:
                self._requests = []
                self._serve(requests)
                return
            self._requests = requests[self._slice :]
            self._serve(requests[: self._slice])
            requests = self._requests

    def _serve(self, requests: list[bytes]) -> None:
        """Ask the queue, and write what it answers, now or later."""
        asked = len(requests)
        self._asked += asked
        try:
            result = self._ask(requests)
        except Exception:
            self._unavailable(Failure(), asked)
            return
        # By type first: to Python, Deferred is an abstract class, and `isinstance` of such a one is slow.
        kind = type(result)
        if kind is int and result == asked and self._yes and self.state == OPEN:  # mostly; it pays for every step
            frames = self._yes * asked
            size_bytes = len(frames)
            self._deliveries.written_bytes += size_bytes
            self._counts.sent_bytes += size_bytes
            self.transport.write(frames)
            return
        if kind is int or kind is list or not isinstance(result, Deferred):
            self._reply(result, asked)
            return
        self._is_waiting = True
        self._gate.hold()
        result.addCallbacks(self._reply, self._unavailable, callbackArgs=(asked,), errbackArgs=(asked,))
        result.addCallback(self._go_on).addErrback(self._broken)

    def _reply(self, result: Any, asked: int) -> None:
        """Write one answer for each request."""
        frames, refused, messages = self._endpoint.answer(result, asked)
        if refused:
            self.factory.traffic.refused("queue_full", refused)
        if self._is_lost or self.state == CLOSED:
            self.factory.traffic.undelivered(messages)
            return
        size_bytes = len(frames)
        if self._endpoint.gives_messages:
            self._deliveries.next += messages
            self._deliveries.writes(size_bytes)
            if size_bytes > SLICE_BYTES or asked >= self._slice:
                self._learn_slice(size_bytes, asked)
        self._counts.sent_bytes += size_bytes
        self.transport.write(frames)

    def _learn_slice(self, size_bytes: int, asked: int) -> None:
        """From the length of an answer to `asked` requests: how many to serve at once."""
        if size_bytes > SLICE_BYTES:
            self._slice = max(1, asked * SLICE_BYTES // size_bytes)
        elif 2 * size_bytes <= SLICE_BYTES:
            self._slice = min(2 * self._slice, MOST_SLICE)

    def _unavailable(self, failure: Failure, asked: int) -> None:
        """The provider failed: whether the requests took effect is not known, and so they are told."""
        _log.failure("the queue failed", failure)
        self.factory.traffic.refused("queue_unavailable", asked)
        if not self._is_gone:
            self._wrote(len(UNAVAILABLE) * asked)
            self.transport.write(UNAVAILABLE * asked)

    def _go_on(self, _: None) -> None:
        """What was waited for is there: serve what is left, do what waited for it, then read on."""
        self._is_waiting = False
        if self._is_gone:
            return
        self._answer()
        while self._postponed and not self._is_waiting:
            self._postponed.pop(0)()
        if self._is_waiting:
            return
        self._gate.release()
        if self.state in (OPEN, CLOSING):
            self.consumeData()

    def _broken(self, failure: Failure) -> None:
        _log.failure("a WebSocket connection failed", failure)
        self.abort()

    def _forget_v1(self) -> None:
        """Nothing more can be sent: nothing is taken out for this peer from here on."""
        if self._v1 is not None:
            self._v1.lost()

    def asked(self, requests: int) -> None:
        """Count requests of v1."""
        self._asked += requests

    def write_frames(self, frames: bytes, messages: int) -> None:
        """Write what v1 sends, with so many messages in it that are in no queue any more."""
        if self._is_gone or self.state != OPEN:
            self.factory.traffic.undelivered(messages)
            return
        self._deliveries.next += messages
        self._wrote(len(frames))
        self.transport.write(frames)

    def abort(self) -> None:
        """Cut the connection, and know what was under way."""
        self._forget_v1()
        self.confirm()
        self.transport.abortConnection()

    def _soon(self, action: Callable[[], None]) -> None:
        """Do it now, or after the answer that is awaited."""
        if self._is_waiting:
            self._postponed.append(action)
        else:
            action()

    def _wrote(self, size_bytes: int) -> None:
        """Bytes are about to be written, with the messages that `_deliveries` was told of."""
        self._deliveries.writes(size_bytes)
        self._counts.sent_bytes += size_bytes

    @property
    def _is_gone(self) -> bool:
        return self._is_lost or bool(self.state == CLOSED)
