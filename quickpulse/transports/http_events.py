"""A subscription as Server-Sent Events. It ends when its credit is spent, as there is no way to give it more.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.errors import QuickPulseError
from quickpulse.requests import Deliveries, Subscribe
from quickpulse.transports.http_answers import begin_events
from quickpulse.transports.keepalive import PING_SECONDS
from quickpulse.transports.v1_session import taken_in
from quickpulse.wire.v1.http_form import write_error

EVENTS_TYPE = "text/event-stream"

COMMENT = b":\n\n"
"""Keeps a silent stream open, and finds out by writing that a peer is gone."""


@implementer(IPushProducer)
class EventStream:
    """One subscriber over HTTP.

    :param request: twisted.web's.
    :param clock: IReactorTime.
    :param asked: its credit is what it gets in all.
    :param serialize: Deliveries to JSON.
    :param over: called once, at the end of whatever kind.
    """

    def __init__(
        self,
        request: Any,
        clock: Any,
        asked: Subscribe,
        serialize: Callable[[Deliveries], bytes],
        over: Callable[[], None],
    ) -> None:
        self._request = request
        self._clock = clock
        self._asked = asked
        self._messages_left = asked.credit_messages
        self._bytes_left = asked.credit_bytes
        self._serialize = serialize
        self._over = over
        self._subscription: Any = None
        self._keepalive: IDelayedCall | None = None
        self._is_paused = self._is_over = False

    def start(self, broker: Any) -> None:
        """Subscribe, and answer with what comes.

        :raises QuickPulseError: the broker refuses; nothing was answered.
        """
        self._subscription = broker.subscribe(self._asked, self._deliver, self._ended)
        self._request.notifyFinish().addErrback(self._gone)
        begin_events(self._request)
        self._request.registerProducer(self, True)
        self._request.write(COMMENT)
        self._schedule()

    def pauseProducing(self) -> None:
        """It does not read."""
        self._is_paused = True
        self._subscription.hold()

    def resumeProducing(self) -> None:
        """It reads."""
        self._is_paused = False
        self._subscription.release()

    def stopProducing(self) -> None:
        """The connection ends, which `notifyFinish` tells."""

    def revoked(self, error: QuickPulseError) -> None:
        """Its token is not valid any more."""
        if not self._is_over:
            self._ended(error)
            self._subscription.lost()

    def _deliver(self, deliveries: Deliveries) -> None:
        if self._is_over:
            return
        payloads = deliveries.batch.payloads
        self._request.write(b"data: %b\n\n" % self._serialize(deliveries))
        self._request.transport.hand_out(taken_in(deliveries))
        self._messages_left -= len(payloads)
        self._bytes_left -= sum(map(len, payloads))
        if self._messages_left <= 0 or (self._asked.credit_bytes and self._bytes_left <= 0):
            self._subscription.end()

    def _ended(self, error: QuickPulseError | None) -> None:
        if self._is_over:
            return
        self._finish()
        self._request.unregisterProducer()
        self._request.write(b"event: end\ndata: %b\n\n" % (b"{}" if error is None else write_error(error)))
        self._request.finish()

    def _gone(self, _failure: Failure) -> None:
        if not self._is_over:
            self._finish()
            self._subscription.lost()

    def _finish(self) -> None:
        self._is_over = True
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._over()

    def _schedule(self) -> None:
        self._keepalive = self._clock.callLater(PING_SECONDS, self._keep_alive)

    def _keep_alive(self) -> None:
        if not self._is_paused:
            self._request.write(COMMENT)
        self._schedule()
