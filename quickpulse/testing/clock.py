"""Time that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock


class StillClock(Clock):
    """Twisted's `Clock`, but what is to be done at once is done at once: a server goes on serving while time stands.

    :param reactor: does that.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - its name there
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        """As IReactorTime says."""
        if delay <= 0:
            call: IDelayedCall = self._reactor.callLater(0, callable, *args, **kw)
            return call
        return super().callLater(delay, callable, *args, **kw)
