"""HTTP/2 (RFC 9113) that knows no I/O: bytes in, events out, and bytes to send."""
