"""Queries and types of the HTTP API."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from quickpulse.errors import InvalidArgument
from quickpulse.transports.http_fields import (
    WrongMedia,
    read_query,
    require_events,
    require_none,
    require_type,
    take_flag,
)
from quickpulse.wire.v1.errors import row_of


class FakeRequest:
    """A line and headers."""

    def __init__(self, uri: bytes = b"/", **headers: str) -> None:
        self.uri = uri
        self.requestHeaders = Headers()
        for name, value in headers.items():
            self.requestHeaders.addRawHeader(name.replace("_", "-"), value)


class QueryTests(SynchronousTestCase):
    """read_query, take_flag, require_none."""

    def test_fields(self) -> None:
        """Decoded, empty ones too; no query is none."""
        for uri, expected in (
            (b"/", {}),
            (b"/?", {}),
            (b"/?a=1&b=", {"a": "1", "b": ""}),
            (b"/?a=x%20y+z%C3%A9&c=a=b?d", {"a": "x y z\u00e9", "c": "a=b?d"}),
        ):
            self.assertEqual(read_query(FakeRequest(uri)), expected)

    def test_no_query(self) -> None:
        """Twice the same, no value, no UTF-8, too many."""
        many = b"&".join(b"a%d=1" % each for each in range(1000))
        for query in (b"a=1&a=1", b"a", b"&", b"a=1&&b=1", b"a=%FF", many):
            self.assertRaises(InvalidArgument, read_query, FakeRequest(b"/?" + query))

    def test_flags(self) -> None:
        """Taken out; what is neither true nor false is refused."""
        query = {"texts": "true", "more": "1"}
        self.assertTrue(take_flag(query, "texts"))
        self.assertFalse(take_flag(query, "texts"))
        self.assertEqual(query, {"more": "1"})
        self.assertRaises(InvalidArgument, take_flag, {"texts": ""}, "texts")

    def test_none(self) -> None:
        """Nothing that would be ignored."""
        require_none({})
        self.assertRaises(InvalidArgument, require_none, {"a": "1"})


class TypeTests(SynchronousTestCase):
    """require_type, require_events."""

    def assert_wrong(self, status: int, check: Any, *arguments: Any) -> None:
        """Refused with a status of HTTP's own; everywhere else it is an argument that is not valid."""
        error = self.assertRaises(WrongMedia, check, *arguments)
        self.assertEqual((error.status, error.code, row_of(error).http), (status, "INVALID_ARGUMENT", 400))

    def test_bodies(self) -> None:
        """Of the type, and no other."""
        require_type(FakeRequest(Content_Type="application/json; charset=utf-8"), "application/json")
        for kind in ("text/plain", "application/octet-stream", ""):
            self.assert_wrong(415, require_type, FakeRequest(Content_Type=kind), "application/json")

    def test_packed_bodies(self) -> None:
        """They are not unpacked."""
        kind = "application/json"
        require_type(FakeRequest(Content_Type=kind, Content_Encoding="identity"), kind)
        for coding in ("gzip", "identity, gzip", "br"):
            self.assert_wrong(415, require_type, FakeRequest(Content_Type=kind, Content_Encoding=coding), kind)

    def test_events(self) -> None:
        """By name: whatever takes anything did not ask for them."""
        require_events(FakeRequest(Accept="text/event-stream"))
        for accept in (
            "application/json, text/event-stream;q=0.5",
            "Text/Event-Stream ; q=1;a=b",
            "a/b,text/event-stream",
        ):
            require_events(FakeRequest(Accept=accept))
        for accept in ("*/*", "text/*", "", "text/event-streams"):
            self.assert_wrong(406, require_events, FakeRequest(Accept=accept))
        self.assert_wrong(406, require_events, FakeRequest())

    def test_events_that_are_not_wanted(self) -> None:
        """A weight of 0 says so."""
        for accept in ("text/event-stream;q=0", "text/event-stream; a=b; q=0.000", "text/event-stream;Q=0 , a/b"):
            self.assert_wrong(406, require_events, FakeRequest(Accept=accept))
