"""v1 over HTTP: a route for each row of the table that has one, and a raw body as one message."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from quickpulse.errors import InvalidArgument, TooManyRequests, Unauthenticated, Unsupported
from quickpulse.requests import Batch, Publish, PublishReply, Subscribe
from quickpulse.transports.http_answers import (
    JSON_TYPE,
    allow_page,
    answer_error,
    answer_json,
    answer_preflight,
    count_error,
)
from quickpulse.transports.http_events import EventStream
from quickpulse.transports.http_fields import read_query, require_events, require_none, require_type, take_flag
from quickpulse.transports.openapi import OPENAPI_PATH, RAW_PATH, RAW_TYPE, TEXTS, document
from quickpulse.transports.v1_session import as_error, taken_in
from quickpulse.wire.v1.http_form import QUEUES_PATH, read_http, route
from quickpulse.wire.v1.json_form import to_json
from quickpulse.wire.v1.table import BY_NAME, Row

if TYPE_CHECKING:
    from quickpulse.transports.tokens import Tokens

METHODS = ("GET", "POST")

MOST_OPEN = 900
"""Pulls that wait, and subscriptions: fewer than the port's connections, so that metrics and probes have some left."""

_RAW_QUEUE, _, _RAW_END = RAW_PATH.partition("{queue}")


