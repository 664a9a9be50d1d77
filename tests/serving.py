"""A whole service inside the test's process, on free ports of loopback, and how to talk to it from a test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import grpc
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from quickpulse.service import QuickPulseService
from quickpulse.settings import Settings


def in_loop(coroutine: Coroutine[Any, Any, Any]) -> Deferred:
    """Run a coroutine in the reactor's own loop."""
    return Deferred.fromFuture(asyncio.ensure_future(coroutine, loop=reactor._asyncioEventloop))


class ServiceTestCase(TestCase):
    """Starts services and channels, and ends them after the test."""

    timeout = 60

    def start(self, mode: str, **settings: Any) -> QuickPulseService:
        """Start a service; it accepts connections once `service.lifecycle.is_listening`."""
        free = {"ws_port": 0, "grpc_port": 0, "http_port": 0}
        service = QuickPulseService(Settings(mode=mode, **{**free, **settings}), reactor)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def address(self, part: Any) -> str:
        """host:port of one of the service's listeners."""
        return part.addresses[0]

    def channel(self, service: QuickPulseService) -> grpc.aio.Channel:
        """A gRPC channel to the service."""
        asyncio.set_event_loop(reactor._asyncioEventloop)  # where grpcio's client looks for it
        channel = grpc.aio.insecure_channel(self.address(service.transport))
        self.addCleanup(lambda: in_loop(channel.close()))
        return channel

    def stub(self, service: QuickPulseService) -> MessageQueueStub:
        """The v0 stub on a channel to the service."""
        return MessageQueueStub(self.channel(service))
