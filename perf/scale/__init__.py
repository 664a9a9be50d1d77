"""`python -m perf scale [KIND...]`: what a message costs our server against connections, depth and payload.

The curves should be flat, and linear in the bytes of the payload. `options` reads the command line, `curves` says which
rows make a curve, `report` and `chart` tell it, `command` runs it with the load and the servers of `perf.compare`.
"""
