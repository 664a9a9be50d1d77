"""Requests over HTTP."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import InvalidArgument, MalformedRequest, QueueFull
from quickpulse.requests import GetQueue, ListQueues, Pause, Publish, Pull, Subscribe
from quickpulse.wire.v1.http_form import read_http, route, write_error
from quickpulse.wire.v1.table import BY_NAME, ROWS
from tests.wire.v1.samples import REQUESTS


class RouteTests(SynchronousTestCase):
    """route."""

    def test_every_row(self) -> None:
        """Its method and path lead to it."""
        for row in ROWS:
            if row.http:
                method, path = row.http
                expected = (row, "jobs" if "{queue}" in path else "")
                self.assertEqual(route(method, path.replace("{queue}", "jobs")), expected)

    def test_names_are_decoded(self) -> None:
        """Once."""
        for path, queue in (("a%3Ab", "a:b"), ("a%2Fb", "a/b"), ("a%252F", "a%2F"), ("a:b@c", "a:b@c")):
            self.assertEqual(route("GET", f"/api/v1/queues/{path}"), (BY_NAME["get_queue"], queue))

    def test_nothing_there(self) -> None:
        """Other methods, other paths."""
        for method, path in (
            ("GET", "/"),
            ("GET", "/api/v1/queues/"),
            ("POST", "/api/v1/queues"),
            ("POST", "/api/v1/queues/jobs"),
            ("GET", "/api/v1/queues/jobs/publish"),
            ("POST", "/api/v1/queues/jobs/publish/"),
            ("POST", "/api/v1/queues/jobs/eat"),
            ("POST", "/api/v1/queues/jobs/credit"),
            ("POST", "/api/v1/queues//publish"),
            ("get", "/api/v1/queues"),
        ):
            self.assertIsNone(route(method, path), path)


class RequestTests(SynchronousTestCase):
    """read_http."""

    def test_the_paths_queue(self) -> None:
        """It need not be in the body."""
        request = read_http(BY_NAME["publish"], "jobs", {}, b'{"batch":{"texts":["a"]}}')
        self.assertEqual((request.queue, request.batch.payloads), ("jobs", [b"a"]))
        self.assertEqual(read_http(BY_NAME["pause"], "jobs", {}, b""), Pause("jobs"))

    def test_every_row_with_a_queue(self) -> None:
        """The path's is the request's."""
        for row, request in zip(ROWS, REQUESTS, strict=True):
            if row.http and "{queue}" in row.http[1] and row.name not in ("settle", "subscribe"):
                got = read_http(row, "jobs", {}, b"{}")
                self.assertIs(type(got), type(request))
                self.assertEqual(
                    got.queues if isinstance(got, Pull) else got.queue, ["jobs"] if isinstance(got, Pull) else "jobs"
                )

    def test_both_say_it(self) -> None:
        """And agree, or nothing is done."""
        row = BY_NAME["pause"]
        self.assertEqual(read_http(row, "jobs", {}, b'{"queue":"jobs"}'), Pause("jobs"))
        for body in (b'{"queue":"other"}', b'{"queue":null}', b'{"queue":["jobs"]}'):
            self.assertRaises(InvalidArgument, read_http, row, "jobs", {}, body)

    def test_further_queues_of_a_pull(self) -> None:
        """The path's is the first of them."""
        row = BY_NAME["pull"]
        self.assertEqual(read_http(row, "a", {}, b'{"queues":["a","b"]}'), Pull(["a", "b"], 0))
        for body in (b'{"queues":["b","a"]}', b'{"queues":"a"}', b'{"queues":{"a":1}}'):
            self.assertRaises(InvalidArgument, read_http, row, "a", {}, body)

    def test_query(self) -> None:
        """Single values, booleans as words."""
        query = {"prefix": "a", "max_queues": "5", "page_token": "ab"}
        self.assertEqual(read_http(BY_NAME["list_queues"], "", query, b""), ListQueues("a", 5, "ab"))
        query = {"credit_messages": "5", "delivery": "TAKEN", "release_on_disconnect": "true", "with_enqueued_at": "0"}
        request = read_http(BY_NAME["subscribe"], "jobs", query, b"")
        self.assertEqual((request.credit_messages, request.release_on_disconnect), (5, True))
        self.assertIsInstance(request, Subscribe)

    def test_bad_queries(self) -> None:
        """What is no field, and what is no value of one."""
        row = BY_NAME["subscribe"]
        for query in ({"nobody": "1"}, {"credit_messages": "x"}, {"release_on_disconnect": "yes"}, {"delivery": "EAT"}):
            self.assertRaises(InvalidArgument, read_http, row, "q", {"credit_messages": "1", **query}, b"")

    def test_bad_bodies(self) -> None:
        """They are no JSON object."""
        for body in (b"[]", b"x=1", b"{"):
            self.assertRaises(MalformedRequest, read_http, BY_NAME["publish"], "q", {}, body)

    def test_types(self) -> None:
        """What comes out is the vocabulary's."""
        self.assertEqual(read_http(BY_NAME["get_queue"], "q", {}, b""), GetQueue("q"))
        self.assertIsInstance(read_http(BY_NAME["publish"], "q", {}, b""), Publish)


class ErrorTests(SynchronousTestCase):
    """write_error."""

    def test_body(self) -> None:
        """One object within another."""
        self.assertEqual(
            json.loads(write_error(QueueFull())),
            {"error": {"code": 8, "reason": "QUEUE_FULL", "message": "queue is full", "retry_after_ms": "100"}},
        )
