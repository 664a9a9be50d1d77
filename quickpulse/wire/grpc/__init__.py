"""gRPC logic that knows no I/O."""
