"""Medians, ratios, limits, bars."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.brokers.figures import Figures, figures, limit, verdicts
from perf.brokers.measure import Load, Run
from perf.brokers.rows import AIO, BARS, BATCHED, ROWS, STREAMS, Row, Side

LOAD = Load(seconds=1.0, messages=1_000_000)


def side_of(row: str, name: str) -> tuple[Row, Side]:
    """Of the table."""
    return ROWS[row], next(side for side in ROWS[row].sides if side.name == name)


def rate(name: str, *rates: int, server: float = 0.5, producer: float = 0.25, row: str = "batches") -> Figures:
    """Of rounds that took a second each."""
    runs = [Run(each, 1.0, server, (producer, 0.125), (), ()) for each in rates]
    return figures(*side_of(row, name), runs, LOAD)


class FiguresTests(SynchronousTestCase):
    """One side of a row."""

    def test_rates(self) -> None:
        """The median, the spread, and processor time for a message and of a core."""
        each = rate(AIO, 3000, 1000, 2000)
        self.assertEqual((each.rate, each.least, each.most, each.p50), (2000, 1000, 3000, None))
        self.assertEqual((each.server_microseconds, each.worker_microseconds), (250.0, (125.0, 62.5)))
        self.assertEqual((each.server_share, each.worker_shares), (0.5, (0.25, 0.125)))

    def test_times(self) -> None:
        """Percentiles in microseconds."""
        run = Run(100, 1.0, None, (0.1,), tuple(range(1000, 101_000, 1000)), ())
        each = figures(*side_of("round-trip", "Redis list"), [run], LOAD)
        self.assertEqual((each.p50, each.p99, each.rate, each.server_microseconds), (51.0, 100.0, None, None))

    def test_memory(self) -> None:
        """What the server has grown by, for a message; slow clients fill in fewer."""
        run = Run(0, 1.0, 1.0, (1.0,), (), (1_000_000, 201_000_000, 301_000_000))
        each = figures(*side_of("memory", BATCHED), [run], LOAD)
        self.assertEqual((each.ready_bytes, each.leased_bytes), (200.0, 300.0))
        self.assertEqual(figures(*side_of("memory", "beanstalkd"), [run], LOAD).ready_bytes, 1000.0)
        without = Run(0, 1.0, 1.0, (1.0,), (), (1_000_000, 201_000_000))
        self.assertIsNone(figures(*side_of("memory", "Redis list"), [without], LOAD).leased_bytes)


class LimitTests(SynchronousTestCase):
    """Who had no time left."""

    def test_limits(self) -> None:
        """Whoever is busy all the time, else all cores together, else nobody."""
        _, side = side_of("batches", AIO)
        self.assertEqual(limit(side, rate(AIO, 1000, server=0.95), 4), "server")
        self.assertEqual(limit(side, rate(AIO, 1000, server=0.95, producer=0.9), 4), "server and producer")
        self.assertEqual(limit(side, rate(AIO, 1000, server=0.89, producer=0.89), 2), "all cores")
        self.assertEqual(limit(side, rate(AIO, 1000), 2), "")


class VerdictTests(SynchronousTestCase):
    """The bars."""

    def test_held_and_missed(self) -> None:
        """A bar is told where its sides were measured."""
        row, ours = side_of("batches", AIO)
        _, theirs = side_of("batches", STREAMS)
        found = verdicts({row: {ours: rate(AIO, 900_000), theirs: rate(STREAMS, 100_000)}})
        self.assertEqual([(each.measured, each.is_held) for each in found], [(9.0, True), (900_000, False)])
        alone = verdicts({row: {ours: rate(AIO, 1_000_000)}})
        self.assertEqual([(each.measured, each.is_held) for each in alone], [(1_000_000, True)])

    def test_less_is_better(self) -> None:
        """Where times are told, the limit is the most."""
        row, side = side_of("wake-up", "QuickPulse, blocking, get")
        run = Run(2, 1.0, 1.0, (1.0, 1.0), (299_000, 2_500_000), ())
        found = verdicts({row: {side: figures(row, side, [run, run], LOAD)}})
        self.assertEqual([each.is_held for each in found], [False, False])
        quick = Run(2, 1.0, 1.0, (1.0, 1.0), (299_000, 299_000), ())
        self.assertTrue(all(each.is_held for each in verdicts({row: {side: figures(row, side, [quick], LOAD)}})))

    def test_table(self) -> None:
        """Each bar is of sides that there are."""
        for bar in BARS:
            side_of(bar.row, bar.side)
            if bar.of is not None:
                side_of(*bar.of)
