"""A soak: a real server under a part of its load for a long time, with connections coming and going.

`python -m perf.soak --mode MODE` measures for a few seconds what the server can do, holds a share of that, and tells
every minute what the server holds: memory, files, connections, messages. Flat is good.

Where things are: `tally` counts messages, `probe` measures latency in a process of its own, `watch` looks at the
server, `verdict` says what is wrong. The connections and their loop are the storm's.
"""
