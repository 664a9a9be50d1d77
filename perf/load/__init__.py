"""The closed-loop load of `compare` and `scale`: plain sockets and prebuilt bytes, in a process of its own.

Every connection keeps a window of requests in flight and sends the next window when the last one is answered. Every
answer is compared with what it must be. The load reports its own processor time, because on a small machine a slow
client measures itself. `python -m perf.load ROW PORT` drives a server that runs already.

Where things are: `rows` reads what is to be measured, `loop` keeps the windows moving, `link` is a connection of it,
`websocket` and `http2` (with `calls`, `headers`) are the two protocols, `numbered` tells prefilled messages apart.
"""

import os

# OpenBLAS's threads spin for a while after numpy was imported: processor time that is the server's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
