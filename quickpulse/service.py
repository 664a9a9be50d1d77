"""Settings become a MultiService: the whole assembly, from top to bottom. What the parts do is in their own files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.application.service import MultiService
from twisted.logger import Logger

from quickpulse.backends.loading import load, make_store
from quickpulse.banner import show_banner
from quickpulse.errors import ListenError, SettingsError
from quickpulse.interfaces import IMetricsSource, IQueueReadings
from quickpulse.lifecycle import Lifecycle
from quickpulse.metrics.counted_broker import CountedBroker
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.loading import make_metrics
from quickpulse.metrics.prometheus import TrafficCollector, make_registry
from quickpulse.metrics.queues import QueueCollector, RequestCollector
from quickpulse.metrics.traffic import Traffic
from quickpulse.settings import Settings
from quickpulse.systemd import Notifier
from quickpulse.transports.http import CountedFactory, HttpServer, HttpSite
from quickpulse.transports.listening import make_endpoint
from quickpulse.transports.tokens import Tokens
from quickpulse.version import __version__

_log = Logger()


class QuickPulseService(MultiService):
    """The server: the mode's transports of messages, the HTTP port, and their orderly end.

    :param settings: everything that can be chosen.
    :param reactor: what it runs on; grpcio's gRPC needs an asyncio reactor.
    :param is_process: whether this is the process's one purpose, so that signals are ours.
    :param give_up: called with one line when an address cannot be listened on; `None` raises ListenError.
    :param make_store: gives the IBroker of v1 and the queue of v0, for settings and reactor.
    :raises SettingsError: a provider does not load, an endpoint is not valid, the reactor does not fit.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        *,
        is_process: bool = False,
        give_up: Callable[[str], NoReturn] | None = None,
        make_store: Callable[[Settings, Any], tuple[Any, Any]] = make_store,
    ) -> None:
        super().__init__()
        self._give_up = give_up
        self.settings = settings
        self.metrics = make_metrics(settings.metrics, load, legacy_names=settings.legacy_metric_names)
        self._store, queue = make_store(settings, reactor)
        self.broker = None if self._store is None else CountedBroker(self._store)
        self.tokens = _read_tokens(settings, has_v1=self.broker is not None)
        self.queue = InstrumentedQueue(queue, self.metrics)
        self.traffic = Traffic()
        self.transports = [
            make(settings, reactor, self.queue, self.traffic, self.broker, self.tokens)
            for make in _TRANSPORTS[settings.mode]
        ]
        self.transport = self.transports[0]
        """The only one, in a mode of one."""
        self.http = self._make_http(reactor)
        self.lifecycle = Lifecycle(
            reactor,
            self.transports,
            self.http,
            self._begin_drain,
            settings.drain_seconds,
            self._report_left,
            Notifier(os.environ),
            self._announce,
            reload=None if self.tokens is None else self.tokens.reload,
            is_process=is_process,
        )
        # HTTP before the transports: a probe may ask early. The lifecycle last: it waits for all.
        for child in (self.http, *self.transports, self.lifecycle):
            child.setServiceParent(self)

    def startService(self) -> None:
        """Open all listeners, or none and fail the start."""
        try:
            super().startService()
        except ListenError as error:
            self.stopService()
            if self._give_up is None:
                raise
            self._give_up(str(error))

    def stopService(self) -> Any:
        """Close everything; the broker calls nobody any more."""
        if self.broker is not None:
            self.broker.close()
        return super().stopService()

    def status(self) -> dict[str, Any]:
        """What the status page shows. Depth, capacity and throughput are v0's; what is of all queues stands apart."""
        return {
            "version": __version__,
            "mode": self.settings.mode,
            "listening": self._listening(),
            "depth": self.queue.depth,
            "capacity": self.queue.capacity,
            "enqueue_throughput": self.metrics.enqueue_throughput(),
            "dequeue_throughput": self.metrics.dequeue_throughput(),
            "connections_open": sum(counts.connections_open for counts in self.traffic.transports.values()),
            "draining": self.lifecycle.is_draining,
            **self._totals(),
        }

    def _totals(self) -> dict[str, int]:
        """Over all named queues, v0's among them; a provider that is not the server's own has none."""
        if not IQueueReadings.providedBy(self._store):
            return {}
        readings = self._store.read_queues()
        names = ("queues", "ready", "leased", "delayed", "waiters")
        totals = {name: sum(getattr(each, name) for each in readings) for name in names}
        totals["messages"] = totals["ready"] + totals["leased"] + totals["delayed"]
        return {**totals, **{name: sum(each.counts[name] for each in readings) for name in ("published", "delivered")}}

    def unready(self) -> list[str]:
        """Why no traffic should be sent here; empty when all is well. A full queue is not unhealthy."""
        reasons = []
        if not self.lifecycle.is_listening:
            reasons.append("not listening yet")
        if self.lifecycle.is_draining:
            reasons.append("draining")
        if self.queue.last_failure is not None:
            reasons.append(f"the queue fails: {self.queue.last_failure}")
        return reasons

    def _make_http(self, reactor: Any) -> HttpServer:
        settings = self.settings
        is_grpcio = settings.mode != "ws" and settings.grpc_server == "grpcio"
        traffic = TrafficCollector(self.traffic, __version__, settings.mode, self.queue.capacity, is_grpcio=is_grpcio)
        sources: list[Any] = [traffic]
        if IMetricsSource.providedBy(self.metrics):
            sources.insert(0, self.metrics)
        if IQueueReadings.providedBy(self._store):
            sources.append(QueueCollector(self._store.read_queues))
        if self.broker is not None:
            sources.append(RequestCollector(self.broker, self.traffic))
        site = HttpSite(
            reactor,
            self.traffic,
            make_registry(*sources),
            self.status,
            self.unready,
            self.broker,
            settings.http_api,
            settings.max_batch_bytes,
            settings.allow_origin,
            settings.allow_host,
            self.tokens,
            settings.handshake_seconds,
        )
        where, endpoint = _where(self.settings, reactor, "http")
        return HttpServer(endpoint, where, CountedFactory(site, self.traffic))

    def _listening(self) -> list[str]:
        return [f"{part.name} on {', '.join(part.addresses)}" for part in (*self.transports, self.http)]

    def _begin_drain(self) -> None:
        if self.broker is not None:
            self.broker.drain()

    def _announce(self) -> None:
        show_banner(sys.__stdout__)
        _log.info(
            "QuickPulse {version}, mode {mode}: {listening}",
            version=__version__,
            mode=self.settings.mode,
            listening="; ".join(self._listening()),
        )
        if self.tokens is not None and self.settings.v0 == "on":
            _log.warn("v0 asks for no token: whoever reaches its port uses the queue default (--v0 off)")

    def _left(self) -> int:
        """Messages that are still held, in whichever queue."""
        if self.broker is None:
            depth: int = self.queue.depth
            return depth
        left: int = self.broker.depth
        return left

    def _report_left(self) -> None:
        """Ephemeral means that what is still queued is gone, so it is said; another provider may keep its messages."""
        left, undelivered = self._left(), self.traffic.undelivered_total
        report = _log.warn if left or undelivered else _log.info
        report(
            "drained: {left} messages were still queued{fate}, {undelivered} were taken but not delivered",
            left=left,
            fate=" and are gone" if self.settings.queue == "memory" else "",
            undelivered=undelivered,
        )


