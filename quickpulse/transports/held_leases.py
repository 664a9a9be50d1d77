"""How many messages a connection holds on leases: so that it can settle them before the server ends.

It is what the connection's own requests tell. Leases that ran out, or were settled on another connection, are not known
here; whoever waits for the last one has a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quickpulse.requests import Action, Deliveries, SettleReply

SEVERED_SECONDS = 1.0
"""Of a drain's time, kept for the goodbye."""


class HeldLeases:
    """Those of one connection, or of one call."""

    def __init__(self) -> None:
        self.count = 0
        self._act: Callable[[], None] | None = None

    def note(self, request: Any, reply: Any) -> None:
        """A request, or a subscription, was answered so."""
        if isinstance(reply, Deliveries):
            if reply.first_receipt:
                self.count += len(reply.batch.payloads)
        elif isinstance(reply, SettleReply) and request.action is not Action.EXTEND:
            self.gone(reply.settled)

    def gone(self, messages: int) -> None:
        """So many are held no more."""
        self.count = max(self.count - messages, 0)
        if not self.count and self._act is not None:
            act, self._act = self._act, None
            act()

    def when_none(self, act: Callable[[], None] | None) -> None:
        """Call `act` when all is settled, at once if it is; None: call nothing."""
        self._act = act
        if act is not None and not self.count:
            self._act = None
            act()
