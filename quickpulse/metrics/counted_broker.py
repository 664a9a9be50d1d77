"""A broker whose requests are counted, by kind, and its errors, by reason. Messages are counted by the queues."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from quickpulse.errors import (
    Draining,
    InvalidArgument,
    NoDeadLetterQueue,
    NotFound,
    QueuePaused,
    QueueUnavailable,
    QuickPulseError,
    TooManyQueues,
    Unsupported,
)
from quickpulse.interfaces import IBroker
from quickpulse.requests import Deliveries, PublishReply, SettleReply, Subscribe

REQUESTS = (
    "publish",
    "pull",
    "settle",
    "subscribe",
    "list_queues",
    "get_queue",
    "set_policy",
    "pause",
    "resume",
    "purge",
    "delete_queue",
    "peek",
    "redrive",
    "get_server_info",
)
"""IBroker's methods that are requests; each is counted from the start, with 0, so that a rate has something to start
from."""

REASONS = tuple(
    each.code
    for each in (
        Draining,
        InvalidArgument,
        NoDeadLetterQueue,
        NotFound,
        QueuePaused,
        QueueUnavailable,
        TooManyQueues,
        Unsupported,
    )
)
"""Likewise. What only a broker of somebody else's answers is added when it comes."""


_AT_ONCE = frozenset({Deliveries, PublishReply, SettleReply})
"""The usual replies. To Python, Deferred is an abstract class, and `isinstance` of such a one is slow."""


def _counted(name: str) -> Callable[..., Any]:
    """The method of this name: a frame and an addition more than the other broker's."""
    method_of = attrgetter(name)

    def ask(self: CountedBroker, request: Any) -> Any:
        self.requests_total[name] += 1
        try:
            reply = method_of(self._broker)(request)
        except Exception as error:
            self._count(error)
            raise
        if type(reply) not in _AT_ONCE and isinstance(reply, Deferred):
            reply.addErrback(self._failed)
        return reply

    ask.__doc__ = f"As IBroker.{name}, counted."
    return ask


@implementer(IBroker)
class CountedBroker:
    """An IBroker around an IBroker. Belongs to the reactor's thread.

    :ivar requests_total: by the name of the method; what a subscription is pushed is no request.
    :ivar errors_total: requests that were answered with an error, by its code.
    """

    publish = _counted("publish")
    pull = _counted("pull")
    settle = _counted("settle")
    list_queues = _counted("list_queues")
    get_queue = _counted("get_queue")
    set_policy = _counted("set_policy")
    pause = _counted("pause")
    resume = _counted("resume")
    purge = _counted("purge")
    delete_queue = _counted("delete_queue")
    peek = _counted("peek")
    redrive = _counted("redrive")
    get_server_info = _counted("get_server_info")

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.requests_total = dict.fromkeys(REQUESTS, 0)
        self.errors_total = dict.fromkeys(REASONS, 0)

    def subscribe(
        self,
        request: Subscribe,
        deliver: Callable[[Deliveries], None],
        ended: Callable[[QuickPulseError | None], None],
    ) -> Any:
        """As IBroker.subscribe, counted."""
        self.requests_total["subscribe"] += 1
        try:
            return self._broker.subscribe(request, deliver, ended)
        except Exception as error:
            self._count(error)
            raise

    @property
    def depth(self) -> int:
        """Messages in all queues."""
        depth: int = self._broker.depth
        return depth

    def queue(self, name: str) -> Any:
        """A queue as v0 uses it; what goes through it is not counted here."""
        return self._broker.queue(name)

    def drain(self) -> None:
        """Take no new work."""
        self._broker.drain()

    def close(self) -> None:
        """The server ends."""
        self._broker.close()

    def _count(self, error: BaseException | None) -> None:
        code = error.code if isinstance(error, QuickPulseError) else QueueUnavailable.code
        self.errors_total[code] = self.errors_total.get(code, 0) + 1

    def _failed(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError):  # who asked is gone: nobody is answered
            self._count(failure.value)
        return failure
