"""v1 of a real process, by the stub that protoc makes from the contract: grpcio's synchronous client."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse._generated.quickpulse.v1.queues_pb2_grpc import QueuesStub
from tests.interop.server import RealServerTestCase

COMPRESSIONS = (grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate)

FAR_MS = 60_000

DRAIN_SECONDS = 6.0
"""Less than --drain-seconds: nobody holds it up."""


def batch_of(*payloads: bytes) -> pb.Batch:
    """Messages."""
    return pb.Batch(payloads=payloads)


class V1Behaviour:
    """Both servers, both modes."""

    def talk(self, mode: str, story: Callable[[QueuesStub], None]) -> Any:
        """Tell a story to a stub in a thread; then the server ends in order."""
        server = self.serve(mode)

        def tell() -> None:
            with grpc.insecure_channel(server.target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                story(QueuesStub(channel))

        async def play() -> None:
            await asyncio.to_thread(tell)
            server.signal()
            await self.assert_drained(server, DRAIN_SECONDS)

        return self.story(play())

    def test_requests(self) -> Any:
        """Published, pulled and acked in each compression; errors come with their word."""

        def story(stub: QueuesStub) -> None:
            for compression in COMPRESSIONS:
                payloads = [b"x" * size for size in (0, 1, 100_000)]
                reply = stub.Publish(
                    pb.PublishRequest(queue="jobs", batch=batch_of(*payloads)), compression=compression
                )
                self.assertEqual(reply.sequences[0].last - reply.sequences[0].first, 2)
                held = stub.Pull(pb.PullRequest(queues=["jobs"], max_messages=10), compression=compression)
                self.assertEqual(list(held.batch.payloads), payloads)
                receipts = [pb.ReceiptRange(first=held.first_receipt, last=held.first_receipt + 2)]
                settled = stub.Settle(pb.SettleRequest(queue="jobs", receipts=receipts, action=pb.ACK))
                self.assertEqual(settled.settled, 3)
            with self.assertRaises(grpc.RpcError) as caught:
                stub.GetQueue(pb.GetQueueRequest(queue="nowhere"))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
            self.assertEqual(dict(caught.exception.trailing_metadata())["quickpulse-reason"], "NOT_FOUND")
            self.assertIn("leases", stub.GetServerInfo(pb.GetServerInfoRequest()).capabilities)

        return self.talk("grpc", story)

    def test_connect(self) -> Any:
        """A subscription and its acks on one call; half-closed, it ends with OK."""

        def story(stub: QueuesStub) -> None:
            asked: queue.SimpleQueue[pb.ClientFrame | None] = queue.SimpleQueue()
            replies = stub.Connect(iter(asked.get, None))
            asked.put(pb.ClientFrame(request_id=1, subscribe=pb.SubscribeRequest(queue="jobs", credit_messages=100)))
            self.assertEqual(next(replies).WhichOneof("reply"), "subscribe")
            stub.Publish(pb.PublishRequest(queue="jobs", batch=batch_of(b"a", b"b", b"c")))
            got = next(replies).deliveries
            self.assertEqual(list(got.batch.payloads), [b"a", b"b", b"c"])
            receipts = [pb.ReceiptRange(first=got.first_receipt, last=got.first_receipt + 2)]
            asked.put(pb.ClientFrame(request_id=2, settle=pb.SettleRequest(queue="jobs", receipts=receipts, action=1)))
            self.assertEqual(next(replies).settle.settled, 3)
            asked.put(None)
            self.assertEqual([frame.WhichOneof("reply") for frame in replies], ["subscription_ended"])
            self.assertEqual(replies.code(), grpc.StatusCode.OK)

        return self.talk("grpc_stream", story)

    def test_many_at_once(self) -> Any:
        """Long polls of one connection, each answered with one message."""

        def story(stub: QueuesStub) -> None:
            pulls = [stub.Pull.future(pb.PullRequest(queues=["jobs"], wait_ms=FAR_MS)) for _ in range(90)]
            stub.Publish(pb.PublishRequest(queue="jobs", batch=batch_of(*[b"%d" % n for n in range(90)])))
            got = {payload for pull in pulls for payload in pull.result(timeout=30).batch.payloads}
            self.assertEqual(len(got), 90)

        return self.talk("grpc", story)

    def test_the_end_while_others_wait(self) -> Any:
        """SIGTERM: pulls are answered with nothing, subscriptions end with the reason, and the process in time."""
        server = self.serve("grpc")

        def subscribed(done: Any) -> Iterator[pb.ClientFrame]:
            yield pb.ClientFrame(request_id=1, subscribe=pb.SubscribeRequest(queue="jobs", credit_messages=100))
            done.get()

        def tell() -> None:
            done: queue.SimpleQueue[None] = queue.SimpleQueue()
            with grpc.insecure_channel(server.target) as channel:
                stub = QueuesStub(channel)
                replies = stub.Connect(subscribed(done))
                next(replies)
                pull = stub.Pull.future(pb.PullRequest(queues=["jobs"], wait_ms=FAR_MS))
                while stub.GetQueue(pb.GetQueueRequest(queue="jobs")).waiters < 2:
                    time.sleep(0.01)
                server.signal()
                self.assertEqual(len(pull.result(timeout=30).batch.payloads), 0)
                self.assertEqual(next(replies).subscription_ended.error.reason, "DRAINING")
                with self.assertRaises(grpc.RpcError) as caught:
                    next(replies)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
                done.put(None)

        async def play() -> None:
            await asyncio.to_thread(tell)
            await self.assert_drained(server, DRAIN_SECONDS)

        return self.story(play())


class NativeTests(V1Behaviour, RealServerTestCase):
    """The native server."""

    grpc_server = "native"


class GrpcioTests(V1Behaviour, RealServerTestCase):
    """grpcio's server."""

    grpc_server = "grpcio"
