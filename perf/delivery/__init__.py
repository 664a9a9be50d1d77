"""At least once, shown: producers and consumers are processes, some of which are killed, and connections are cut.

`__main__` drives it, `cuts` is the wire between clients and server, `producer` and `consumer` are the processes,
`journal` is what they leave behind whatever befalls them, and `verdict` holds the journals against each other and the
server's own counts. They use the client that users have.
"""
