"""Answers of the HTTP API: JSON, errors, and what a browser must be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web import http

from quickpulse.errors import QuickPulseError, Unauthenticated
from quickpulse.transports.tokens import CHALLENGE
from quickpulse.wire.v1.errors import retry_after_ms, row_of
from quickpulse.wire.v1.http_form import write_error

if TYPE_CHECKING:
    from quickpulse.interfaces import ITraffic

JSON_TYPE = "application/json"

PREFLIGHT_SECONDS = 600
"""How long a browser need not ask again."""


def answer_json(request: Any, body: bytes, status: int = http.OK) -> None:
    """Answer and be done."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", JSON_TYPE)
    _say_common(request)
    request.setHeader("Content-Length", b"%d" % len(body))
    request.write(body)
    request.finish()


def answer_error(request: Any, error: QuickPulseError, status: int | None = None) -> None:
    """Answer with an error.

    :param status: HTTP's, where HTTP knows better than the errors' table.
    """
    if isinstance(error, Unauthenticated):
        request.setHeader("WWW-Authenticate", CHALLENGE)
    seconds = -(-retry_after_ms(error) // 1000)  # HTTP has whole ones
    if seconds:
        request.setHeader("Retry-After", b"%d" % seconds)
    answer_json(request, write_error(error), row_of(error).http if status is None else status)


def count_error(traffic: ITraffic, error: QuickPulseError) -> None:
    """Note an error that a request is answered with. Who has no token was refused; all others asked something of v1."""
    if isinstance(error, Unauthenticated):
        traffic.refused("unauthenticated")
    else:
        traffic.failed(error)


def begin_events(request: Any) -> None:
    """Answer with Server-Sent Events from here on."""
    request.setHeader("Content-Type", "text/event-stream")
    _say_common(request)


def answer_preflight(request: Any) -> None:
    """Tell a browser what a page may send."""
    request.setResponseCode(http.NO_CONTENT)
    _say_common(request)
    request.setHeader("Access-Control-Allow-Methods", "GET, POST")
    request.setHeader("Access-Control-Allow-Headers", "Content-Type, Authorization")
    request.setHeader("Access-Control-Max-Age", b"%d" % PREFLIGHT_SECONDS)
    request.finish()


def allow_page(request: Any) -> None:
    """Let the page that asked see the answer; its Origin was looked at before."""
    origins = request.requestHeaders.getRawHeaders(b"Origin")
    if origins:
        request.setHeader("Access-Control-Allow-Origin", origins[0])
        request.setHeader("Access-Control-Expose-Headers", "Retry-After")


def _say_common(request: Any) -> None:
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Content-Type-Options", "nosniff")
    request.setHeader("Vary", "Origin")
