"""v1 over gRPC where it is more than the stories: statuses, bounds, peers that vanish or do not read, and the drain.

Each behaviour over the native server and over grpcio's.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from twisted.internet.defer import Deferred

from quickpulse._generated.messagequeue_pb2 import ProduceRequest
from quickpulse.errors import Draining, QuickPulseError
from quickpulse.requests import (
    Batch,
    Delivery,
    GetQueue,
    ListQueues,
    Pause,
    Peek,
    Publish,
    Pull,
    Settle,
    Subscribe,
    SubscriptionEnded,
    Unsubscribe,
)
from quickpulse.wire.v1.frames import BINARY, write_request
from quickpulse.wire.v1.table import BY_KIND, CONNECT_PATH, ROWS, SERVICE
from tests.serving import ServiceTestCase, error_of, in_loop, until
from tests.transports.grpc_v1_peers import ConnectConversation, GrpcPeer

MESSAGE_BYTES = 256 * 1024

FAR_MS = 60_000

SECONDS = 30


class V1TestCase(ServiceTestCase):
    """A service in mode grpc, asked by RPCs and by Connect."""

    def talk(self, story: Any, **settings: Any) -> Deferred:
        """Play a coroutine function that gets a peer and its channel."""

        async def play() -> None:
            self.service = self.start("grpc", **settings)
            await until(lambda: self.service.lifecycle.is_listening)
            channel = self.channel(self.service)
            await story(GrpcPeer(channel), channel)

        return in_loop(asyncio.wait_for(play(), SECONDS))

    async def failed(self, channel: grpc.aio.Channel, request: Any, data: bytes | None = None, **options: Any) -> Any:
        """The error of an RPC: of a request, or of bytes in its place."""
        row = BY_KIND[type(request)]
        message = row.request.serialize(request) if data is None else data
        return await error_of(channel.unary_unary(row.grpc_path)(message, **options))


class StatusBehaviour:
    """How errors come."""

    def test_statuses(self) -> Deferred:
        """A gRPC code, the text, the stable word, and when a retry may help, where it may."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            error = await self.failed(channel, GetQueue("nowhere"))
            self.assertEqual(error.code(), grpc.StatusCode.NOT_FOUND)
            self.assertIn("nowhere", error.details())
            self.assertEqual(dict(error.trailing_metadata()), {"quickpulse-reason": "NOT_FOUND"})
            await peer.ask(Publish("q", Batch((b"a",))))
            await peer.ask(Pause("q", publishes=True))
            error = await self.failed(channel, Publish("q", Batch((b"a",))))
            self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
            fields = dict(error.trailing_metadata())
            self.assertEqual(fields["quickpulse-reason"], "PAUSED")
            self.assertGreater(int(fields["quickpulse-retry-after-ms"]), 0)

        return self.talk(story)

    def test_a_method_that_is_not_there(self) -> Deferred:
        """UNIMPLEMENTED; frames only are no RPC."""

        async def story(_: GrpcPeer, channel: grpc.aio.Channel) -> None:
            error = await error_of(channel.unary_unary(f"/{SERVICE}/Subscribe")(b""))
            self.assertEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED)

        return self.talk(story)

    def test_listed(self) -> Deferred:
        """Reflection names the service and has its file; its health is served."""

        async def story(_: GrpcPeer, channel: grpc.aio.Channel) -> None:
            request = reflection_pb2.ServerReflectionRequest
            call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
                iter([request(list_services=""), request(file_containing_symbol=SERVICE)])
            )
            listed, described = [answer async for answer in call]
            self.assertIn(SERVICE, [each.name for each in listed.list_services_response.service])
            self.assertTrue(described.file_descriptor_response.file_descriptor_proto)
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))
            self.assertEqual(health.status, health_pb2.HealthCheckResponse.SERVING)

        return self.talk(story)


