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
        """Bodies of any length, alike and mixed, for one stream and for many."""
        envelope = Envelope(b"head", b"tail")
        for sizes in ((1,), (2,) * 40, (1023,), (1024, 1024), (16_384,), (1, 2, 1023, 1024, 1, 16_384)):
            bodies = [bytes((at + 1,)) * size for at, size in enumerate(sizes)]
            stream_ids = [2 * at + 70_001 for at in range(len(sizes))]
            expected = [
                (kind, flags, stream_id, payload)
                for stream_id, body in zip(stream_ids, bodies, strict=True)
                for kind, flags, payload in (
                    (HEADERS, END_HEADERS, b"head"),
                    (DATA, 0, body),
                    (HEADERS, END_HEADERS | END_STREAM, b"tail"),
                )
            ]
            for _ in range(2):
                self.assertEqual(frames_of(b"".join(envelope.around(stream_ids, bodies, set(sizes)))), expected)

    def test_what_is_kept_of_bodies(self) -> None:
        """The heads of short ones; of others there may be many."""
        envelope = Envelope(b"head", b"tail")
        for size in (1, 1023, 1024, 16_384):
            envelope.around([1], [b"b" * size], {size})
        self.assertEqual(sorted(envelope._before_body), [1, 1023])
