"""Tests of `perf.micro`."""
