"""Latencies: both ways of recording agree, and percentiles are those of the values."""

from __future__ import annotations

import numpy as np
from twisted.trial import unittest

from perf.latency import LatencyRecorder


class LatencyTests(unittest.TestCase):
    """Values in seconds, percentiles in milliseconds."""

    def test_percentiles(self) -> None:
        """Of 1 to 1,000 ms, within the precision that is kept."""
        recorder = LatencyRecorder()
        recorder.record_many(np.arange(1, 1001) / 1000)
        interval = recorder.close_interval()
        summary = recorder.summary()
        self.assertEqual(summary.count, 1000)
        for found, wanted in (
            (summary.p50, 500),
            (summary.p90, 900),
            (summary.p99, 990),
            (interval.p50, 500),
        ):
            assert found is not None
            self.assertLess(abs(found - wanted), wanted / 100)
        self.assertEqual((summary.max, interval.max), (1000.0, 1000.0))

    def test_one_by_one_is_as_many(self) -> None:
        """Few, many and single values are counted alike."""
        values = np.random.default_rng(3).uniform(1e-6, 2.0, 500)
        one, many, few = LatencyRecorder(), LatencyRecorder(), LatencyRecorder()
        for value in values.tolist():
            one.record(value)
        many.record_many(values)
        for first in range(0, 500, 20):
            few.record_many(values[first : first + 20])
        intervals = [recorder.close_interval() for recorder in (one, many, few)]
        self.assertEqual(len(set(intervals)), 1)
        self.assertEqual(len({recorder.summary() for recorder in (one, many, few)}), 1)

    def test_intervals_are_apart_and_the_summary_is_of_all(self) -> None:
        """The second interval knows nothing of the first."""
        recorder = LatencyRecorder()
        recorder.record(1.0)
        recorder.close_interval()
        recorder.record(0.001)
        self.assertEqual(recorder.close_interval().max, 1.0)
        self.assertEqual((recorder.summary().count, recorder.summary().max), (2, 1000.0))

    def test_nothing(self) -> None:
        """No values, no percentiles."""
        recorder = LatencyRecorder()
        interval = recorder.close_interval()
        self.assertEqual((interval.p50, interval.p99, interval.max), (None, None, None))
        self.assertEqual((recorder.summary().count, recorder.summary().max), (0, 0.0))

    def test_out_of_range(self) -> None:
        """Zero, and longer than an hour: booked at the bounds."""
        recorder = LatencyRecorder()
        recorder.record(0.0)
        recorder.record_many(np.full(50, 1e6))
        recorder.close_interval()
        self.assertEqual(recorder.summary().max, 3_600_000.0)
