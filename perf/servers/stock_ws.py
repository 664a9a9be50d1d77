"""The WebSocket endpoints on stock autobahn: `python -m perf.servers.stock_ws PORT [PREFILL PAYLOAD_BYTES]`.

Twisted's epoll reactor, a deque, no bounds and no metrics: what a user of the library writes first.
"""

from __future__ import annotations

import sys
from collections import deque

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor

from perf.load.numbered import numbered

queue: deque[bytes] = deque()

BACKLOG = 65_535
"""Twisted's default of 50 loses bursts of connections."""


class Endpoint(WebSocketServerProtocol):  # type: ignore[misc]
    """/ws/publish and /ws/consume."""

    def onConnect(self, request):  # type: ignore[no-untyped-def] # autobahn calls it
        """The handshake."""
        self.publishes = request.path == "/ws/publish"

    def onMessage(self, payload, isBinary):  # type: ignore[no-untyped-def] # noqa: N803 - autobahn calls it
        """A message."""
        if self.publishes:
            queue.append(payload)
            self.sendMessage(b"ok", False)
        elif queue:
            self.sendMessage(queue.popleft(), True)
        else:
            self.sendMessage(b"error: queue is empty", False)


def main(port: int, prefill: int, payload_bytes: int) -> None:
    """Serves for ever."""
    queue.extend(numbered(0, prefill, payload_bytes))
    factory = WebSocketServerFactory(f"ws://127.0.0.1:{port}", reactor=reactor)
    factory.protocol = Endpoint
    factory.setProtocolOptions(tcpNoDelay=True)
    reactor.listenTCP(port, factory, backlog=BACKLOG, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(*map(int, (*sys.argv[1:], 0, 1)[:3]))
