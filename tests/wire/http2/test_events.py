"""What is more than a record among the events."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.events import Requests


class RequestsTests(SynchronousTestCase):
    """Requests."""

    def test_keep(self) -> None:
        """All columns stay in step, with volatiles and without."""
        for volatiles in (None, [b"a", b"b", b"c"]):
            run = Requests("meaning", volatiles)
            run.stream_ids, run.bodies = [1, 3, 5], [b"x", b"y", b"z"]
            run.keep([0, 2])
            self.assertEqual((run.stream_ids, run.bodies), ([1, 5], [b"x", b"z"]))
            self.assertEqual(run.volatiles, volatiles and [b"a", b"c"])
            run.keep([])
            self.assertEqual((run.stream_ids, run.bodies, run.volatiles), ([], [], volatiles and []))
