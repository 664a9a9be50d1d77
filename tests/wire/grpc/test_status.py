"""How a call ends, as fields."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import grpc
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.grpc.status import (
    MAX_MESSAGE_CHARS,
    OK_TRAILERS,
    RESPONSE_HEAD,
    RpcError,
    Status,
    not_grpc,
    only_trailers,
    percent_encoded,
    trailers,
)
from quickpulse.wire.http2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, LEAST_MAX_FRAME_SIZE
from tests.wire.http2.talk import frames_of


def fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """By the library, with an empty table."""
    return Decoder().decode(block, raw=True)


class StatusTests(SynchronousTestCase):
    """Codes, blocks and answers."""

    def test_codes(self) -> None:
        """They are grpcio's."""
        self.assertEqual(
            {code.name: code.value for code in Status}, {code.name: code.value[0] for code in grpc.StatusCode}
        )

    def test_blocks(self) -> None:
        """The head of every answer, and its end."""
        self.assertEqual(
            fields(RESPONSE_HEAD),
            [
                (b":status", b"200"),
                (b"content-type", b"application/grpc"),
                (b"grpc-accept-encoding", b"identity,deflate,gzip"),
            ],
        )
        self.assertEqual(fields(OK_TRAILERS), [(b"grpc-status", b"0")])
        error = RpcError(Status.DATA_LOSS, "gone: 100 %")
        self.assertEqual(fields(trailers(error)), [(b"grpc-status", b"15"), (b"grpc-message", b"gone: 100 %25")])

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Printable ASCII on the wire, and the same text behind it; what has no UTF-8 becomes a question mark."""
        coded = percent_encoded(text)
        self.assertTrue(all(0x20 <= byte <= 0x7E for byte in coded))
        self.assertEqual(unquote_to_bytes(coded), text.encode(errors="replace"))

    def test_long_text(self) -> None:
        """It is cut off so that the block fits a frame of any peer's."""
        block = trailers(RpcError(Status.INTERNAL, "\U0001f600" * 10 * MAX_MESSAGE_CHARS))
        self.assertLess(len(block), LEAST_MAX_FRAME_SIZE)
        self.assertEqual(unquote_to_bytes(fields(block)[1][1]), "\U0001f600".encode() * MAX_MESSAGE_CHARS)

    def test_answers(self) -> None:
        """Trailers-Only, and the one for what is not gRPC."""
        (frame,) = frames_of((3).to_bytes(4, "big").join(only_trailers(RpcError(Status.ABORTED, "no")).parts))
        self.assertEqual(frame[:3], (HEADERS, END_HEADERS | END_STREAM, 3))
        self.assertEqual(fields(frame[3])[-2:], [(b"grpc-status", b"10"), (b"grpc-message", b"no")])
        head, body = frames_of((5).to_bytes(4, "big").join(not_grpc(415, "no gRPC").parts))
        self.assertEqual(
            fields(head[3]),
            [(b":status", b"415"), (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"8")],
        )
        self.assertEqual(body, (DATA, END_STREAM, 5, b"no gRPC\n"))
