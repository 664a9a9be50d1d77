"""A short run of random WebSocket frames; the long ones are run by hand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.websocket import fuzz

FRAMES = 80_000
"""One or two seconds."""


class FuzzTests(SynchronousTestCase):
    """--ws-frames fast, and plain beside it."""

    def test_random_frames(self) -> None:
        """Both answer the same, whatever comes; connections are closed, fail for each kind of fault, and live."""
        ends = fuzz(FRAMES, 1)
        self.assertLessEqual({"bad_request", "message_too_large", "flood", "closed", "lived"}, set(ends))
