"""The OpenAPI document against the table and the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.transports.openapi import OPENAPI_PATH, RAW_PATH, document
from quickpulse.transports.tokens import Tokens
from quickpulse.wire.v1.json_form import from_object
from quickpulse.wire.v1.table import ROWS
from tests.transports.http_conversation import API, HttpTestCase

NOT_OF_HTTP = {"ClientFrame", "ServerFrame", "Credit", "Unsubscribe", "SubscribeRequest", "SubscribeReply"} | {
    "SubscriptionEnded",
    "ListQueuesRequest",
    "GetQueueRequest",
    "GetServerInfoRequest",
}
"""Frames, what is there in frames only, and requests whose fields are parameters."""


class DocumentTests(HttpTestCase):
    """document."""

    def setUp(self) -> None:
        """Read it."""
        super().setUp()
        self.document = json.loads(document())
        self.schemas = self.document["components"]["schemas"]

    def test_served(self) -> None:
        """Under its path, the same."""
        answer = self.ask("GET", OPENAPI_PATH.removeprefix(API))
        self.assertEqual((answer.status, answer.json), (200, self.document))
        self.assertEqual(self.document["openapi"], "3.1.0")

    def test_tokens(self) -> None:
        """Where they are wanted, every request has one; without one the document can be had."""
        self.assertEqual(self.document["security"], [])
        path = self.mktemp()
        Path(path).write_text("secret")
        self.make_site(tokens=Tokens(path))
        wanted = self.ask("GET", OPENAPI_PATH.removeprefix(API)).json
        self.assertEqual(wanted["security"], [{"token": []}])
        self.assertEqual(wanted["components"]["securitySchemes"], {"token": {"type": "http", "scheme": "bearer"}})

    def test_every_route(self) -> None:
        """Each row's, the raw body's, and no other."""
        expected = {(method.lower(), path) for method, path in (row.http for row in ROWS if row.http)}
        expected.add(("post", RAW_PATH))
        found = {(method, path) for path, methods in self.document["paths"].items() for method in methods}
        self.assertEqual(found, expected)
        for path, methods in self.document["paths"].items():
            for operation in methods.values():
                names = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
                self.assertEqual(names, ["queue"] if "{queue}" in path else [])
                self.assertTrue(operation["summary"])
                self.assertEqual(set(operation["responses"]), {"200", "default"})

    def test_every_field(self) -> None:
        """Of every message and enumeration that travels over HTTP."""
        for name, descriptor in pb.DESCRIPTOR.message_types_by_name.items():
            if name not in NOT_OF_HTTP:
                self.assertEqual(set(self.schemas[name]["properties"]), set(descriptor.fields_by_name), name)
        for name, descriptor in pb.DESCRIPTOR.enum_types_by_name.items():
            self.assertEqual(self.schemas[name]["enum"], [value.name for value in descriptor.values], name)

    def test_every_parameter(self) -> None:
        """Requests of GET have their fields in the query."""
        for row in ROWS:
            if row.http is not None and row.http[0] == "GET":
                operation = self.document["paths"][row.http[1]]["get"]
                found = {each["name"] for each in operation["parameters"]} - {"texts"}
                self.assertEqual(found, {field.name for field in row.request.message.DESCRIPTOR.fields}, row.name)

    def test_every_reference(self) -> None:
        """Leads somewhere."""

        def follow(part: Any) -> None:
            if isinstance(part, dict):
                if "$ref" in part:
                    target: Any = self.document
                    for step in part["$ref"].removeprefix("#/").split("/"):
                        target = target[step]
                for each in part.values():
                    follow(each)
            elif isinstance(part, list):
                for each in part:
                    follow(each)

        follow(self.document)

    def test_types(self) -> None:
        """As the JSON form has them."""
        batch = self.schemas["Batch"]["properties"]
        self.assertEqual(batch["payloads"], {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}})
        self.assertEqual(batch["properties"]["additionalProperties"], {"$ref": "#/components/schemas/Properties"})
        self.assertEqual(self.schemas["PullRequest"]["properties"]["wait_ms"]["type"], ["string", "integer"])
        self.assertEqual(self.schemas["PublishRequest"]["properties"]["atomic"], {"type": "boolean"})
        for value in ("5", 5):  # either is read
            self.assertEqual(from_object(pb.PullRequest, {"wait_ms": value}).wait_ms, 5)
