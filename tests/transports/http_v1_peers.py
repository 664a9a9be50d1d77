"""A client of v1 over HTTP, on asyncio's streams: a connection for each request."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlencode

from google.protobuf.json_format import MessageToDict

from quickpulse.requests import Pull
from quickpulse.wire.v1.errors import retry_after_ms, row_of
from quickpulse.wire.v1.json_form import from_object, load_object
from quickpulse.wire.v1.table import BY_KIND, ERROR, Row


class HttpPeer:
    """Asks each thing on a connection of its own.

    :param host: where.
    :param port: likewise.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def ask(self, request: Any) -> Any:
        """Whoever is cancelled closes the connection."""
        row = BY_KIND[type(request)]
        status, headers, body = await self._exchange(_written(row, request))
        answer = load_object(body)
        if status == 200:
            assert row.reply is not None
            return row.reply.form.read(from_object(row.reply.form.message, answer))
        error = ERROR.form.read(from_object(ERROR.form.message, answer["error"]))
        assert status == row_of(error).http, (status, error)
        assert ("retry-after" in headers) == bool(retry_after_ms(error)), headers
        raise error

    async def _exchange(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(data)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.close()

    async def close(self) -> None:
        """Nothing is open."""


def _written(row: Row, request: Any) -> bytes:
    """A request as curl would send it."""
    assert row.http is not None
    method, path = row.http
    fields = MessageToDict(row.request.filled(request), preserving_proto_field_name=True)
    if isinstance(request, Pull):
        queue = next(iter(request.queues), "q")
        fields.setdefault("queues", [])  # else it would be the path's
    else:
        queue = fields.pop("queue", "")
    path = path.replace("{queue}", quote(queue, safe=":@"))
    body = b""
    if method == "GET":
        path += f"?{urlencode(fields)}" if fields else ""
    else:
        body = json.dumps(fields).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return f"{head}\r\n\r\n".encode() + body
