"""grpcio's server in the reactor's own loop: the bridge, and what only that server has."""

from __future__ import annotations

import asyncio
import logging

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from twisted.application.service import IServiceCollection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from quickpulse._generated.messagequeue_pb2 import StreamMessage
from quickpulse.errors import SettingsError
from quickpulse.interfaces import ITransportService
from quickpulse.transports.grpc_calls import at_leisure
from quickpulse.transports.grpc_server import GrpcAllServer, GrpcStreamServer, GrpcUnaryServer, loop_of
from tests.serving import ServiceTestCase, error_of, in_loop, until


class BridgeTests(ServiceTestCase):
    """The service and its loop."""

    grpc_server = "grpcio"

    def test_the_service_holds_the_bridge(self) -> Deferred:
        """The MultiService contains grpcio's server as one of its services, in the reactor's own loop."""
        service = self.start("grpc")
        self.assertIn(service.transport, list(IServiceCollection(service)))
        self.assertIsInstance(service.transport, GrpcUnaryServer)
        self.assertTrue(verifyObject(ITransportService, service.transport))
        self.assertIs(loop_of(reactor), reactor._asyncioEventloop)
        return service.transport.when_listening()

    def test_modes(self) -> Deferred:
        """Each mode has its own server."""
        service = self.start("grpc_stream")
        self.assertIsInstance(service.transport, GrpcStreamServer)
        everything = self.start("all")
        self.assertIsInstance(everything.transports[1], GrpcAllServer)
        return everything.transports[1].when_listening().addCallback(lambda _: service.transport.when_listening())

    def test_another_reactor_is_refused(self) -> None:
        """Grpcio's asyncio server would hang there."""
        error = self.assertRaises(SettingsError, loop_of, object())
        self.assertIn("--reactor=asyncio", str(error))

    def test_a_watch_that_comes_during_the_drain(self) -> Deferred:
        """Watchers call again at once when they are told UNAVAILABLE; they do not hold the drain up."""
        service = self.start("grpc", drain_seconds=60.0)
        stub = health_pb2_grpc.HealthStub(self.channel(service))

        async def talk():
            await until(lambda: service.lifecycle.is_listening)
            service.transport._streams.is_draining = True
            watch = stub.Watch(health_pb2.HealthCheckRequest())
            error = await error_of(watch.read())
            self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, "server is draining"))

        return in_loop(asyncio.wait_for(talk(), 10))

    def test_a_cancelled_stream_is_forgotten(self) -> Deferred:
        """Its client went away; the server has nothing to drain."""
        service = self.start("grpc_stream")
        stub = self.stub(service)

        async def talk():
            call = stub.StreamMessages()
            await call.write(StreamMessage(payload=b"a"))
            await call.read()
            call.cancel()
            await until(lambda: not service.transport._streams._streams)

        return in_loop(talk())


class LogTests(ServiceTestCase):
    """What grpcio logs while a server runs."""

    grpc_server = "grpcio"

    def test_clients_that_go_away(self) -> Deferred:
        """They leave no lines; all else does."""
        lines = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        service = self.start("grpc")
        before = len(lines)
        for error in (type("ExecuteBatchError", (Exception,), {}), ValueError):
            try:
                raise error
            except Exception:
                logging.getLogger("grpc._cython.cygrpc").exception("a handler failed")
        said = [str(each["text"]) for each in lines[before:] if "text" in each]
        self.assertEqual(len(said), 1)
        self.assertIn("ValueError", said[0])
        return service.transport.when_listening()


class LeisureTests(ServiceTestCase):
    """A Deferred that a call awaits."""

    def test_cancelled_after_the_answer(self) -> Deferred:
        """The Deferred fired and the cancellation came in the same turn: the answer is accounted for."""
        lost = []

        async def talk():
            result = Deferred()
            task = asyncio.ensure_future(at_leisure(result, lost.append))
            await asyncio.sleep(0)
            result.callback(b"taken")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.assertEqual(lost, [b"taken"])

        return in_loop(talk())
