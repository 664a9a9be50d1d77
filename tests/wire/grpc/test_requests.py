"""What a request's fields mean to gRPC."""

from __future__ import annotations

from hpack import Decoder
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.grpc.requests import TIMEOUT, Call, read_call
from quickpulse.wire.http2.fields import list_size

METHODS = {b"/a/b": "the method"}

FIELDS = {
    b":method": b"POST",
    b":scheme": b"http",
    b":path": b"/a/b",
    b":authority": b"here",
    b"content-type": b"application/grpc",
    b"te": b"trailers",
}


class CallTests(SynchronousTestCase):
    """read_call."""

    def read(self, *more: tuple[bytes, bytes], most: int = 16_384, **changed: bytes) -> Call:
        """The call of these fields."""
        fields = {**FIELDS, **{name.replace("_", "-").encode(): value for name, value in changed.items()}}
        if "path" in changed:
            fields[b":path"] = fields.pop(b"path")
        if "method" in changed:
            fields[b":method"] = fields.pop(b"method")
        return read_call([*fields.items(), *more], METHODS, most)

    def refused(self, call: Call) -> tuple[str, list[tuple[bytes, bytes]]]:
        """Why, and what the answer says."""
        assert call.refusal is not None
        self.assertIsNone(call.method)
        answer, reason = call.refusal
        return reason, Decoder().decode(answer.head, raw=True)

    def test_a_call(self) -> None:
        """Its method, and the caller's own metadata."""
        call = self.read((b"x-a", b"1"), (TIMEOUT, b"1S"), (b"grpc-accept-encoding", b"gzip"), (b"x-a", b"2"))
        self.assertEqual((call.method, call.is_compressed, call.refusal), ("the method", False, None))
        self.assertEqual(call.metadata, ((b"x-a", b"1"), (b"x-a", b"2")))

    def test_content_types(self) -> None:
        """With protobuf, with parameters too; anything else is answered with 415."""
        for kind in (b"application/grpc", b"application/grpc+proto", b"application/grpc;charset=utf-8"):
            self.assertEqual(self.read(content_type=kind).method, "the method")
        for kind in (b"", b"application/grpc-web", b"application/grpcx", b"text/html", b"application/grpc+json"):
            reason, fields = self.refused(self.read(content_type=kind))
            self.assertEqual((reason, fields[0]), ("bad_request", (b":status", b"415")))
        self.assertEqual(self.refused(self.read(method=b"GET"))[1][0], (b":status", b"415"))

    def test_an_unknown_method(self) -> None:
        """UNIMPLEMENTED, in the words of grpcio."""
        reason, fields = self.refused(self.read(path=b"/a/c"))
        self.assertEqual(reason, "not_found")
        self.assertEqual(fields[-2:], [(b"grpc-status", b"12"), (b"grpc-message", b"Method not found!")])

    def test_encodings(self) -> None:
        """Those of messages: identity, deflate and gzip."""
        self.assertTrue(self.read(grpc_encoding=b"gzip").is_compressed)
        self.assertTrue(self.read(grpc_encoding=b"deflate").is_compressed)
        self.assertFalse(self.read(grpc_encoding=b"identity").is_compressed)
        reason, fields = self.refused(self.read(grpc_encoding=b"br\xff"))
        self.assertEqual((reason, fields[-2]), ("bad_request", (b"grpc-status", b"12")))
        self.assertIn(b"identity, deflate and gzip", fields[-1][1])

    def test_the_limit(self) -> None:
        """RESOURCE_EXHAUSTED for a list over it, with both sizes; one of just that size is fine."""
        size = list_size([*FIELDS.items(), (b"x-a", b"1")])
        self.assertEqual(self.read((b"x-a", b"1"), most=size).method, "the method")
        reason, fields = self.refused(self.read((b"x-a", b"1"), most=size - 1))
        self.assertEqual((reason, fields[-2]), ("header_too_large", (b"grpc-status", b"8")))
        self.assertIn(b"%d bytes is over the limit of %d" % (size, size - 1), fields[-1][1])
