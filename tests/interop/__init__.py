"""The server as a process of its own, real sockets, and clients that do not know it. What is tested in memory is elsewhere."""
