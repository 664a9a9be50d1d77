"""The arithmetic of a comparison."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.compare.figures import figures
from perf.compare.measure import Measurement, measurement


def measured(*rates: float, load: float = 0.5, server: float | None = 0.9, shared: bool = False) -> list[Measurement]:
    """Rounds with these rates."""
    return [Measurement(rate, load, server, None if server is None else 2.0, shared) for rate in rates]


class MeasurementTests(SynchronousTestCase):
    """From what the load says."""

    def test_figures(self) -> None:
        """Rates by the clock, shares of it, and processor time for each message."""
        result = {"seconds": 2.0, "answered": 1000, "sent": 1020, "load_seconds": 1.0, "server_seconds": 1.5}
        self.assertEqual(measurement(result, True), Measurement(500.0, 0.5, 0.75, 1500.0, True))
        unknown = measurement({**result, "server_seconds": None}, False)
        self.assertEqual((unknown.server_share, unknown.server_microseconds), (None, None))


class FiguresTests(SynchronousTestCase):
    """Over the rounds."""

    def test_median_and_spread(self) -> None:
        """One bad round changes the spread only."""
        made = figures({"ours": measured(100.0, 900.0, 110.0)})["ours"]
        self.assertEqual((made.rate, made.slowest, made.fastest), (110.0, 100.0, 900.0))
        self.assertEqual(made.rates, (100.0, 900.0, 110.0))
        self.assertEqual((made.to_stock, made.to_echo), (None, None))

    def test_ratios(self) -> None:
        """Of medians, to the stock server and to the echo; none to oneself."""
        made = figures({"ours": measured(300.0), "stock": measured(100.0), "echo": measured(400.0)})
        self.assertEqual((made["ours"].to_stock, made["ours"].to_echo), (3.0, 0.75))
        self.assertEqual((made["stock"].to_stock, made["stock"].to_echo), (None, 0.25))
        self.assertEqual((made["echo"].to_stock, made["echo"].to_echo), (4.0, None))

    def test_limit(self) -> None:
        """The load is the limit where it is busy and the server is not; on one core neither is."""
        for load, server, shared, limited in (
            (0.96, 0.9, False, True),
            (0.96, None, False, True),
            (0.96, 0.99, False, False),
            (0.94, 0.5, False, False),
            (0.96, 0.03, True, False),
        ):
            made = figures({"ours": measured(1.0, load=load, server=server, shared=shared)})["ours"]
            self.assertIs(made.is_load_limited, limited)
