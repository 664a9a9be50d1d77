"""`python -m perf.load`: figures and status 0, or a line and status 1."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.perf.fakes import FakeQueue, FakeWebSocketServer
from tests.perf.running import run_perf


class MainTests(SynchronousTestCase):
    """As a process."""

    def test_good(self) -> None:
        """JSON with what was measured."""
        with FakeWebSocketServer(FakeQueue()) as server:
            done = run_perf("ws-publish:2x5:100", str(server.port), module="perf.load")
        self.assertEqual((done.status, done.errors), (0, ""))
        self.assertGreaterEqual(done.result["sent"], 100)
        self.assertGreater(done.result["load_seconds"], 0)
        self.assertIsNone(done.result["server_seconds"])

    def test_fault(self) -> None:
        """No figures."""
        with FakeWebSocketServer(FakeQueue({50: "refuse"})) as server:
            done = run_perf("ws-publish:2x5:100", str(server.port), module="perf.load")
        self.assertEqual((done.status, done.output), (1, ""))
        self.assertIn("load: wrong answer", done.errors)

    def test_nobody_listens(self) -> None:
        """Likewise."""
        self.assertEqual(run_perf("ws-publish:2x5:100", "1", module="perf.load").status, 1)

    def test_wrong_row(self) -> None:
        """Wrong usage."""
        done = run_perf("ws-publish:2", "1", module="perf.load")
        self.assertEqual(done.status, 2)
        self.assertIn("CONNECTIONSxIN_FLIGHT", done.errors)
