"""`python -m perf compare ROW...`: our server beside others, started in turn in one run; what counts are the ratios.

Where things are: `options` reads the command line, `servers` says what is started for a row, `process` starts it,
`measure` lets the load of `perf.load` drive it and checks our counters, `figures` does the arithmetic, `report` and
`chart` tell it, `command` is the order of it all.
"""