class HostileBehaviour:
    """What no client of ours sends."""

    def test_garbage(self) -> Deferred:
        """INVALID_ARGUMENT from each RPC; the connection lives."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            for row in ROWS:
                if row.rpc:
                    error = await error_of(channel.unary_unary(row.grpc_path)(b"\xff\xff\xff"))
                    self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, row.rpc)
            await peer.ask(ListQueues())

        return self.talk(story)

    def test_a_frame_that_is_none(self) -> Deferred:
        """The call ends, after what came before was answered; what it waited for is waited for no more."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            conversation = ConnectConversation(channel)
            await conversation.send(1, Pull(("q",), wait_ms=FAR_MS))
            await conversation.send(2, Publish("other", Batch((b"a",))))
            await conversation.call.write(b"\xff\xff\xff")
            self.assertEqual((await conversation.receive())[0], 2)
            error = await error_of(conversation.call.read())
            self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
            self.assertEqual(dict(error.trailing_metadata()), {"quickpulse-reason": "MALFORMED_REQUEST"})
            await peer.ask(Publish("q", Batch((b"a",))))
            self.assertEqual((await peer.ask(GetQueue("q"))).leased, 0)

        return self.talk(story)

    def test_too_large(self) -> Deferred:
        """A request, or a frame, over the bound is refused, a little over or far; exactly the bound is not."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            bound = 100_000

            def publishing(size: int, **more: Any) -> Publish:
                return Publish("q", Batch((bytes(size),)), **more)

            empty = len(BY_KIND[Publish].request.serialize(publishing(90_000))) - 90_000
            await peer.ask(publishing(bound - empty))
            for size in (bound - empty + 1, bound + 10_000, 5 * bound):
                conversation = ConnectConversation(channel)
                await conversation.send(1, publishing(size))
                for error in (
                    await self.failed(channel, publishing(size)),
                    await error_of(conversation.call.read()),
                ):
                    self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, size)
                    self.assertEqual(dict(error.trailing_metadata())["quickpulse-reason"], "REQUEST_TOO_LARGE", size)
            self.assertEqual((await peer.ask(GetQueue("q"))).ready, 1)

        return self.talk(story, max_batch_bytes=100_000, max_message_bytes=50_000_000)

    def test_absurd_counts(self) -> Deferred:
        """Clear answers, at once."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch((b"a",))))
            held = await peer.ask(Pull(("q",), max_messages=(1 << 32) - 1, max_bytes=1 << 62, lease_ms=1 << 62))
            self.assertEqual(len(held.batch.payloads), 1)
            for request in (
                Pull(["q"] * 100_000),
                Settle("q", ((1, (1 << 64) - 1),)),
                Settle("q", ((1, 1),) * 100_001),
                Pull(("q",), lease_ms=(1 << 64) - 1),
            ):
                error = await self.failed(channel, request)
                self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
            waiting = asyncio.ensure_future(peer.ask(Pull(("w",), wait_ms=(1 << 64) - 1)))
            await until(lambda: self.service.broker.list_queues(ListQueues("w")).queues)
            await peer.ask(Publish("w", Batch((b"a",))))
            self.assertEqual(len((await waiting).batch.payloads), 1)

        return self.talk(story)


