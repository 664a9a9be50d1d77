"""Protocol logic without I/O: bytes and headers in, results and bytes out. No Twisted, no queues."""
