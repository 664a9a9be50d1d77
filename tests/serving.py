"""A whole service inside the test's process, on free ports of loopback, and how to talk to it from a test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from quickpulse.backends.loading import make_store
from quickpulse.service import QuickPulseService
from quickpulse.settings import Settings


def in_loop(coroutine: Coroutine[Any, Any, Any]) -> Deferred:
    """Run a coroutine in the reactor's own loop."""
    return Deferred.fromFuture(asyncio.ensure_future(coroutine, loop=reactor._asyncioEventloop))


async def until(condition) -> None:
    """Let the loop turn until something holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass")


async def error_of(call) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")


class ServiceTestCase(TestCase):
    """Starts services and channels, and ends them after the test."""

    timeout = 60

    grpc_server = Settings(mode="ws").grpc_server
    """Which gRPC server, where a test does not say; the default is the usual one."""

    make_store = staticmethod(make_store)
    """Gives the broker and v0's queue; another one where the test has one."""

    def setUp(self) -> None:
        """No channel is open."""
        self.channels: list[grpc.aio.Channel] = []

    def start(self, mode: str, **settings: Any) -> QuickPulseService:
        """Start a service; it accepts connections once `service.lifecycle.is_listening`."""
        free = {"ws_port": 0, "grpc_port": 0, "http_port": 0, "grpc_server": self.grpc_server}
        service = QuickPulseService(Settings(mode=mode, **{**free, **settings}), reactor, make_store=self.make_store)
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
        self.channels.append(channel)
        self.addCleanup(lambda: in_loop(channel.close()))
        return channel

    def stub(self, service: QuickPulseService) -> MessageQueueStub:
        """The v0 stub on a channel to the service."""
        return MessageQueueStub(self.channel(service))

    @contextmanager
    def log_to(self, lines: list[str]) -> Iterator[None]:
        """Collect what is logged meanwhile, each event with its failure."""

        def observe(event: dict[str, Any]) -> None:
            failure = event.get("log_failure")
            lines.append(f"{formatEvent(event)} {failure.getErrorMessage() if failure else ''}")

        globalLogPublisher.addObserver(observe)
        try:
            yield
        finally:
            globalLogPublisher.removeObserver(observe)
