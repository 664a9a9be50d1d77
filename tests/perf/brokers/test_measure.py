"""Real servers and real workers: every function of every side, for a moment each."""

from __future__ import annotations

from importlib.util import find_spec

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from perf.brokers.measure import Load, drive, measure
from perf.brokers.rows import BEANSTALKD, MEMORY, NATS, QUICKPULSE, RATE, REDIS, ROWS, Row, Side
from perf.brokers.servers import make_server, missing
from perf.brokers.work import BATCH
from perf.compare.measure import WrongRunError
from perf.compare.process import running

LOAD = Load(seconds=0.02, messages=2 * BATCH)

BLOCKING_MODULE = "quickpulse_blocking"


def sides_of(server: str) -> list[tuple[Row, Side]]:
    """Of all rows."""
    return [(row, side) for row in ROWS.values() for side in row.sides if side.server == server]


class SidesTests(SynchronousTestCase):
    """What every side does, for real; the workers check what comes out."""

    def check(self, row: Row, side: Side, pid: int, port: int) -> None:
        """One measurement."""
        run = drive(side, pid, port, LOAD)
        self.assertEqual(len(run.worker_seconds), len(side.works))
        if row.kind == RATE:
            self.assertGreater(run.messages, BATCH)
        elif row.kind == MEMORY:
            self.assertGreater(len(run.resident), 1)
        else:
            self.assertGreater(len(run.samples), 0)

    def ours(self, is_blocking: bool) -> None:
        """All of a client's on one server: each leaves the queue empty, but for the one that fills it."""
        server = make_server(QUICKPULSE)
        with running(server, None) as pid:
            for row, side in sides_of(QUICKPULSE):
                if (side.module == BLOCKING_MODULE) is is_blocking:
                    self.check(row, side, pid, server.port)

    def others(self, name: str) -> None:
        """Each on a server of its own."""
        why = missing(name, lambda module: find_spec(module) is not None)
        if why is not None:
            raise SkipTest(why)
        for row, side in sides_of(name):
            server = make_server(name)
            with running(server, None) as pid:
                self.check(row, side, pid, server.port)

    def test_quickpulse_aio(self) -> None:
        """The client for asyncio."""
        self.ours(is_blocking=False)

    def test_quickpulse_blocking(self) -> None:
        """The blocking client."""
        self.ours(is_blocking=True)

    def test_redis(self) -> None:
        """Streams and lists."""
        self.others(REDIS)

    def test_nats(self) -> None:
        """Core and JetStream."""
        self.others(NATS)

    def test_beanstalkd(self) -> None:
        """One by one."""
        self.others(BEANSTALKD)


class MeasureTests(SynchronousTestCase):
    """A measurement that is worth nothing."""

    def test_worker_that_fails(self) -> None:
        """It is said which, and with what last words; the other one is ended too."""
        side = Side("QuickPulse", QUICKPULSE, "quickpulse_aio", ("consume_nothing", "consume_batches"))
        error = self.assertRaises(WrongRunError, measure, side, LOAD)
        self.assertIn("QuickPulse: consume_nothing: ended with status 1", str(error))
        self.assertIn("has no attribute 'consume_nothing'", str(error))
