"""A broker whose requests are counted, by kind. Messages are counted by the queues, errors where they are answered."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from quickpulse.interfaces import IBroker

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


@implementer(IBroker)
class CountedBroker:
    """An IBroker around an IBroker. Belongs to the reactor's thread.

    :param broker: does what is asked.
    :ivar requests_total: by the name of the method; what a subscription is pushed is no request.
    """

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.requests_total = dict.fromkeys(REQUESTS, 0)

    def __getattr__(self, name: str) -> Any:
        """What the broker has; a request is counted. Its method is made once, when it is first asked for."""
        method = getattr(self._broker, name)
        if name not in REQUESTS:
            return method
        requests_total = self.requests_total

        def ask(*request: Any) -> Any:
            requests_total[name] += 1
            return method(*request)

        setattr(self, name, ask)
        return ask
