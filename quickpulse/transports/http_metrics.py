"""`/metrics`: the page of a server with hundreds of queues is written in several turns, so that it holds up no message.

What the numbers are is read by the registry's collectors; those of one family are of one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from quickpulse.transports.http_access import header_texts

TURN_SAMPLES = 250
"""Written in a turn, at 5 microseconds each: the 200 queues that have a name of their own, and what else there is."""


class MetricsPage(Resource):
    """A leaf that answers GET and HEAD in the form that the client asks for.

    :param reactor: for turns.
    :param registry: what is shown.
    """

    isLeaf = True

    def __init__(self, reactor: Any, registry: CollectorRegistry) -> None:
        super().__init__()
        self._reactor = reactor
        self._registry = registry

    def render_GET(self, request: Request) -> Any:
        """Answer at once if it is little, which it is with few queues."""
        encode, content_type = choose_encoder(", ".join(header_texts(request, b"Accept")))
        request.setHeader("Content-Type", content_type)
        request.setHeader("Cache-Control", "no-store")
        writing = Writing(self._registry.collect(), encode)
        if writing.go_on():
            return writing.page
        turns = _Turns(self._reactor, request, writing)
        request.notifyFinish().addErrback(turns.stop)
        return NOT_DONE_YET


class Writing:
    """A page under way.

    :param families: what is to be on it; read as it is written.
    :param encode: makes a page of a registry.
    :ivar page: the whole, when it is done.
    """

    def __init__(self, families: Iterable[Metric], encode: Callable[[Any], bytes]) -> None:
        self._encode = encode
        self._end = encode(_Families())
        self._pieces = self._cut(families)
        self._parts: list[bytes] = []
        self.page = b""

    def go_on(self) -> bool:
        """Write some of it; whether that was the last."""
        left = TURN_SAMPLES
        for samples, part in self._pieces:
            self._parts.append(part)
            left -= samples
            if left <= 0:
                return False
        self.page = b"".join((*self._parts, self._end))
        return True

    def _cut(self, families: Iterable[Metric]) -> Iterator[tuple[int, bytes]]:
        """How many samples, and their lines; the first of a family's begins with its head."""
        for family in families:
            piece = copy(family)
            piece.samples = family.samples[:TURN_SAMPLES]
            yield len(piece.samples), self._write(piece)
            if len(family.samples) > TURN_SAMPLES:
                piece.samples = []
                head = self._write(piece)
                for start in range(TURN_SAMPLES, len(family.samples), TURN_SAMPLES):
                    piece.samples = family.samples[start : start + TURN_SAMPLES]
                    yield len(piece.samples), self._write(piece).removeprefix(head)

    def _write(self, family: Metric) -> bytes:
        return self._encode(_Families(family)).removesuffix(self._end)


class _Families:
    """As a registry, for the encoder."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


class _Turns:
    """Turns of the loop until the page is done, or nobody wants it any more."""

    def __init__(self, reactor: Any, request: Request, writing: Writing) -> None:
        self._reactor = reactor
        self._request = request
        self._writing = writing
        self._next = reactor.callLater(0, self._turn)

    def stop(self, _: object) -> None:
        """The client is gone."""
        if self._next.active():
            self._next.cancel()

    def _turn(self) -> None:
        if not self._writing.go_on():
            self._next = self._reactor.callLater(0, self._turn)
            return
        page, request = self._writing.page, self._request
        request.setHeader("Content-Length", str(len(page)))
        request.write(page)
        request.finish()
