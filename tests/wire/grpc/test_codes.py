"""gRPC's codes, and what they spare who knows only them."""

from __future__ import annotations

import subprocess
import sys

import grpc
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.grpc import status
from quickpulse.wire.grpc.codes import Status


class CodesTests(SynchronousTestCase):
    """Status."""

    def test_the_codes_are_grpcs(self) -> None:
        """Names and numbers of the library's, all of them."""
        self.assertEqual({code.name: code.value[0] for code in grpc.StatusCode}, {each.name: each for each in Status})
        self.assertIs(status.Status, Status)

    def test_v1_without_http2(self) -> None:
        """Frames, errors and JSON of v1 load without HPACK, which only gRPC needs."""
        told = "import sys, quickpulse.wire.v1.frames, quickpulse.wire.v1.http_form; print('hpack' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
        self.assertEqual(done.stdout.strip(), "False")
