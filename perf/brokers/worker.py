"""One worker: `python -m perf.brokers.worker SIDE WORK PORT SECONDS MESSAGES LOOP`, started by `measure`."""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
from importlib import import_module
from typing import Any

from perf.brokers.work import Work

GRACE_SECONDS = 180
"""After the time that it works: a worker that is still there then ends itself."""


def main(side: str, name: str, port: int, seconds: float, messages: int, loop: str) -> int:
    """The exit status."""
    signal.alarm(int(seconds) + GRACE_SECONDS)
    module = import_module(f"perf.brokers.sides.{side}")
    act, connected = getattr(module, name), module.connected(port)
    work = Work(seconds, messages)
    work.prepare()
    if inspect.iscoroutinefunction(act):
        if loop == "uvloop":
            import uvloop

            uvloop.install()
        asyncio.run(_act(act, connected, work))
    else:
        with connected as client:
            act(client, work)
    work.tell()
    return 0


async def _act(act: Any, connected: Any, work: Work) -> None:
    async with connected as client:
        await act(client, work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6]))
