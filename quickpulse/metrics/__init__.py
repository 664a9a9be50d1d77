"""Providers of IMetricsCollector, and the queue that reports to one."""
