"""One client's conversation in v1, over whatever carries frames: requests in order, replies when they are there.

Bytes are not known here: a frame is its request_id and an object of `quickpulse.requests`, or an error. What a client
holds open is bounded; when it goes, nothing waits for it any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from quickpulse.errors import InvalidArgument, QueueUnavailable, QuickPulseError, TooManyRequests
from quickpulse.requests import Credit, Deliveries, Pull, Subscribe, Subscribed, SubscriptionEnded, Unsubscribe
from quickpulse.transports.flow import HeldReader
from quickpulse.transports.held_leases import HeldLeases
from quickpulse.wire.v1.table import BY_KIND, REPLY_KINDS

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

_log = Logger()

MOST_OPEN = 1_024
"""Requests of a connection that wait for their reply, and subscriptions: as many as gRPC has streams on one."""


def as_error(failure: Failure) -> QuickPulseError:
    """What a client is told of a failure: our own errors as they are, of others only that the queue failed."""
    if isinstance(failure.value, QuickPulseError):
        return failure.value
    _log.failure("the broker failed", failure)
    return QueueUnavailable()


def taken_in(reply: Any) -> int:
    """How many messages in a reply are in no queue any more."""
    if not isinstance(reply, Deliveries) or reply.first_receipt or reply.sequences is not None:  # leased, or looked at
        return 0
    return len(reply.batch.payloads)


class Session:
    """The requests of one connection.

    :param broker: the IBroker.
    :param send: `(request_id, reply or error)`: write a frame.
    :param traffic: the ITraffic.
    :param held: what is known of the connection's leases; None: they are this session's.
    """

    def __init__(
        self, broker: Any, send: Callable[[int, Any], None], traffic: ITraffic, held: HeldLeases | None = None
    ) -> None:
        self.held = HeldLeases() if held is None else held
        self._broker = broker
        self._send = send
        self._traffic = traffic
        self._open: dict[int, Deferred[Any]] = {}
        self._pulls: set[int] = set()  # those of the open ones that wait for messages
        self._subscriptions: dict[int, Any] = {}
        self._ended: list[Any] = []  # subscriptions that may hold what goes back when the connection ends
        self._most_ended = MOST_OPEN  # then those that hold nothing are forgotten
        self._is_held = False
        self._reader = HeldReader()

    def request(self, request_id: int, request: Any) -> None:
        """Serve a request, now or later; or answer the error that the codec has found in it."""
        kind = type(request)
        if kind is Credit:
            self._add_credit(request)
        elif kind is Unsubscribe:
            self._unsubscribe(request)
        elif isinstance(request, QuickPulseError):
            self._refuse(request_id, request)
        elif not request_id or request_id in self._open or request_id in self._subscriptions:
            what = "is that of one that is open" if request_id else "is 0"
            self._refuse(request_id, InvalidArgument(f"request_id {what}"))
        elif len(self._open) + len(self._subscriptions) >= MOST_OPEN:
            self._refuse(request_id, TooManyRequests(f"{MOST_OPEN} requests of this connection are open"))
        elif kind is Subscribe:
            self._subscribe(request_id, request)
        elif kind is Pull and request.wait_ms:
            self._ask(request_id, request.read_by(self._reader))
            if request_id in self._open:
                self._pulls.add(request_id)
        else:
            self._ask(request_id, request)

    def hold(self) -> None:
        """The peer does not read: push nothing more for now, and take nothing out for pulls that wait.

        What can be answered at once still is: whoever feeds this session stops that.
        """
        self._is_held = True
        self._reader.hold()
        for subscription in self._subscriptions.values():
            subscription.hold()

    def release(self) -> None:
        """It reads."""
        self._is_held = False
        for subscription in list(self._subscriptions.values()):
            subscription.release()
        self._reader.release()

    def unsubscribe_all(self) -> None:
        """Push nothing more; each subscription's end is told."""
        for subscription in list(self._subscriptions.values()):
            subscription.end()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for a reply; subscriptions do not count."""
        return not self._open

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open: neither a request nor a subscription."""
        return not (self._open or self._subscriptions)

    def lost(self) -> None:
        """The connection has ended: nothing is taken out for it any more."""
        waiting, self._open = self._open, {}
        for deferred in waiting.values():
            deferred.cancel()
        subscriptions = [*self._ended, *self._subscriptions.values()]
        self._ended.clear()
        self._subscriptions = {}
        self.held.gone(sum(subscription.lost() for subscription in subscriptions))

    def _ask(self, request_id: int, request: Any) -> None:
        try:
            reply = getattr(self._broker, BY_KIND[type(request)].name)(request)
        except Exception:
            self._refuse(request_id, as_error(Failure()))
            return
        # By type first: to Python, Deferred is an abstract class, and `isinstance` of such a one is slow.
        if type(reply) in REPLY_KINDS or not isinstance(reply, Deferred):
            self._reply(request_id, request, reply)
            return
        self._open[request_id] = reply
        reply.addCallbacks(
            self._answer, self._fail, callbackArgs=(request_id, request), errbackArgs=(request_id,)
        ).addErrback(self._broken)

    def _answer(self, reply: Any, request_id: int, request: Any) -> None:
        self._pulls.discard(request_id)
        if self._open.pop(request_id, None) is not None:
            self._reply(request_id, request, reply)

    def _reply(self, request_id: int, request: Any, reply: Any) -> None:
        """What the broker says; where that fits into no frame its client still hears of it."""
        self.held.note(request, reply)
        try:
            self._send(request_id, reply)
        except Exception:
            self._refuse(request_id, as_error(Failure()))

    def _fail(self, failure: Failure, request_id: int) -> None:
        self._pulls.discard(request_id)
        if self._open.pop(request_id, None) is not None:
            self._refuse(request_id, as_error(failure))

    def _refuse(self, request_id: int, error: QuickPulseError) -> None:
        self._traffic.failed(error)
        self._send(request_id, error)

    def _broken(self, failure: Failure) -> None:
        _log.failure("a reply could not be sent", failure)

    def _subscribe(self, request_id: int, request: Subscribe) -> None:
        def deliver(deliveries: Any) -> None:
            self._reply(request_id, request, deliveries)

        def ended(error: QuickPulseError | None) -> None:
            subscription = self._subscriptions.pop(request_id, None)
            if subscription is not None:
                if request.release_on_disconnect:
                    self._remember(subscription)
                self._send(request_id, SubscriptionEnded(error))

        try:
            subscription = self._broker.subscribe(request, deliver, ended)
        except Exception:
            self._refuse(request_id, as_error(Failure()))
            return
        self._subscriptions[request_id] = subscription
        if self._is_held:
            subscription.hold()
        self._send(request_id, Subscribed())

    def _remember(self, subscription: Any) -> None:
        """It has ended. Those that are kept are not many more than the leases that they have."""
        self._ended.append(subscription)
        if len(self._ended) > self._most_ended:
            self._ended = [each for each in self._ended if each.holds()]
            self._most_ended = 2 * len(self._ended) + MOST_OPEN

    def _add_credit(self, credit: Credit) -> None:
        subscription = self._subscriptions.get(credit.subscription_id)
        if subscription is None:
            return
        try:
            subscription.add_credit(credit.add_messages, credit.add_bytes)
        except QuickPulseError as error:
            del self._subscriptions[credit.subscription_id]
            subscription.end()
            self._remember(subscription)
            self._traffic.failed(error)
            self._send(credit.subscription_id, SubscriptionEnded(error))

    def _unsubscribe(self, request: Unsubscribe) -> None:
        subscription = self._subscriptions.get(request.subscription_id)
        if subscription is not None:
            subscription.end()
        elif request.subscription_id in self._pulls:
            waiting = self._open.pop(request.subscription_id)
            self._pulls.discard(request.subscription_id)
            waiting.cancel()  # it had nothing yet
            self._send(request.subscription_id, Deliveries(""))
