"""What both gRPC servers share: requests' bytes to payloads, and the ready answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.messagequeue_pb2 import ConsumeResponse, ProduceRequest, ProduceResponse, StreamMessage
from quickpulse.transports import grpc_contract as contract

GARBAGE = b"\x0a\xff\xff"


class ReadTests(SynchronousTestCase):
    """Payloads, by the short way or protobuf's."""

    def test_payloads(self) -> None:
        """Of any length, also none."""
        for payload in (b"", b"a", bytes(127), bytes(128), bytes(70_000)):
            self.assertEqual(contract.read_produce(ProduceRequest(payload=payload).SerializeToString()), payload)
            self.assertEqual(contract.read_stream_message(StreamMessage(payload=payload).SerializeToString()), payload)

    def test_other_forms(self) -> None:
        """Fields that are unknown, or given twice, are protobuf's to judge."""
        unknown = ProduceRequest(payload=b"a").SerializeToString() + b"\x7a\x01x"
        self.assertEqual(contract.read_produce(unknown), b"a")
        twice = b"".join(ProduceRequest(payload=payload).SerializeToString() for payload in (b"a", b"b"))
        self.assertEqual(contract.read_produce(twice), b"b")
        self.assertEqual(contract.read_stream_message(StreamMessage(error="x").SerializeToString()), b"")

    def test_garbage(self) -> None:
        """None."""
        for read in (contract.read_produce, contract.read_stream_message, contract.read_consume):
            self.assertIsNone(read(GARBAGE))

    def test_consume(self) -> None:
        """Has no fields; unknown ones are ignored."""
        self.assertEqual(contract.read_consume(b""), b"")
        self.assertEqual(contract.read_consume(b"\x7a\x01x"), b"")


class AnswerTests(SynchronousTestCase):
    """Bytes that are the same each time."""

    def test_texts(self) -> None:
        """Exact."""
        self.assertEqual(ProduceResponse.FromString(contract.PRODUCED), ProduceResponse(success=True))
        self.assertEqual(ProduceResponse.FromString(contract.PRODUCE_FULL), ProduceResponse(error="queue is full"))
        self.assertEqual(ConsumeResponse.FromString(contract.CONSUME_EMPTY), ConsumeResponse(error="queue is empty"))
        self.assertEqual(StreamMessage.FromString(contract.STREAM_FULL), StreamMessage(error="queue is full"))
        self.assertEqual(StreamMessage.FromString(contract.STREAM_EMPTY), StreamMessage(error="queue is empty"))
