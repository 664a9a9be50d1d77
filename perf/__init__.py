"""The load and performance tools, run from the root: `python -m perf`, `perf compare`, `perf scale`, `perf.micro`.

They send unique messages, take them out again, and check that what was acknowledged came out exactly once,
unaltered and in order; the figures of a run that fails its checks are worth nothing. Nothing here is part of
the package.

Where things are: `options` reads the command line, `command` is what it runs, `spawn` (with `http_pages`)
starts a server, `client` drives one run over the transports of the three `perf_*_throughput` modules,
`exchange` is what the connections of a run share, `ledger` and `payloads` do the checking, `latency` and
`timeline` the measuring, `outcome`, `report`, `progress` and `plot` the telling. Packages of their own are `load`,
`servers`, `compare`, `scale` and `micro`: they measure speed, with a load that compares answers but makes no record;
and `brokers`: v1's clients beside those of other brokers.
"""
