"""What the spawned server says of itself over HTTP: whether it is ready, and what it has counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

ANSWER_SECONDS = 5.0
"""For one page. A page that is late is taken for none."""

MAX_PAGE_BYTES = 4 * 1024 * 1024

_ENQUEUED, _DEQUEUED = "quickpulse_enqueue_total", "quickpulse_dequeue_total"


@dataclass(frozen=True)
class ServerCounters:
    """Messages accepted and taken out, as the server's own metrics have it."""

    enqueued: int
    dequeued: int


async def is_ready(host: str, port: int) -> bool:
    """Whether /readyz says so."""
    page = await _get(host, port, "/readyz")
    return page is not None and b" 200 " in page.partition(b"\r\n")[0]


async def read_counters(host: str, port: int) -> ServerCounters | None:
    """From /metrics; None where they are not to be had."""
    page = await _get(host, port, "/metrics")
    lines = (page or b"").decode(errors="replace").splitlines()
    found = dict(line.split(" ", 1) for line in lines if line.startswith((_ENQUEUED + " ", _DEQUEUED + " ")))
    if len(found) < 2:
        return None
    return ServerCounters(int(float(found[_ENQUEUED])), int(float(found[_DEQUEUED])))


async def _get(host: str, port: int, path: str) -> bytes | None:
    """The whole answer, head and body; None where there is none.

    Not by asyncio.wait_for: before Python 3.12 that loses a cancellation which comes together with the answer, and the
    end that was asked of the whole run with it.
    """
    exchange = asyncio.ensure_future(_exchange(host, port, path))
    try:
        await asyncio.wait([exchange], timeout=ANSWER_SECONDS)
    finally:
        exchange.cancel()
    if not exchange.done() or exchange.cancelled():
        return None
    try:
        return exchange.result()
    except OSError:
        return None


async def _exchange(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        page = b""
        while len(page) < MAX_PAGE_BYTES and (part := await reader.read(65536)):
            page += part
        return page
    finally:
        writer.close()
