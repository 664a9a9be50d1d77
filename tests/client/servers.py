"""A server process for tests that only need one."""

from __future__ import annotations

import atexit
from functools import cache

from tests.interop.server import RealServer

MOST_MESSAGE_BYTES = 1_000_000
MOST_BATCH_BYTES = 2_000_000


@cache
def shared_server() -> RealServer:
    """The one of this process, which ends with it."""
    server = RealServer(
        "grpc", "--max-batch-bytes", str(MOST_BATCH_BYTES), "--max-message-bytes", str(MOST_MESSAGE_BYTES)
    )
    atexit.register(server.end)
    return server
