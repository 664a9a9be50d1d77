"""The comparison with other brokers."""