class Api(Resource):
    """Everything below /api.

    :param broker: the IBroker.
    :param clock: IReactorTime.
    :param traffic: the ITraffic.
    :param tokens: what requests were let in by; None: they need nothing.
    """

    isLeaf = True

    def __init__(self, broker: Any, clock: Any, traffic: Any, tokens: Tokens | None = None) -> None:
        super().__init__()
        self._broker = broker
        self._clock = clock
        self._traffic = traffic
        self._tokens = tokens
        self.open = 0
        """Requests that wait, and subscriptions."""

    def render(self, request: Any) -> int:
        """Answer, now or later."""
        if getattr(request.channel, "_waitingForTransport", False):  # twisted.web has no other word for it
            request.registerProducer(_UntilRead(self._begin, request), True)
        else:
            self._begin(request)
        return NOT_DONE_YET

    def _begin(self, request: Any) -> None:
        try:
            if isinstance(request.fault, Unauthenticated):
                self._serve_stranger(request, request.fault)
            elif request.fault is not None:
                raise request.fault
            else:
                if self._tokens is not None:  # its body may have taken a while
                    self._tokens.require(request.digest)
                self._serve(request)
        except Exception:
            self._fail(request, Failure())

    def _serve_stranger(self, request: Any, fault: Unauthenticated) -> None:
        """Without a token: what a browser asks before it sends one, and the description, are for all."""
        if request.method == b"OPTIONS" or request.path == OPENAPI_PATH.encode():
            self._serve(request)
            return
        allow_page(request)  # so that it sees why
        raise fault

    @cached_property
    def _openapi(self) -> bytes:
        return document(wants_token=self._tokens is not None)

    def _serve(self, request: Any) -> None:
        allow_page(request)
        method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
        if method == "OPTIONS":
            answer_preflight(request)
            return
        serve = self._find(method, path)
        if serve is not None:
            serve(request)
            return
        self._traffic.refused("not_found")
        methods = [each for each in METHODS if self._find(each, path) is not None]
        if methods:
            request.setHeader("Allow", ", ".join(methods))
            answer_error(request, Unsupported(f"{path} takes {', '.join(methods)}"), http.NOT_ALLOWED)
        else:
            answer_error(request, Unsupported(f"no such path; {OPENAPI_PATH} has them all"), http.NOT_FOUND)

    def _find(self, method: str, path: str) -> Callable[[Any], None] | None:
        """What serves a method and a path."""
        found = route("GET" if method == "HEAD" else method, path)
        if found is not None:
            row, queue = found
            if row.kind is Subscribe:
                return partial(self._subscribe, row, queue) if method == "GET" else None
            return partial(self._ask, row, queue)
        if path == OPENAPI_PATH and method in ("GET", "HEAD"):
            return lambda request: answer_json(request, self._openapi)
        name = path.removeprefix(QUEUES_PATH).removesuffix(_RAW_END)
        if method == "POST" and path == f"{_RAW_QUEUE}{name}{_RAW_END}" and name and "/" not in name:
            return partial(self._publish_raw, unquote(name))
        return None

    def _ask(self, row: Row, queue: str, request: Any) -> None:
        query = read_query(request)
        texts = take_flag(query, TEXTS)
        body = request.take_body()
        if request.method == b"POST":
            require_type(request, JSON_TYPE)
            require_none(query)
        elif body:
            raise InvalidArgument("body: there is none in a request by GET, whose fields are in its query")
        asked = read_http(row, queue, query, body)
        waits = bool(getattr(asked, "wait_ms", 0))
        if waits:
            self._require_room()
        reply = getattr(self._broker, row.name)(asked)
        if waits and isinstance(reply, Deferred):
            self._opened(request)
            reply.addBoth(self._let_through, request)
        self._answer(request, reply, partial(_write, row, texts))

    def _publish_raw(self, queue: str, request: Any) -> None:
        require_type(request, RAW_TYPE)
        require_none(read_query(request))
        self._answer(request, self._broker.publish(Publish(queue, Batch([request.take_body()]))), _write_raw)

    def _subscribe(self, row: Row, queue: str, request: Any) -> None:
        query = read_query(request)
        texts = take_flag(query, TEXTS)
        require_events(request)
        asked = read_http(row, queue, query, b"")
        if not asked.credit_messages:
            raise InvalidArgument("credit_messages: how many messages are wanted, 1 or more")
        self._require_room()
        serialize = partial(_write, BY_NAME["pull"], texts)
        self._opened(request)
        try:
            stream = EventStream(request, self._clock, asked, serialize, partial(self._closed, request))
            stream.start(self._broker)
        except Exception:
            self._closed(request)
            raise
        if self._tokens is not None:
            self._tokens.hold(stream, request.digest)

    def _answer(self, request: Any, reply: Any, write: Callable[[Any], bytes]) -> None:
        """Now or later. If the peer goes away before, nothing is taken out for it any more."""

        def give(result: Any) -> None:
            connection = request.transport
            answer_json(request, write(result))
            connection.hand_out(taken_in(result))

        if not isinstance(reply, Deferred):
            give(reply)
            return
        is_gone = False

        def gone(_failure: Failure) -> None:
            nonlocal is_gone
            is_gone = True
            reply.cancel()

        def answer(result: Any) -> None:
            if is_gone:  # a provider that could not be told so in time
                self._traffic.undelivered(taken_in(result))
            else:
                give(result)

        def fail(failure: Failure) -> None:
            if not is_gone:
                self._fail(request, failure)

        request.notifyFinish().addErrback(gone)
        reply.addCallback(answer).addErrback(fail)

    def _fail(self, request: Any, failure: Failure) -> None:
        error = as_error(failure)
        count_error(self._traffic, error)
        answer_error(request, error, getattr(error, "status", None))

    def _require_room(self) -> None:
        if self.open >= MOST_OPEN:
            raise TooManyRequests(f"{MOST_OPEN} pulls and subscriptions wait on this port")

    def _let_through(self, result: Any, request: Any) -> Any:
        self._closed(request)
        return result

    def _opened(self, request: Any) -> None:
        self.open += 1
        request.transport.is_awaited = True

    def _closed(self, request: Any) -> None:
        self.open -= 1
        request.transport.is_awaited = False


@implementer(IPushProducer)
class _UntilRead:
    """A request that came while answers to others wait for their reader: it is served when those are read.

    Else a client that sends a thousand small requests at once, and reads nothing, had us write a thousand answers.
    """

    def __init__(self, begin: Callable[[Any], None], request: Any) -> None:
        self._begin = begin
        self._request = request

    def pauseProducing(self) -> None:
        """It is not begun yet."""

    def resumeProducing(self) -> None:
        """They are read."""
        self._request.unregisterProducer()
        self._begin(self._request)

    def stopProducing(self) -> None:
        """The connection ends, and the request with it."""


def _write(row: Row, texts: bool, reply: Any) -> bytes:
    assert row.reply is not None  # as every row with a path has one
    return to_json(row.reply.form.filled(reply), texts)


def _write_raw(reply: PublishReply) -> bytes:
    """One message: what became of it is what became of the request."""
    if reply.rejections:
        raise reply.rejections[0].error
    return _write(BY_NAME["publish"], False, reply)