class VanishingBehaviour:
    """Peers that go while they wait, or do not read."""

    def test_a_deadline_that_passes(self) -> Deferred:
        """Nothing is leased or taken for it."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            for delivery in Delivery:
                error = await self.failed(channel, Pull(("q",), wait_ms=FAR_MS, delivery=delivery), timeout=0.1)
                self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            await until(lambda: not self.service.broker.get_queue(GetQueue("q")).waiters)
            await peer.ask(Publish("q", Batch((b"a",))))
            info = await peer.ask(GetQueue("q"))
            self.assertEqual((info.ready, info.leased), (1, 0))

        return self.talk(story)

    def test_connections_that_vanish(self) -> Deferred:
        """Many who wait, by RPCs and by Connect; nothing waits for them."""

        async def story(peer: GrpcPeer, _: grpc.aio.Channel) -> None:
            broker = self.service.broker
            other = self.channel(self.service)
            calls = [asyncio.ensure_future(GrpcPeer(other).ask(Pull(("q",), wait_ms=FAR_MS))) for _ in range(50)]
            conversation = ConnectConversation(other)
            for request_id in range(1, 51):
                await conversation.send(request_id, Pull(("q",), wait_ms=FAR_MS))
            await conversation.send(51, Subscribe("q", 100))
            await until(lambda: broker.list_queues(ListQueues("q")).queues and broker.get_queue(GetQueue("q")).waiters)
            await conversation.receive()
            await other.close()
            await asyncio.gather(*calls, return_exceptions=True)
            await until(lambda: not broker.get_queue(GetQueue("q")).waiters)
            await peer.ask(Publish("q", Batch((b"a",))))
            self.assertEqual((await peer.ask(GetQueue("q"))).ready, 1)

        return self.talk(story)

    def test_what_was_leased_for_calls_that_died(self) -> Deferred:
        """It runs out, is counted, and comes back; nothing of a call is kept."""

        async def story(peer: GrpcPeer, _: grpc.aio.Channel) -> None:
            broker, other = self.service.broker, self.channel(self.service)
            calls = [
                asyncio.ensure_future(GrpcPeer(other).ask(Pull(("q",), wait_ms=FAR_MS, lease_ms=100))) for _ in "abc"
            ]
            await until(
                lambda: broker.list_queues(ListQueues("q")).queues and broker.get_queue(GetQueue("q")).waiters == 3
            )
            await peer.ask(Publish("q", Batch((b"a", b"b", b"c"))))
            await until(lambda: not broker.get_queue(GetQueue("q")).waiters)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await other.close()
            await until(lambda: broker.get_queue(GetQueue("q")).ready == 3)
            self.assertEqual(broker.get_queue(GetQueue("q")).counts["expired"], 3)
            self.assertEqual((await peer.ask(Pull(("q",), 3))).delivery_counts, [2, 2, 2])

        return self.talk(story)

    def test_a_subscriber_that_does_not_read(self) -> Deferred:
        """Nothing more is pushed to it than a few frames; others are served; it gets the rest when it reads."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            total = 120
            for _ in range(total // 10):
                await peer.ask(Publish("q", Batch([bytes(MESSAGE_BYTES)] * 10)))
            conversation = ConnectConversation(self.channel(self.service))
            await conversation.send(1, Subscribe("q", 1_000_000))
            await conversation.receive()
            await until(lambda: self.service.broker.get_queue(GetQueue("q")).leased)
            before = -1
            while before != (now := (await peer.ask(GetQueue("q"))).leased):
                before = now
                await asyncio.sleep(0.1)
            self.assertLess(now * MESSAGE_BYTES, 16 * 1024 * 1024)
            self.assertEqual(len((await peer.ask(Pull(("q",)))).batch.payloads), 1)
            got = 0
            while got < total - 1:
                got += len((await conversation.receive())[1].batch.payloads)
            await conversation.close()

        return self.talk(story)

    def test_one_that_asks_and_does_not_read(self) -> Deferred:
        """No more is read from it than its answers have room for: its own writing comes to a halt."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch([bytes(MESSAGE_BYTES)] * 4)))
            conversation = ConnectConversation(self.channel(self.service))
            asked = 0

            async def ask() -> None:
                nonlocal asked
                # The last field is padding, so that the requests themselves fill the window.
                padding = b"\x82\x40\x80\x80\x04" + bytes(65_536)
                for request_id in range(1, 10_001):
                    await conversation.call.write(write_request(request_id, Peek("q", 4), BINARY) + padding)
                    asked += 1

            asking = asyncio.ensure_future(ask())
            before = -1
            while before != asked:
                before = asked
                await asyncio.sleep(0.3)
            self.assertLess(asked, 1_000)
            self.assertEqual((await peer.ask(GetQueue("q"))).ready, 4)
            await conversation.close()
            await asyncio.gather(asking, return_exceptions=True)

        return self.talk(story)


class EndBehaviour:
    """Calls of Connect that end in order."""

    def test_half_closed(self) -> Deferred:
        """What is open is answered, nothing is pushed, then OK."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            conversation = ConnectConversation(channel)
            await conversation.send(1, Pull(("q",), wait_ms=FAR_MS))
            await conversation.send(2, Subscribe("other", 10))
            self.assertEqual((await conversation.receive())[0], 2)
            await conversation.call.done_writing()
            self.assertEqual(await conversation.receive(), (2, SubscriptionEnded()))
            await peer.ask(Publish("q", Batch((b"a",))))
            self.assertEqual((await conversation.receive())[0], 1)
            self.assertIs(await conversation.call.read(), grpc.aio.EOF)
            self.assertEqual(await conversation.call.code(), grpc.StatusCode.OK)

        return self.talk(story)

    def test_nothing_asked(self) -> Deferred:
        """OK, with no frame."""

        async def story(_: GrpcPeer, channel: grpc.aio.Channel) -> None:
            call = channel.stream_stream(CONNECT_PATH)()
            await call.done_writing()
            self.assertIs(await call.read(), grpc.aio.EOF)
            self.assertEqual(await call.code(), grpc.StatusCode.OK)

        return self.talk(story)

    def test_what_it_held_goes_back(self) -> None:
        """At the end of the call, where the subscription asked for that."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch((b"a",))))
            conversation = ConnectConversation(channel)
            await conversation.send(1, Subscribe("q", 10, release_on_disconnect=True))
            await conversation.receive()
            await conversation.receive()
            await conversation.send(2, Unsubscribe(1))
            await conversation.receive()
            await conversation.call.done_writing()
            self.assertIs(await conversation.call.read(), grpc.aio.EOF)
            self.assertEqual((await peer.ask(GetQueue("q"))).ready, 1)

        return self.talk(story)

    def test_what_went_back_is_not_waited_for(self) -> Deferred:
        """A connection that has got messages holds none of them when they have gone back; a drain ends at once."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch((b"a", b"b"))))
            conversation = ConnectConversation(channel)
            await conversation.send(1, Subscribe("q", 10, release_on_disconnect=True))
            await conversation.receive()
            first = (await conversation.receive())[1].first_receipt
            await conversation.send(2, Settle("q", ((first, first),)))
            await conversation.receive()
            await conversation.call.done_writing()
            while await conversation.call.read() is not grpc.aio.EOF:
                pass
            self.assertEqual((await peer.ask(GetQueue("q"))).ready, 1)
            await self.service.lifecycle.drain().asFuture(asyncio.get_running_loop())

        return self.talk(story, drain_seconds=600.0)

    def test_drain(self) -> Deferred:
        """Who waits is answered with nothing, subscriptions end with the reason, calls with UNAVAILABLE."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            waiting = asyncio.ensure_future(peer.ask(Pull(("q",), wait_ms=FAR_MS)))
            await until(lambda: self.service.broker.list_queues(ListQueues("q")).queues)
            conversation = ConnectConversation(channel)
            await conversation.send(1, Pull(("q",), wait_ms=FAR_MS))
            await conversation.send(2, Subscribe("q", 10))
            await conversation.receive()
            drained = self.service.lifecycle.drain()
            self.assertEqual(list((await waiting).batch.payloads), [])
            ends = dict([await conversation.receive(), await conversation.receive()])
            self.assertEqual((list(ends[1].batch.payloads), ends[2].error.code), ([], "DRAINING"))
            error = await error_of(conversation.call.read())
            self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, "server is draining"))
            with self.assertRaises(QuickPulseError) as caught:
                await peer.ask(Publish("q", Batch((b"a",))))
            self.assertIsInstance(caught.exception, QuickPulseError)
            await drained.asFuture(asyncio.get_running_loop())

        return self.talk(story, drain_seconds=10.0)

    def test_settling_during_the_drain(self) -> Deferred:
        """A call of Connect lives until what it holds is settled; then it ends, and the server with it."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch((b"a", b"b"))))
            conversation = ConnectConversation(channel)
            await conversation.send(1, Subscribe("q", 10))
            await conversation.receive()
            first = (await conversation.receive())[1].first_receipt
            drained = self.service.lifecycle.drain()
            self.assertEqual((await conversation.receive())[1].error.code, "DRAINING")
            for at, receipt in enumerate((first, first + 1), 2):
                await conversation.send(at, Settle("q", ((receipt, receipt),)))
                self.assertEqual((await conversation.receive())[1].settled, 1)
            self.assertEqual((await error_of(conversation.call.read())).code(), grpc.StatusCode.UNAVAILABLE)
            await drained.asFuture(asyncio.get_running_loop())

        return self.talk(story, drain_seconds=20.0)

    def test_what_is_never_settled(self) -> Deferred:
        """The call ends in time for the deadline all the same; the message is still leased."""

        async def story(peer: GrpcPeer, channel: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch((b"a",))))
            conversation = ConnectConversation(channel)
            await conversation.send(1, Pull(("q",)))
            await conversation.receive()
            drained = self.service.lifecycle.drain()
            self.assertEqual((await error_of(conversation.call.read())).code(), grpc.StatusCode.UNAVAILABLE)
            await drained.asFuture(asyncio.get_running_loop())
            self.assertEqual(self.service.broker.get_queue(GetQueue("q")).leased, 1)

        return self.talk(story, drain_seconds=4.0)

    def test_settling_by_calls_during_the_drain(self) -> Deferred:
        """Unary calls, too: GOAWAY, after which a client begins none, comes when all is settled."""

        async def story(peer: GrpcPeer, _: grpc.aio.Channel) -> None:
            await peer.ask(Publish("q", Batch((b"a", b"b"))))
            held = await peer.ask(Pull(("q",), 2))
            drained = self.service.lifecycle.drain()
            for receipt in (held.first_receipt, held.first_receipt + 1):
                with self.assertRaises(Draining):
                    await peer.ask(Publish("q", Batch((b"c",))))
                self.assertEqual((await peer.ask(Settle("q", ((receipt, receipt),)))).settled, 1)
            await drained.asFuture(asyncio.get_running_loop())

        return self.talk(story, drain_seconds=20.0)


class Behaviour(StatusBehaviour, HostileBehaviour, VanishingBehaviour, EndBehaviour):
    """All of it."""


class NativeTests(Behaviour, V1TestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioTests(Behaviour, V1TestCase):
    """grpcio's server."""

    grpc_server = "grpcio"

    def test_v0s_bound_is_its_own(self) -> Deferred:
        """A v0 request over its limit is refused, though v1's are longer; so is one that only has too much in it."""

        async def story(_: GrpcPeer, channel: grpc.aio.Channel) -> None:
            for path, body in (
                ("Produce", ProduceRequest(payload=bytes(3_000)).SerializeToString()),
                ("Produce", b"\x12\xf0\x2e" + bytes(6_000)),
                ("Consume", b"\x12\xf0\x2e" + bytes(6_000)),
            ):
                error = await error_of(channel.unary_unary(f"/messagequeue.MessageQueue/{path}")(body))
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, path)
            self.assertEqual(self.service.queue.depth, 0)

        return self.talk(story, max_message_bytes=2_000)
