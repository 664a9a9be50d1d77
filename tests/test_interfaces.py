"""The ports: who provides what, and the names under which users know them."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass

import quickpulse
from quickpulse import interfaces
from quickpulse.backends.foreign import DequeQueue, DuckQueue, StandardQueue
from quickpulse.backends.memory_broker import MemoryBroker
from quickpulse.interfaces import (
    IBatchMetrics,
    IBroker,
    IMessageQueue,
    IMetricsCollector,
    IMetricsSource,
    IQueueReadings,
    ISubscription,
    ITraffic,
    ITransportService,
    QueueStatistics,
)
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.metrics.prometheus import PrometheusMetrics
from quickpulse.metrics.traffic import Traffic
from quickpulse.queues.memory import MessageQueue
from quickpulse.queues.waiting import Subscription
from quickpulse.transports.grpc_server import GrpcAllServer, GrpcStreamServer, GrpcUnaryServer
from quickpulse.transports.http import HttpServer
from quickpulse.transports.ws_server import WsServer

PROVIDERS = {
    IMessageQueue: (MessageQueue, InstrumentedQueue, DequeQueue, StandardQueue, DuckQueue),
    IMetricsCollector: (DefaultMetrics, PrometheusMetrics),
    IBatchMetrics: (DefaultMetrics, PrometheusMetrics),
    IMetricsSource: (PrometheusMetrics,),
    ITraffic: (Traffic,),
    IBroker: (MemoryBroker,),
    IQueueReadings: (MemoryBroker,),
    ISubscription: (Subscription,),
    ITransportService: (WsServer, GrpcUnaryServer, GrpcStreamServer, GrpcAllServer, HttpServer),
}


class PortTests(SynchronousTestCase):
    """Every interface and its providers."""

    def test_providers(self) -> None:
        """Each has the methods with the right parameters."""
        for port, classes in PROVIDERS.items():
            for provider in classes:
                self.assertTrue(verifyClass(port, provider), (port, provider))

    def test_all_ports_are_named_here(self) -> None:
        """A new interface gets a line in the table above."""
        ports = {value for name, value in vars(interfaces).items() if name.startswith("I") and name != "Interface"}
        self.assertEqual(ports, set(PROVIDERS))

    def test_metrics_collector_is_an_alias(self) -> None:
        """Two names of one interface."""
        self.assertIs(quickpulse.MetricsCollector, quickpulse.IMetricsCollector)

    def test_every_method_says_what_it_does(self) -> None:
        """A port's promise is its docstring."""
        for port in PROVIDERS:
            for name, member in port.namesAndDescriptions():
                self.assertTrue(member.getDoc(), f"{port.getName()}.{name}")

    def test_statistics_are_frozen(self) -> None:
        """A snapshot does not change."""
        snapshot = QueueStatistics(1, 2, 3, None, 5, 6, 7)
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, snapshot, "depth", 0)

    def test_public_names(self) -> None:
        """What `from quickpulse import *` promises is there."""
        for name in quickpulse.__all__:
            self.assertTrue(hasattr(quickpulse, name), name)