def _read_tokens(settings: Settings, *, has_v1: bool) -> Tokens | None:
    """The tokens that v1 asks for, if it does; what leaves nothing to serve, or guards nothing, is refused."""
    if not has_v1 and (settings.auth_token_file is not None or settings.v0 == "off"):
        option = "--auth-token-file" if settings.v0 == "on" else "--v0 off"
        raise SettingsError(f"{option} is of use with v1 only, which --queue {settings.queue!r} does not have")
    return None if settings.auth_token_file is None else Tokens(settings.auth_token_file)


def _where(settings: Settings, reactor: Any, kind: str) -> tuple[str, Any]:
    """The address of a listener for people, and its endpoint."""
    option, given = f"--{kind}-endpoint", getattr(settings, f"{kind}_endpoint")
    port = getattr(settings, f"{kind}_port")
    endpoint = make_endpoint(reactor, option, given, settings.host, port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return given or f"{host}:{port}", endpoint


def _make_ws(settings: Settings, reactor: Any, queue: Any, traffic: Traffic, broker: Any, tokens: Tokens | None) -> Any:
    from quickpulse.transports.websocket import WsFactory
    from quickpulse.transports.ws_server import WsServer

    where, endpoint = _where(settings, reactor, "ws")
    factory = WsFactory(reactor, queue, traffic, settings, broker, tokens)
    return WsServer(endpoint, where, factory)


def _make_grpc(
    settings: Settings, reactor: Any, queue: Any, traffic: Traffic, broker: Any, tokens: Tokens | None
) -> Any:
    make = _make_native_grpc if settings.grpc_server == "native" else _make_grpcio
    return make(settings, reactor, queue, traffic, broker, tokens)


def _make_native_grpc(
    settings: Settings, reactor: Any, queue: Any, traffic: Traffic, broker: Any, tokens: Tokens | None
) -> Any:
    from quickpulse.transports.grpc_native import GrpcFactory, NativeGrpcServer

    where, endpoint = _where(settings, reactor, "grpc")
    return NativeGrpcServer(endpoint, where, GrpcFactory(reactor, queue, traffic, settings, broker, tokens))


def _make_grpcio(
    settings: Settings, reactor: Any, queue: Any, traffic: Traffic, broker: Any, tokens: Tokens | None
) -> Any:
    # Read by grpcio's C core when it is imported: what it would write to stderr comes to us as errors anyway.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from quickpulse.transports.grpc_addresses import host_and_port, read_endpoint
    from quickpulse.transports.grpc_server import GrpcAllServer, GrpcStreamServer, GrpcUnaryServer

    server = {"grpc": GrpcUnaryServer, "grpc_stream": GrpcStreamServer, "all": GrpcAllServer}[settings.mode]
    address = (
        read_endpoint("--grpc-endpoint", settings.grpc_endpoint)
        if settings.grpc_endpoint
        else host_and_port(settings.host, settings.grpc_port)
    )
    return server(reactor, address, queue, traffic, settings, broker, tokens)


# A mode imports its own transports only: grpcio is 30 MiB that a WebSocket server does not need.
_TRANSPORTS = {"ws": [_make_ws], "grpc": [_make_grpc], "grpc_stream": [_make_grpc], "all": [_make_ws, _make_grpc]}
