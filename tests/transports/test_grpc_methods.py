"""The table of methods: paths, and what a batch's answers carry."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.transports.grpc_methods import Unimplemented, handed_out, paths
from quickpulse.wire.grpc.status import RpcError, Status, only_trailers


class TableTests(SynchronousTestCase):
    """Services."""

    def test_paths(self) -> None:
        """/service/method, as bytes."""
        method = Unimplemented(RpcError(Status.UNIMPLEMENTED, "no"))
        self.assertEqual(paths("a.B", {"C": method}), {b"/a.B/C": method})

    def test_handed_out(self) -> None:
        """Messages count, ready answers do not."""
        answer = only_trailers(RpcError(Status.INTERNAL, "no"))
        self.assertEqual(handed_out([[b"a", b"b"], (answer, 7), [], [b"c"]]), 3)
        self.assertEqual(handed_out([]), 0)
