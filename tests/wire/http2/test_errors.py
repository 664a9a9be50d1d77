"""The codes are the RFC's, as h2 has them too."""

from __future__ import annotations

from h2.errors import ErrorCodes
from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode, StreamFault


class ErrorTests(SynchronousTestCase):
    """ErrorCode and the faults."""

    def test_codes(self) -> None:
        """Name by name."""
        self.assertEqual({code.name: code.value for code in ErrorCode}, {code.name: code.value for code in ErrorCodes})

    def test_faults(self) -> None:
        """They say what the frame will say, and why."""
        fault = ConnectionFault(ErrorCode.PROTOCOL_ERROR, "why")
        self.assertEqual((fault.code, fault.reason, str(fault)), (1, "why", "why"))
        of_stream = StreamFault(3, ErrorCode.CANCEL, "why")
        self.assertEqual((of_stream.stream_id, of_stream.code, of_stream.reason, str(of_stream)), (3, 8, "why", "why"))
