"""Responses made once: the same frames as by the general way."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.answers import Answer, Envelope
from quickpulse.wire.http2.frames import DATA, END_HEADERS, END_STREAM, HEADERS
from tests.wire.http2.talk import frames_of


class AnswerTests(SynchronousTestCase):
    """Answer and Envelope."""

    def test_an_answer(self) -> None:
        """With and without body and trailers; what comes last ends the stream."""
        last = END_HEADERS | END_STREAM
        for body, tail, frames in (
            (b"", b"", [(HEADERS, last, 7, b"head")]),
            (b"body", b"", [(HEADERS, END_HEADERS, 7, b"head"), (DATA, END_STREAM, 7, b"body")]),
            (b"", b"tail", [(HEADERS, END_HEADERS, 7, b"head"), (HEADERS, last, 7, b"tail")]),
            (
                b"body",
                b"tail",
                [(HEADERS, END_HEADERS, 7, b"head"), (DATA, 0, 7, b"body"), (HEADERS, last, 7, b"tail")],
            ),
        ):
            data = (7).to_bytes(4, "big").join(Answer(b"head", body, tail).parts)
            self.assertEqual(frames_of(data), frames)

    def test_an_envelope(self) -> None:
        """Bodies of any length, the head of long ones made each time."""
        envelope = Envelope(b"head", b"tail")
        for size in (1, 2, 1023, 1024, 1024, 16_384):
            body = b"b" * size
            parts = envelope.first, envelope.before_body[size], body + envelope.after_body, envelope.tail
            self.assertTrue(
                frames_of((9).to_bytes(4, "big").join(parts))
                == [
                    (HEADERS, END_HEADERS, 9, b"head"),
                    (DATA, 0, 9, body),
                    (HEADERS, END_HEADERS | END_STREAM, 9, b"tail"),
                ],
                size,
            )
        self.assertEqual(sorted(envelope.before_body), [1, 2, 1023])
