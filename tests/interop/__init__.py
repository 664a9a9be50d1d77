"""The server as a process of its own, on real sockets. What can be tested in memory is elsewhere."""
