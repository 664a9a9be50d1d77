"""The memory broker as a provider of IBroker: the domain, its clock, and those who wait.

The domain takes time as an argument and never waits; here is where it is called as time goes by, and where a pull that
has to wait becomes a Deferred.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from quickpulse.errors import Draining, QuickPulseError
from quickpulse.interfaces import IBroker, IQueueReadings, QueueReading
from quickpulse.queues.broker import Broker
from quickpulse.queues.waiting import Subscription, Waiting, WaitingPull
from quickpulse.requests import (
    Count,
    DeleteQueue,
    Deliveries,
    GetQueue,
    GetServerInfo,
    ListQueues,
    Pause,
    Peek,
    Publish,
    PublishReply,
    Pull,
    Purge,
    QueueInfo,
    QueuePage,
    Redrive,
    Resume,
    ServerInfo,
    SetPolicy,
    Settle,
    SettleReply,
    Subscribe,
)

_log = Logger()

R = TypeVar("R")
S = TypeVar("S")

LONGEST_SLEEP_SECONDS = 3600.0
"""A timer further ahead gains nothing."""


class Cancellable(Protocol):
    """What is to be done, and may be called off."""

    def cancel(self) -> None:
        """Do not do it."""


def next_turn_of(reactor: Any) -> Callable[[Callable[[], None]], Cancellable]:
    """How to have something done in the next turn: of the reactor's event loop where it has one.

    Twisted would keep a heap of it and set a timer, which takes as long as a request.
    """
    loop = getattr(reactor, "_asyncioEventloop", None)
    return partial(reactor.callLater, 0) if loop is None else loop.call_soon  # type: ignore[no-any-return]


@implementer(IBroker, IQueueReadings)
class MemoryBroker:
    """Everything in this process's memory. Belongs to the reactor's thread.

    :param reactor: IReactorTime, for what is due and for turns.
    :param broker: the domain.
    :param wall_seconds: seconds since 1970, read once: from then on a clock counts that does not go back or leap. It is
        the reactor's, unless that tells the time of day.
    """

    def __init__(self, reactor: Any, broker: Broker, wall_seconds: Callable[[], float] = time.time) -> None:
        self._reactor = reactor
        self._seconds: Callable[[], float] = time.monotonic if reactor.seconds is time.time else reactor.seconds
        self._broker = broker
        self._epoch_seconds = wall_seconds() - self._seconds()
        self._has_before = broker.has_deadline_before
        self._waiting = Waiting(broker, self._has_work)
        self._next_turn = next_turn_of(reactor)
        self._turn: Cancellable | None = None
        self._timer: IDelayedCall | None = None
        self._timer_ms = 0  # when it will be
        self._is_draining = self._is_closed = False
        broker.tick(self._now_ms())  # it counts time from here on

    def publish(self, request: Publish) -> PublishReply:
        """Put messages in."""
        if self._is_draining:
            raise Draining
        return self._do(self._broker.publish, request)

    def pull(self, request: Pull) -> Deliveries | Deferred[Deliveries]:
        """Take messages out, now or when there are some."""
        if self._is_draining:
            raise Draining
        if self._turn is not None:
            self._serve_before(request)
        deliveries = self._do(self._broker.pull, request)
        if deliveries.batch.payloads or not request.wait_ms:
            return deliveries
        waiting: WaitingPull
        result: Deferred[Deliveries] = Deferred(lambda _: waiting.leave())
        waiting = self._waiting.pull(request, self._now_ms(), result.callback)
        self._schedule()
        return result

    def settle(self, request: Settle) -> SettleReply:
        """Say what became of leased messages."""
        return self._do(self._broker.settle, request)

    def subscribe(
        self,
        request: Subscribe,
        deliver: Callable[[Deliveries], None],
        ended: Callable[[QuickPulseError | None], None],
    ) -> Subscription:
        """Have messages pushed."""
        if self._is_draining:
            raise Draining
        self._broker.tick(self._now_ms())
        return self._waiting.subscribe(request, deliver, ended, self._give_back)

    def list_queues(self, request: ListQueues) -> QueuePage:
        """Which there are."""
        page = self._do(self._broker.list_queues, request)
        return replace(page, queues=list(map(self._with_waiters, page.queues)))

    def get_queue(self, request: GetQueue) -> QueueInfo:
        """One of them."""
        return self._with_waiters(self._do(self._broker.get_queue, request))

    def set_policy(self, request: SetPolicy) -> QueueInfo:
        """How it behaves."""
        return self._with_waiters(self._do(self._broker.set_policy, request))

    def pause(self, request: Pause) -> QueueInfo:
        """Stop it."""
        return self._with_waiters(self._do(self._broker.pause, request))

    def resume(self, request: Resume) -> QueueInfo:
        """Go on."""
        return self._with_waiters(self._do(self._broker.resume, request))

    def purge(self, request: Purge) -> Count:
        """Throw away what nobody holds."""
        return self._do(self._broker.purge, request)

    def delete_queue(self, request: DeleteQueue) -> Count:
        """Throw all away; who waits for it hears of it."""
        count = self._do(self._broker.delete_queue, request)
        self._waiting.queue_deleted(request.queue)
        return count

    def peek(self, request: Peek) -> Deliveries:
        """Look."""
        return self._do(self._broker.peek, request)

    def redrive(self, request: Redrive) -> Count:
        """Put dead letters back."""
        return self._do(self._broker.redrive, request)

    def get_server_info(self, request: GetServerInfo) -> ServerInfo:
        """What the server is."""
        return self._do(self._broker.get_server_info, request)

    @property
    def depth(self) -> int:
        """Messages in all queues: ready, delayed and leased."""
        return self._broker.depth

    def read_queues(self) -> list[QueueReading]:
        """All queues, for metrics."""
        return self._do(self._broker.read_queues, self._waiting.all_waiters())

    def queue(self, name: str) -> Any:
        """A queue as v0 uses it."""
        return self._broker.queue(name, lambda: self._epoch_seconds + self._seconds())

    def drain(self) -> None:
        """Take no new work; what is leased may still be settled."""
        if not self._is_draining:
            self._is_draining = True
            self._waiting.end_all(Draining())

    def close(self) -> None:
        """The server ends: call nobody any more."""
        self._is_closed = True
        if self._turn is not None:
            self._turn.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._turn = self._timer = None

    def _with_waiters(self, info: QueueInfo) -> QueueInfo:
        """The domain knows only that somebody waits."""
        return replace(info, waiters=self._waiting.waiters(info.name))

    def _give_back(self, subscription: Subscription) -> int:
        return self._do(self._broker.give_back, subscription)

    def _now_ms(self) -> int:
        return int((self._epoch_seconds + self._seconds()) * 1000)

    def _do(self, method: Callable[[S, int], R], request: S) -> R:
        """One call of the domain, after which something else may be due first."""
        try:
            return method(request, int((self._epoch_seconds + self._seconds()) * 1000))  # _now_ms
        finally:
            self._schedule()

    def _has_work(self) -> None:
        """Somebody who waits can be served: in a turn of its own, so that what a read brings is given out together."""
        if self._turn is None and not self._is_closed:
            self._turn = self._next_turn(self._serve)

    def _serve_before(self, request: Pull) -> None:
        """Whoever waits for the same came first, and would be served only in the next turn."""
        try:
            self._waiting.serve_before(request.queues, self._now_ms())
        except Exception:  # not of this request
            _log.failure("who waits for messages could not be served")

    def _serve(self) -> None:
        self._turn = None
        try:
            self._waiting.serve(self._now_ms())
        except Exception:  # an event loop would tell it to its own log
            _log.failure("who waits for messages could not be served")
        self._schedule()

    def _schedule(self) -> None:
        """Be called when the next thing is due; a timer that is earlier than that will see."""
        if self._timer is not None and not (
            self._has_before(self._timer_ms) or self._waiting.has_deadline_before(self._timer_ms)
        ):
            return  # as after nearly every request
        moments = [each for each in (self._broker.next_deadline(), self._waiting.next_deadline()) if each is not None]
        if not moments or self._is_closed:
            return
        due_ms = min(moments)
        if self._timer is not None:
            if self._timer_ms <= due_ms:
                return
            self._timer.cancel()
        seconds = due_ms / 1000 - self._epoch_seconds - self._seconds()
        # Half of a millisecond more: what is due at a moment is not due in the one before.
        self._timer = self._reactor.callLater(min(max(seconds, 0.0), LONGEST_SLEEP_SECONDS) + 0.0005, self._tick)
        self._timer_ms = due_ms

    def _tick(self) -> None:
        self._timer = None
        now_ms = self._now_ms()
        try:
            self._broker.tick(now_ms)
            self._waiting.tick(now_ms)
        finally:  # the reactor logs what goes wrong; what is due after it still happens
            self._schedule()
