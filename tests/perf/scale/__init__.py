"""Tests of `perf scale`."""
