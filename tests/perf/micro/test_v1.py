"""The rows of v1's codec: each does what it says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.micro.layers import nanoseconds
from perf.micro.v1 import BATCHES, LAYERS, PAYLOAD_BYTES, codec_read, frame_read
from quickpulse.wire.v1.frames import BINARY, JSON


class LayersTests(SynchronousTestCase):
    """Every one."""

    def test_all_run(self) -> None:
        """With any size of batch."""
        for layer in LAYERS:
            for batch in BATCHES:
                nanoseconds(layer, batch, batch, 1)

    def test_what_is_read(self) -> None:
        """As many messages as are said."""
        for prepared in (codec_read(20, 3), frame_read(BINARY, 20, 3), frame_read(JSON, 20, 3)):
            run, inputs = prepared
            self.assertEqual(len(inputs), 3)
            got = run(inputs[0])
            request = got[1] if isinstance(got, tuple) else got
            self.assertEqual([len(each) for each in request.batch.payloads], [PAYLOAD_BYTES] * 20)
