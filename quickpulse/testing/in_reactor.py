"""A server on the reactor of the test."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed

from quickpulse.backends.loading import make_broker
from quickpulse.errors import NotFound
from quickpulse.queues.policies import DEFAULT_QUEUE, MOST_RECEIPTS
from quickpulse.requests import DeleteQueue, Deliveries, GetQueue, ListQueues, Peek, QueueInfo, QueuePage
from quickpulse.service import QuickPulseService
from quickpulse.settings import Settings
from quickpulse.testing.clock import StillClock
from quickpulse.testing.faults import Faults, FaultyBroker

DEFAULTS: dict[str, Any] = {"mode": "all", "host": "127.0.0.1", "ws_port": 0, "grpc_port": 0, "http_port": 0}

ROUNDING_SECONDS = 0.001
"""The queues count whole milliseconds, and their timers come a little later: what is due at the end is done too."""

_NAMES = {"WebSocket": "ws", "gRPC": "grpc", "HTTP": "http"}
"""Of the listeners, as the settings have them."""


def read_settings(settings: dict[str, Any]) -> Settings:
    """What was given, and the rest as tests want it.

    :raises TypeError: there is no such setting.
    :raises SettingsError: what a setting says cannot be.
    """
    unknown = settings.keys() - {each.name for each in fields(Settings)}
    if unknown:
        word = min(unknown)
        near = get_close_matches(word, [each.name for each in fields(Settings)], 1)
        raise TypeError(f"there is no setting {word!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    read = Settings(**{**DEFAULTS, **settings})
    if read.queue != "memory":
        raise ValueError("the testing server has its queues in memory")
    return read


class TwistedServer:
    """A whole server: queues in memory, every transport, on free ports of loopback.

    :param reactor: any, or with `grpc_server="grpcio"` an asyncio one; None: the global one.
    :param still_clock: time stands still for the queues, until `advance`: for leases, delays, time to live, and
        waiting. Clients have their own clocks.
    :param settings: fields of `quickpulse.settings.Settings`, such as `capacity=10`.
    :ivar faults: what is to befall requests.
    """

    def __init__(self, reactor: Any = None, *, still_clock: bool = False, **settings: Any) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        self._clock = StillClock(reactor) if still_clock else None
        self._settings = read_settings(settings)
        self.faults = Faults(self.drop_connections)
        self._broker: Any = None
        self._service: QuickPulseService | None = None

    def start(self) -> Deferred[Any]:
        """Listen; fires with this server when connections are accepted.

        :raises ListenError: a port that was asked for is taken.
        """
        service = self._service = QuickPulseService(self._settings, self._reactor, make_store=self._make_store)
        service.startService()
        listening = DeferredList([part.when_listening() for part in self._parts], fireOnOneErrback=True)
        return listening.addCallback(lambda _: self)

    def stop(self) -> Deferred[Any]:
        """End at once: connections are cut, messages are gone. Fires when the ports are free."""
        service, self._service = self._service, None
        return succeed(None) if service is None else maybeDeferred(service.stopService)

    def restart(self) -> Deferred[Any]:
        """End at once and start again, empty, on the same ports: clients come back by themselves."""
        ports: dict[str, Any] = {f"{_NAMES[part.name]}_port": _port_of(part) for part in self._parts}
        self._settings = replace(self._settings, **ports)
        return self.stop().addCallback(lambda _: self.start())

    @property
    def url(self) -> str:
        """For clients: `quickpulse://127.0.0.1:port`, or WebSocket's where only that is served."""
        return self.ws_url if self._settings.mode == "ws" else f"quickpulse://{self._address('grpc')}"

    @property
    def ws_url(self) -> str:
        """For clients over WebSocket: `quickpulse+ws://127.0.0.1:port`."""
        return f"quickpulse+ws://{self._address('ws')}"

    @property
    def http_url(self) -> str:
        """Of the HTTP API and the metrics: `http://127.0.0.1:port`."""
        return f"http://{self._address('http')}"

    def drop_connections(self) -> None:
        """Cut all connections, as a network does."""
        for part in self._parts:
            part.factory.abort_all()

    def advance(self, seconds: float) -> None:
        """With `still_clock`: so much time goes by, and a millisecond; what was due in it is done.

        :raises RuntimeError: the server's time is real.
        """
        if self._clock is None:
            raise RuntimeError("this server's time is real: it wants still_clock=True")
        self._clock.advance(seconds + ROUNDING_SECONDS)

    def stats(self, queue: str) -> QueueInfo:
        """A queue as it is now.

        :raises NotFound: there is none.
        """
        info: QueueInfo = self._broker.get_queue(GetQueue(queue))
        return info

    def payloads(self, queue: str) -> list[bytes]:
        """What is ready in a queue, in the order in which it would be delivered; empty where there is no queue.

        As many as fit into a frame, which is 4 MiB by default.
        """
        try:
            deliveries: Deliveries = self._broker.peek(Peek(queue, MOST_RECEIPTS))
        except NotFound:
            return []
        return list(deliveries.batch.payloads)

    def clear(self) -> None:
        """No queue, no message, no fault any more; connections stay, and subscriptions end with their queues."""
        self.faults.clear()
        page = QueuePage(next_page_token="")
        while True:
            page = self._broker.list_queues(ListQueues(page_token=page.next_page_token))
            for info in page.queues:
                self._broker.delete_queue(DeleteQueue(info.name))
            if not page.next_page_token:
                return

    @property
    def _parts(self) -> list[Any]:
        assert self._service is not None, "the server does not run"
        return [*self._service.transports, self._service.http]

    def _address(self, name: str) -> str:
        for part in self._parts:
            if _NAMES[part.name] == name:
                return str(part.addresses[0])
        raise ValueError(f"{name} is not served in mode {self._settings.mode}")

    def _make_store(self, settings: Settings, reactor: Any) -> tuple[Any, Any]:
        self._broker = make_broker(settings, self._clock or reactor)
        return FaultyBroker(self._broker, self.faults), self._broker.queue(DEFAULT_QUEUE)


def _port_of(part: Any) -> int:
    return int(part.addresses[0].rpartition(":")[2])
