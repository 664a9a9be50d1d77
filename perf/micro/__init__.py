"""`python -m perf.micro`: what a message costs in each layer of the server, in nanoseconds, without sockets.

`layers` says what a layer is and times it, `budget` does the arithmetic and the table, `surroundings` has what the
server's parts need around them, `websocket`, `grpc` and `queue` list the layers: one line each in a table, and a
function that prepares it.
"""
