"""What protobuf's reader of JSON would let through."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument
from quickpulse.wire.v1.forms import MOST_ITEMS
from quickpulse.wire.v1.json_form import parse_json


def read(message: Any, **value: Any) -> Any:
    """The message of this object."""
    return parse_json(message, json.dumps(value).encode())


def settle(first: Any) -> Any:
    """A SettleRequest of one range."""
    return read(pb.SettleRequest, queue="q", action="ACK", receipts=[{"first": first, "last": 9}])


class CheckTests(SynchronousTestCase):
    """Each is refused in words that name the field."""

    def assert_refused(self, word: str, message: Any, **value: Any) -> None:
        """It is not read."""
        self.assertIn(word, str(self.assertRaises(InvalidArgument, read, message, **value)))

    def test_both_names_of_a_field(self) -> None:
        """Neither wins, at whatever depth."""
        self.assert_refused("maxMessages is there twice", pb.PullRequest, max_messages=1, maxMessages=2)
        self.assert_refused("batchKey", pb.PublishRequest, batch_key="YQ==", batchKey="YQ==")
        self.assert_refused("requestId", pb.ClientFrame, requestId=1, request_id=1)
        for common in ({"delay_ms": 1, "delayMs": 2}, {"delayMs": None, "delay_ms": 2}):
            self.assert_refused("delayMs", pb.PublishRequest, batch={"texts": ["x"], "common": common})
            self.assert_refused("delayMs", pb.PublishRequest, batch={"texts": ["x"], "properties": {"0": common}})

    def test_names_of_the_user(self) -> None:
        """Headers are no fields."""
        headers = {"delay_ms": "a", "delayMs": "b", "0": "c", "00": "d"}
        made = read(pb.PublishRequest, batch={"texts": ["x"], "common": {"headers": headers}})
        self.assertEqual(dict(made.batch.common.headers), headers)

    def test_indexes(self) -> None:
        """Each has one form."""
        for key in ("00", "+0", "-0", "0.0", "1_0", " 0", "0\n", "\u0665", ""):
            self.assert_refused("properties", pb.PublishRequest, batch={"texts": ["x"], "properties": {key: {}}})
        made = read(pb.PublishRequest, batch={"texts": ["x"] * 11, "properties": {"0": {"id": "a"}, "10": {"id": "b"}}})
        self.assertEqual(sorted(made.batch.properties), [0, 10])

    def test_numbers_as_texts(self) -> None:
        """As JSON writes numbers; Python takes more for one."""
        for text in ("1_0", "\u0665", "5\n", "+5", "0x5", "", "nan"):
            self.assertRaises(InvalidArgument, settle, text)
            self.assert_refused("retry_delays_ms", pb.SetPolicyRequest, policy={"retry_delays_ms": [1, text]})
        for value in (5, "5", "5.0", "5e0", 5.0):
            self.assertEqual(settle(value).receipts[0].first, 5)

    def test_too_many_items(self) -> None:
        """They are counted before they are read."""
        for count, passes in ((MOST_ITEMS, True), (MOST_ITEMS + 1, False)):
            value = {"queue": "q", "policy": {"retry_delays_ms": [1] * count}}
            if passes:
                self.assertEqual(len(read(pb.SetPolicyRequest, **value).policy.retry_delays_ms), count)
            else:
                self.assert_refused(str(count), pb.SetPolicyRequest, **value)
        many = {str(number): "" for number in range(MOST_ITEMS + 1)}
        self.assert_refused("headers", pb.PublishRequest, batch={"texts": ["x"], "common": {"headers": many}})
        self.assert_refused("texts", pb.PublishRequest, batch={"texts": [""] * (MOST_ITEMS + 1)})

    def test_other_types(self) -> None:
        """They are the reader's to refuse."""
        for value in ([], {}, 5, "x", [{}], {"a": 1}):
            self.assertRaises(InvalidArgument, read, pb.SettleRequest, action=value, receipts={"first": value})
            self.assertRaises(InvalidArgument, read, pb.PublishRequest, batch={"properties": [value]})
