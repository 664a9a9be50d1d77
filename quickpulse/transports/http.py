"""The HTTP port on twisted.web: metrics, health and the status page. They read; nothing here changes a queue.

The API, which does, hangs on this port and is in the modules beside this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from quickpulse.interfaces import ITransportService
from quickpulse.settings import Settings
from quickpulse.transports.bounds import Bounds, http_refusal
from quickpulse.transports.deliveries import Deliveries
from quickpulse.transports.flow import knows_arrivals
from quickpulse.transports.http_access import Access
from quickpulse.transports.http_body import Bodies, BoundedRequest
from quickpulse.transports.http_channel import BoundedChannel
from quickpulse.transports.http_metrics import MetricsPage
from quickpulse.transports.http_v1 import Api
from quickpulse.transports.listening import ListeningService

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic
    from quickpulse.transports.tokens import Tokens

NAME = "http"
"""The label of this transport in metrics."""

IDLE_SECONDS = 60
"""How long a connection may rest between two requests: longer than Prometheus's usual 15 s between scrapes, so
`--handshake-seconds` is for the heads of requests alone."""

MAX_CONNECTIONS = 1_000
"""Scrapers and probes are few. The bound is apart from the clients' one: who watches gets in when that is reached."""

STALL_SECONDS = 30.0
"""An answer here is some kilobytes; who does not read it gets no more time than a client by default."""

REFUSAL = http_refusal(f"too many connections: this port holds {MAX_CONNECTIONS}")

PAGE = Path(__file__).with_name("status.html")

TEXT = "text/plain; charset=utf-8"

MAX_BATCH_BYTES, HEAD_SECONDS = Settings("ws").max_batch_bytes, Settings("ws").handshake_seconds
"""As the settings have them by default."""


class _Page(Resource):
    """A leaf that answers GET and HEAD with text.

    :param read: gives status code, content type and body for a request.
    """

    isLeaf = True

    def __init__(self, read: Callable[[Request], tuple[int, str, bytes]]) -> None:
        super().__init__()
        self._read = read

    def render_GET(self, request: Request) -> bytes:
        """Answer; twisted.web makes HEAD of it, and 405 for any other method."""
        code, content_type, body = self._read(request)
        request.setResponseCode(code)
        request.setHeader("Content-Type", content_type)
        request.setHeader("Cache-Control", "no-store")
        return body


class _Root(Resource):
    """The paths of the port."""

    def __init__(self, pages: dict[str, Resource], traffic: ITraffic) -> None:
        super().__init__()
        self._traffic = traffic
        for path, page in pages.items():
            self.putChild(path.encode(), page)
        self._paths = ", ".join(f"/{path}" for path in pages)

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        """The page of a path; with two slashes at its beginning there is none."""
        if not path and request.postpath:
            return self.getChild(path, request)
        child: Resource = super().getChildWithDefault(path, request)
        return child

    def getChild(self, path: bytes, request: Request) -> Resource:
        """What is not there."""
        self._traffic.refused("not_found")
        body = f"no such path; there are {self._paths}\n".encode()
        return _Page(lambda _: (http.NOT_FOUND, TEXT, body))


