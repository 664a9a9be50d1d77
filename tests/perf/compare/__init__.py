"""Tests of `perf compare`: its arithmetic, its command line, and short runs against real servers."""
