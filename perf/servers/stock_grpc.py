"""The gRPC service on grpc.aio over uvloop: `python -m perf.servers.stock_grpc PORT [PREFILL PAYLOAD_BYTES]`.

A deque, no bounds and no metrics: what a user of the library writes first.
"""

from __future__ import annotations

import sys
from collections import deque

import uvloop
from grpc import aio

from perf.load.numbered import numbered
from quickpulse._generated import messagequeue_pb2 as pb
from quickpulse._generated import messagequeue_pb2_grpc as rpc

queue: deque[bytes] = deque()

OPTIONS = (("grpc.max_concurrent_streams", 1_000_000), ("grpc.max_receive_message_length", -1))


class Service(rpc.MessageQueueServicer):
    """All three calls."""

    async def Produce(self, request: pb.ProduceRequest, context: aio.ServicerContext) -> pb.ProduceResponse:
        """Puts in."""
        queue.append(request.payload)
        return pb.ProduceResponse(success=True)

    async def Consume(self, request: pb.ConsumeRequest, context: aio.ServicerContext) -> pb.ConsumeResponse:
        """Takes out."""
        return pb.ConsumeResponse(payload=queue.popleft()) if queue else pb.ConsumeResponse(error="queue is empty")

    async def StreamMessages(self, request_iterator: object, context: aio.ServicerContext) -> None:
        """Both, for each message."""
        while (message := await context.read()) is not aio.EOF:
            queue.append(message.payload)
            await context.write(pb.StreamMessage(payload=queue.popleft()))


async def serve(port: int, prefill: int, payload_bytes: int) -> None:
    """For ever."""
    queue.extend(numbered(0, prefill, payload_bytes))
    server = aio.server(options=OPTIONS)
    rpc.add_MessageQueueServicer_to_server(Service(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*map(int, (*sys.argv[1:], 0, 1)[:3])))
