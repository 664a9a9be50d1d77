"""WebSocket logic that knows no I/O."""
