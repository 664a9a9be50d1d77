"""HTTP/2 (RFC 9113) that knows no I/O: bytes in, events out, and bytes to send.

To be read in this order: what is told and what may go wrong (`events`, `errors`); frames and header blocks as bytes
(`frames`, `fields`, `hpacking`, `huffman`); the states of a stream, and all streams of a connection (`streams`,
`stream_table`); windows, the peer's settings and bounds on floods (`windows`, `settings`, `floods`). On these stands
the connection, each layer of it on the one before: what goes out (`sending`, with `answers`), what each frame means
(`peer_frames`), a read of many (`receiving`, with `runs`), and its beginning and end (`connection`).
"""
