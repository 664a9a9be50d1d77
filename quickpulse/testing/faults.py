"""Faults on demand: what a network or a server does to a client at the worst moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from quickpulse.errors import Draining, QuickPulseError
from quickpulse.interfaces import IBroker, IQueueReadings
from quickpulse.metrics.counted_broker import REQUESTS

KINDS = frozenset(REQUESTS) - {"get_server_info"}
"""Requests that a fault can befall. `get_server_info` is left out: clients open with it."""

_Ask = Callable[[], Any]
_Fault = Callable[[_Ask], Any]


class Faults:
    """What befalls the next requests; each fault once, in the order in which they were asked for.

    Acks, nacks and the other verbs of a message are requests of the kind `settle`.

    :param cut: ends all connections at once.
    """

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._planned: dict[str, deque[_Fault]] = {kind: deque() for kind in KINDS}

    def drop_before(self, kind: str, *, times: int = 1) -> None:
        """The next request of this kind is not done, and all connections end.

        :raises ValueError: there is no such kind.
        """
        self._plan(kind, self._dropped_before, times)

    def drop_after(self, kind: str, *, times: int = 1) -> None:
        """The next request of this kind is done, and all connections end before the reply.

        :raises ValueError: there is no such kind.
        """
        self._plan(kind, self._dropped_after, times)

    def fail(self, kind: str, error: QuickPulseError, *, times: int = 1) -> None:
        """The next request of this kind is refused.

        :raises ValueError: there is no such kind.
        """
        self._plan(kind, partial(_refused, error), times)

    def clear(self) -> None:
        """Nothing more befalls anybody."""
        for faults in self._planned.values():
            faults.clear()

    @property
    def left(self) -> int:
        """How many have not happened yet."""
        return sum(map(len, self._planned.values()))

    def meet(self, kind: str, ask: _Ask) -> Any:
        """What a request gets: the next fault of its kind, or the reply."""
        planned = self._planned[kind]
        return planned.popleft()(ask) if planned else ask()

    def _plan(self, kind: str, fault: _Fault, times: int) -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(sorted(KINDS))}")
        self._planned[kind].extend([fault] * times)

    def _dropped_before(self, _ask: _Ask) -> Deferred[Any]:
        self._cut()
        return _no_answer()

    def _dropped_after(self, ask: _Ask) -> Deferred[Any]:
        done: Deferred[Any] = maybeDeferred(ask)
        done.addErrback(lambda _: None)
        self._cut()
        return _no_answer()


@implementer(IBroker, IQueueReadings)
class FaultyBroker:
    """An IBroker whose requests meet faults on their way.

    :param broker: does what gets there.
    """

    def __init__(self, broker: Any, faults: Faults) -> None:
        self._broker = broker
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._broker, name)
        if name not in KINDS:
            return method
        return lambda *request: self._faults.meet(name, lambda: method(*request))


def _refused(error: QuickPulseError, _ask: _Ask) -> Any:
    raise error


def _no_answer() -> Deferred[Any]:
    """For a peer that is cut off: nobody hears it."""
    answer: Deferred[Any] = Deferred()
    answer.errback(Draining())
    return answer
