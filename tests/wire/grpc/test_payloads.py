"""The short way through protobuf, with protobuf as the oracle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.messagequeue_pb2 import StreamMessage
from quickpulse.wire.grpc.framing import framed
from quickpulse.wire.grpc.payloads import framed_payloads, read_payload, short_payloads, write_payload


def short(data: bytes) -> bytes | None:
    """What is read without protobuf, or None."""
    return read_payload(data, lambda _: None)


SIZES = (0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152)


class PayloadTests(SynchronousTestCase):
    """read_payload and write_payload."""

    def test_written_as_protobuf_writes(self) -> None:
        """Byte for byte, at every length of the length."""
        for size in SIZES:
            payload = b"x" * size
            self.assertEqual(write_payload(payload), StreamMessage(payload=payload).SerializeToString())

    def test_read_back(self) -> None:
        """What was written comes back, without protobuf's help."""
        for size in SIZES:
            payload = b"x" * size
            self.assertEqual(short(write_payload(payload)), payload)

    def test_cut_anywhere(self) -> None:
        """A message that ends too early is left to protobuf, which refuses it."""
        data = write_payload(b"x" * 300)
        for cut in range(1, len(data)):
            self.assertIsNone(short(data[:cut]), cut)

    def test_other_forms_are_left_to_protobuf(self) -> None:
        """Another field, the field twice, an endless length."""
        twice = write_payload(b"a") + write_payload(b"b")
        for data in (StreamMessage(error="e").SerializeToString(), twice, b"\x0a", b"\x0a" + b"\xff" * 10, b"\x08\x01"):
            self.assertIsNone(short(data))

    @given(st.binary(max_size=40))
    def test_never_otherwise_than_protobuf(self, data: bytes) -> None:
        """Whatever the bytes, what is read is what protobuf reads."""
        payload = short(data)
        if payload is not None:
            parsed = StreamMessage.FromString(data)
            self.assertEqual((payload, ""), (parsed.payload, parsed.error))

    def test_short_bodies(self) -> None:
        """Those of one short message are read at once; every other form is None, in its place."""
        bodies = [framed(write_payload(b"x" * size)) for size in (1, 127)]
        others = [framed(write_payload(b"x" * size)) for size in (0, 128, 129)]
        others += [b"", b"\x01" + bodies[0][1:], bodies[0] + b"\0", bodies[0][:-1], framed(b"\x12\x01x")]
        self.assertEqual(short_payloads(bodies), [b"x", b"x" * 127])
        for other in others:
            self.assertEqual(short_payloads([bodies[0], other, bodies[1]]), [b"x", None, b"x" * 127])

    def test_framed(self) -> None:
        """As the general way frames them, short ones and others."""
        for sizes in ((1, 2, 127), (1, 0), (128, 5, 70_000), ()):
            payloads = [b"y" * size for size in sizes]
            self.assertEqual(framed_payloads(payloads), [framed(write_payload(payload)) for payload in payloads])
