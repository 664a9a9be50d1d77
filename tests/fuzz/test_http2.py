"""A short run of random HTTP/2 frames; the long ones are run by hand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.http2 import fuzz

FRAMES = 60_000
"""About a second."""


class FuzzTests(SynchronousTestCase):
    """The server's and the client's role."""

    def test_random_frames(self) -> None:
        """Nothing escapes, whatever comes; connections die and live."""
        self.assertEqual(set(fuzz(FRAMES, 1)), {"failed", "lived"})