class _CountedConnection(ProtocolWrapper):
    """An HTTP connection whose bytes are counted, and the messages in them that are in no queue any more."""

    factory: CountedFactory

    is_awaited = False
    """Whether a request waits for messages."""

    def makeConnection(self, transport: Any) -> None:
        """A connection was accepted."""
        self.factory.counts.opened()
        self._deliveries = Deliveries(transport)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came in."""
        self.factory.counts.received_bytes += len(data)
        super().dataReceived(data)

    def write(self, data: bytes) -> None:
        """Bytes go out."""
        self.factory.counts.sent_bytes += len(data)
        self._deliveries.writes(len(data))
        super().write(data)

    def writeSequence(self, data: Any) -> None:
        """Likewise."""
        size_bytes = sum(map(len, data))
        self.factory.counts.sent_bytes += size_bytes
        self._deliveries.writes(size_bytes)
        super().writeSequence(data)

    def hand_out(self, messages: int) -> None:
        """So many messages are in what was written last, and are lost if it does not arrive."""
        if messages:
            self._deliveries.add(messages)
            self._deliveries.writes(0)

    def pauseProducing(self) -> None:
        """Read no more for now. The peer's end would not be seen meanwhile, so one that is awaited is cut off."""
        if self.is_awaited:
            self.abortConnection()
        else:
            transport: Any = self.transport
            transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended: count what it took with it."""
        self.factory.counts.closed()
        if knows_arrivals(self.transport):
            self._deliveries.confirm_arrived()
        elif reason.check(ConnectionDone):  # nobody says more than that the end was in order
            self._deliveries.confirm_all()
        self.factory.traffic.undelivered(self._deliveries.messages())
        super().connectionLost(reason)


class CountedFactory(WrappingFactory):
    """Another factory, with its connections and bytes counted.

    :param site: what serves the connections.
    :param traffic: the ITraffic.
    """

    protocol = _CountedConnection
    noisy = False

    def __init__(self, site: Site, traffic: ITraffic) -> None:
        super().__init__(site)
        self.reactor = site.reactor
        self.traffic = traffic
        self.counts = traffic.of(NAME)

    def abort_all(self) -> None:
        """Cut what is open."""
        for connection in list(self.protocols):
            connection.abortConnection()


class HttpSite(Site):
    """twisted.web's site with our pages and without its access log.

    :param reactor: for timeouts.
    :param traffic: the ITraffic.
    :param registry: what /metrics shows.
    :param status: gives what the status page shows.
    :param unready: gives why the service is not ready; empty when it is.
    :param broker: the IBroker behind /api/v1; None: there is nothing.
    :param http_api: who may use that, as `Access` has it; "off": nobody.
    :param max_batch_bytes: of a request's body.
    :param allow_origin: browser pages of other hosts that may use it.
    :param allow_host: names of the server that a browser may use, beside loopback's.
    :param tokens: of which that wants one; None: nobody needs any.
    :param head_seconds: for the head of a request; 0 is no such bound.
    """

    noisy = False
    protocol = BoundedChannel  # type: ignore[assignment]  # the stub knows a proxy alone, which adds HTTP/2

    def __init__(
        self,
        reactor: Any,
        traffic: ITraffic,
        registry: CollectorRegistry,
        status: Callable[[], dict[str, Any]],
        unready: Callable[[], list[str]],
        broker: Any = None,
        http_api: str = "auto",
        max_batch_bytes: int = MAX_BATCH_BYTES,
        allow_origin: tuple[str, ...] = (),
        allow_host: tuple[str, ...] = (),
        tokens: Tokens | None = None,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        self.traffic = traffic
        self.head_seconds = head_seconds
        self._status = status
        self._unready = unready
        page = PAGE.read_bytes()
        pages: dict[str, Resource] = {
            "": _Page(lambda _: (http.OK, "text/html; charset=utf-8", page)),
            "metrics": MetricsPage(reactor, registry),
            "livez": _Page(lambda _: (http.OK, TEXT, b"ok\n")),
            "readyz": _Page(self._readyz),
            "status.json": _Page(self._status_json),
        }
        root = _Root(pages, traffic)
        super().__init__(root, reactor=reactor, timeout=IDLE_SECONDS)
        if broker is not None and http_api != "off":
            self.bodies = Bodies(Access(http_api, allow_origin, allow_host, tokens), max_batch_bytes, traffic)
            self.requestFactory = BoundedRequest
            root.putChild(b"api", Api(broker, reactor, traffic, tokens))

    def log(self, request: Any) -> None:
        """Scrapes and probes are no news."""

    def _readyz(self, _request: Request) -> tuple[int, str, bytes]:
        reasons = self._unready()
        if not reasons:
            return http.OK, TEXT, b"ok\n"
        return http.SERVICE_UNAVAILABLE, TEXT, "".join(f"{reason}\n" for reason in reasons).encode()

    def _status_json(self, _request: Request) -> tuple[int, str, bytes]:
        return http.OK, "application/json", json.dumps(self._status()).encode()


@implementer(ITransportService)
class HttpServer(ListeningService):
    """Listens for HTTP while it runs; the service closes it last, so that a drain can be watched.

    :param endpoint: where.
    :param where: names the address if that fails.
    :param factory: makes the connections.
    """

    name = "HTTP"
    factory: CountedFactory

    def __init__(self, endpoint: IStreamServerEndpoint, where: str, factory: CountedFactory) -> None:
        super().__init__(endpoint, where, factory)
        self.bound(Bounds(MAX_CONNECTIONS, stall_seconds=STALL_SECONDS), refusals=(REFUSAL, REFUSAL))

    def drain(self, seconds: float) -> Deferred[None]:
        """Listen no more; answers on their way go out while the reactor still runs."""
        return self.stop_listening()
