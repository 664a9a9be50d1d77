"""v1 over HTTP: a route for each row of the table that has one, and a raw body as one message."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any
from urllib.parse import parse_qsl, unquote

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from quickpulse.errors import InvalidArgument, TooManyRequests, Unsupported
from quickpulse.requests import Batch, Publish, PublishReply, Subscribe
from quickpulse.transports.http_access import FORM_TYPES, media_type
from quickpulse.transports.http_answers import JSON_TYPE, allow_page, answer_error, answer_json, answer_preflight
from quickpulse.transports.http_events import EVENTS_TYPE, EventStream
from quickpulse.transports.openapi import OPENAPI_PATH, RAW_PATH, RAW_TYPE, TEXTS, document
from quickpulse.transports.v1_session import as_error, taken_in
from quickpulse.wire.v1.http_form import QUEUES_PATH, read_http, route
from quickpulse.wire.v1.json_form import to_json
from quickpulse.wire.v1.table import BY_NAME, Row

METHODS = ("GET", "POST")

MOST_OPEN = 900
"""Pulls that wait, and subscriptions: fewer than the port's connections, so that metrics and probes have some left."""

_RAW_QUEUE, _, _RAW_END = RAW_PATH.partition("{queue}")

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


class WrongMedia(InvalidArgument):
    """HTTP has a status of its own for what is sent or wanted in a form that is not spoken here.

    :param status: that.
    """

    code = InvalidArgument.code

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Api(Resource):
    """Everything below /api.

    :param broker: the IBroker.
    :param clock: IReactorTime.
    :param traffic: the ITraffic.
    """

    isLeaf = True

    def __init__(self, broker: Any, clock: Any, traffic: Any) -> None:
        super().__init__()
        self._broker = broker
        self._clock = clock
        self._traffic = traffic
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
            if request.fault is not None:
                raise request.fault
            self._serve(request)
        except Exception:
            self._fail(request, Failure())

    @cached_property
    def _openapi(self) -> bytes:
        return document()

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
        query = _query(request)
        texts = _flag(query, TEXTS)
        if request.method == b"POST":
            _require_type(request, JSON_TYPE)
            _require_none(query)
        asked = read_http(row, queue, query, request.take_body())
        if getattr(asked, "wait_ms", 0):
            self._require_room()
        reply = getattr(self._broker, row.name)(asked)
        write = partial(_write, row, texts)
        if isinstance(reply, Deferred):
            self._wait(request, reply, write)
        else:
            answer_json(request, write(reply))

    def _publish_raw(self, queue: str, request: Any) -> None:
        _require_type(request, RAW_TYPE)
        _require_none(_query(request))
        reply = self._broker.publish(Publish(queue, Batch([request.take_body()])))
        if isinstance(reply, Deferred):
            self._wait(request, reply, _write_raw)
        else:
            answer_json(request, _write_raw(reply))

    def _subscribe(self, row: Row, queue: str, request: Any) -> None:
        query = _query(request)
        texts = _flag(query, TEXTS)
        if EVENTS_TYPE not in ",".join(request.requestHeaders.getRawHeaders("Accept") or []):
            # An image of a stranger's page may be fetched from anywhere, and would take messages.
            raise WrongMedia(http.NOT_ACCEPTABLE, f"Accept: {EVENTS_TYPE} is wanted")
        asked = read_http(row, queue, query, b"")
        if not asked.credit_messages:
            raise InvalidArgument("credit_messages: how many messages are wanted, 1 or more")
        self._require_room()
        serialize = partial(_write, BY_NAME["pull"], texts)
        self._opened(request)
        try:
            EventStream(request, self._clock, asked, serialize, partial(self._closed, request)).start(self._broker)
        except Exception:
            self._closed(request)
            raise

    def _wait(self, request: Any, reply: Deferred[Any], write: Callable[[Any], bytes]) -> None:
        """Answer later. If the peer goes away before, nothing is taken out for it any more."""
        self._opened(request)
        is_gone = False

        def gone(_failure: Failure) -> None:
            nonlocal is_gone
            is_gone = True
            reply.cancel()

        def ended(result: Any) -> Any:
            self._closed(request)
            return result

        def answer(result: Any) -> None:
            if is_gone:  # a provider that could not be told so in time
                self._traffic.undelivered(taken_in(result))
            else:
                answer_json(request, write(result))

        def fail(failure: Failure) -> None:
            if not is_gone:
                self._fail(request, failure)

        request.notifyFinish().addErrback(gone)
        reply.addBoth(ended).addCallback(answer).addErrback(fail)

    def _fail(self, request: Any, failure: Failure) -> None:
        error = as_error(failure)
        answer_error(request, error, getattr(error, "status", None))

    def _require_room(self) -> None:
        if self.open >= MOST_OPEN:
            raise TooManyRequests(f"{MOST_OPEN} pulls and subscriptions wait on this port")

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


def _query(request: Any) -> dict[str, str]:
    """The query's fields, each once."""
    text = request.uri.partition(b"?")[2].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=100)
    except ValueError:
        raise InvalidArgument("query: not of the form name=value&...") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidArgument("query: a name twice")
    return fields


def _flag(query: dict[str, str], name: str) -> bool:
    text = query.pop(name, "0")
    if text not in _FLAGS:
        raise InvalidArgument(f"{name}: {text[:20]!r} is not true or false")
    return _FLAGS[text]


def _require_none(query: dict[str, str]) -> None:
    if query:
        raise InvalidArgument(
            f"query: {next(iter(query))[:50]!r} is not for this request, whose fields are in its body"
        )


def _require_type(request: Any, wanted: str) -> None:
    given = media_type(request)
    if given != wanted:
        what = "a form's type, which any page may send" if given in FORM_TYPES else "something else"
        raise WrongMedia(http.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: {wanted} is wanted, and came {what}")


def _write(row: Row, texts: bool, reply: Any) -> bytes:
    assert row.reply is not None  # as every row with a path has one
    return to_json(row.reply.form.filled(reply), texts)


def _write_raw(reply: PublishReply) -> bytes:
    """One message: what became of it is what became of the request."""
    if reply.rejections:
        raise reply.rejections[0].error
    return _write(BY_NAME["publish"], False, reply)
